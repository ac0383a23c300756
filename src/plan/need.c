/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Whether a case fits: VMs stay where they are if their host is there, the others are placed. Those
 * that stay are held against their host too: where they do not fit, as few as will do are out, and
 * that host takes none of the others. So a case that fits does so without a VM being moved that
 * need not be.
 *
 * First all are placed by best fit, the largest first, or with sharing by likeness; where that
 * finds no place and the way without does, that way is taken: who fits alone fits with others.
 * Where some are out, it is looked for how few have to be (least.h). That holds in each line: with
 * sharing no more VMs are out and no more hosts are needed than without.
 *
 * How many hosts would do: enough.h. If the VMs fit on the hosts that are left, these would.
 *
 * Hosts that are away count for nothing, nor do their VMs; standby hosts only where hosts fail, and
 * not at all if they are in maintenance.
 */
#include "plan/need.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/enough.h"
#include "plan/least.h"

#define WORK 50000000u /* looks at parts, in a case, to find how few VMs have to be out */
#define TRACE 1e-9     /* a host without memory for VMs is there all the same */

struct counting {
	const struct plan *plan;
	struct plan here; /* the plan without the VMs of hosts that are away; shares the rest */
	struct plan_need *need;
	double *capacity, *left; /* left: beside those that stay */
	uint64_t work;
};

/* ---- hosts --------------------------------------------------------------------------------- */

struct host_size {
	double usable;
	uint32_t host;
};

static int by_size(const void *a, const void *b)
{
	const struct host_size *x = a, *y = b;

	return x->usable != y->usable ? (x->usable < y->usable) - (x->usable > y->usable) :
					(x->host > y->host) - (x->host < y->host);
}

static bool is_left(const struct plan_host *host, const struct plan_case *what)
{
	if (!plan_counts(host))
		return false;
	if (host->state == PLAN_STANDBY)
		return what->fail > 0;
	return host->state != PLAN_MAINTENANCE || !what->maintenance;
}

/* capacity[]: of each host, 0 for those that are gone. Standby hosts run nothing, but where hosts
 * fail. */
static int take_hosts(struct counting *c, const struct plan_case *what)
{
	const struct plan *plan = c->plan;
	struct host_size *sizes = calloc((size_t)plan->nhosts + 1, sizeof(*sizes));
	uint32_t n = 0;

	if (!sizes)
		return -ENOMEM;
	for (uint32_t h = 0; h < plan->nhosts; h++) {
		c->capacity[h] = 0;
		if (is_left(&plan->hosts[h], what))
			sizes[n++] = (struct host_size){(double)plan->hosts[h].usable, h};
	}
	qsort(sizes, n, sizeof(*sizes), by_size);
	for (uint32_t i = 0, failed = 0; i < n; i++) {
		/* what stands by does not fail: it is there for that */
		if (failed < what->fail && plan->hosts[sizes[i].host].state != PLAN_STANDBY) {
			failed++;
			continue;
		}
		c->capacity[sizes[i].host] = sizes[i].usable > 0 ? sizes[i].usable : TRACE;
		c->need->hosts++;
		c->need->capacity += sizes[i].usable;
	}
	free(sizes);
	return 0;
}

/* ---- VMs ----------------------------------------------------------------------------------- */

/* Those that stay on a host that is too small for them, as few as will do. */
static int count_gone(struct counting *c, enum plan_basis basis, uint64_t *gone)
{
	*gone = 0;
	for (uint32_t h = 0; h < c->plan->nhosts; h++) {
		uint64_t some = 0;

		if (c->capacity[h] > 0 && c->left[h] < 0 &&
		    plan_least_gone(c->plan, h, c->capacity[h], basis, &c->work, &some))
			return -ENOMEM;
		*gone += some;
	}
	return 0;
}

/* Of those that do not stay so many are out, by one way: would fewer do? */
static int count_least(struct counting *c, enum plan_basis basis, uint64_t *out)
{
	uint32_t *vms = malloc((c->need->vms + 1) * sizeof(*vms));
	uint32_t *stay = malloc(((size_t)c->here.nvms + 1) * sizeof(*stay));
	struct plan_least least = {.plan = &c->here,
				   .basis = basis,
				   .vms = vms,
				   .left = c->left,
				   .stay = stay,
				   .known = *out,
				   .work = &c->work};
	int r = -ENOMEM;

	if (vms && stay) {
		for (uint64_t i = 0; i < c->need->vms; i++)
			if (i < c->here.nvms && c->capacity[c->here.vms[i].host] > 0)
				stay[least.nstay++] = (uint32_t)i;
			else
				vms[least.n++] = (uint32_t)i;
		r = plan_least_out(&least, out);
	}
	free(vms);
	free(stay);
	return r;
}

/* VMs stay: who finds no place? */
static int count_homeless(struct counting *c, enum plan_basis basis)
{
	struct plan_task task = {.plan = &c->here,
				 .nvms = c->need->vms,
				 .capacity = c->capacity,
				 .n = c->here.nhosts,
				 .stay = true,
				 .decreasing = true,
				 .basis = basis,
				 .way = basis == PLAN_WITH ? PLAN_LIKENESS : PLAN_BEST_FIT};
	struct plan_result result = {.left = c->left};
	uint64_t gone = 0, out;
	int r = plan_place(&task, &result);

	out = result.homeless;
	if (!r && basis == PLAN_WITH && out) {
		task.way = PLAN_BEST_FIT;
		r = plan_place(&task, &result);
		out = result.homeless < out ? result.homeless : out;
	}
	if (!r && out)
		r = count_least(c, basis, &out);
	if (!r)
		r = count_gone(c, basis, &gone);
	c->need->homeless[basis] = out + gone;
	return r;
}

/* What they take where they are, and the homeless beside them. */
static int count_used(struct counting *c, enum plan_basis basis)
{
	struct plan_need *need = c->need;
	double *endless = calloc((size_t)c->here.nhosts + 1, sizeof(*endless));
	struct plan_task task = {.plan = &c->here,
				 .nvms = need->vms,
				 .capacity = endless,
				 .n = c->here.nhosts,
				 .stay = true,
				 .decreasing = true,
				 .basis = basis,
				 .way = PLAN_LIKENESS};
	struct plan_result result = {0};
	int r = 0;

	if (!endless)
		return -ENOMEM;
	for (uint64_t i = 0; i < need->vms; i++)
		result.used += plan_size(&c->here, plan_of(&c->here, i), basis);
	if (basis == PLAN_WITH) {
		/* as if each host had room: what is wanted, not what is to be had */
		for (uint32_t h = 0; h < c->here.nhosts; h++)
			endless[h] = c->capacity[h] > 0 ? result.used + c->capacity[h] : 0;
		if (need->hosts)
			r = plan_place(&task, &result);
	}
	need->used[basis] = result.used;
	free(endless);
	return r;
}

/* Who fits with less fits with more; who fits alone fits with others. */
static void put_in_order(struct plan_need *need)
{
	static const enum plan_basis order[] = {PLAN_WHOLE, PLAN_WITHOUT, PLAN_ALONE, PLAN_WITH};

	for (size_t i = 1; i < sizeof(order) / sizeof(order[0]); i++) {
		enum plan_basis more = order[i - 1], less = order[i];

		if (need->homeless[less] > need->homeless[more])
			need->homeless[less] = need->homeless[more];
		if (need->needed[less] > need->needed[more])
			need->needed[less] = need->needed[more];
		if (need->used[less] > need->used[more])
			need->used[less] = need->used[more];
	}
}

/* All VMs anew: how many hosts? */
static int count_hosts(struct counting *c, const struct plan_case *what)
{
	struct plan_need *need = c->need;
	struct plan_enough enough;
	int r = plan_enough_init(&enough, c->plan, need->vms, need->used[PLAN_WHOLE], what->fail);

	for (int basis = 0; basis < PLAN_BASES && !r; basis++)
		r = plan_enough_count(&enough, &c->here, need->vms, (enum plan_basis)basis,
				      &need->needed[basis]);
	plan_enough_free(&enough);
	return r;
}

/* Where the VMs fit, the hosts that are left and those that failed would do. */
static void hold_to_fitting(struct plan_need *need, const struct plan_case *what)
{
	for (int basis = 0; basis < PLAN_BASES; basis++)
		if (!need->homeless[basis] && need->needed[basis] > need->hosts + what->fail)
			need->needed[basis] = need->hosts + what->fail;
}

int plan_need_count(const struct plan *plan, const struct plan_case *what, struct plan_need *need)
{
	struct counting c = {.plan = plan, .need = need, .work = WORK};
	int r;

	*need = (struct plan_need){0};
	c.capacity = calloc((size_t)plan->nhosts + 1, sizeof(*c.capacity));
	c.left = calloc((size_t)plan->nhosts + 1, sizeof(*c.left));
	r = c.capacity && c.left ? take_hosts(&c, what) : -ENOMEM;
	if (!r)
		r = plan_without_away(plan, &c.here);
	need->vms = c.here.nvms ? c.here.nvms + what->add : 0;
	for (int basis = 0; basis < PLAN_BASES && !r; basis++) {
		r = count_used(&c, (enum plan_basis)basis);
		if (!r)
			r = count_homeless(&c, (enum plan_basis)basis);
	}
	if (!r)
		r = count_hosts(&c, what);
	hold_to_fitting(need, what);
	put_in_order(need);
	free(c.here.vms);
	free(c.capacity);
	free(c.left);
	return r;
}

/* ---- room for more ------------------------------------------------------------------------- */

/* In slots of today's mean VM, as admission's first policy counts them: so more memory is never
 * fewer slots, whatever today's VMs leave free on which host. */
static uint64_t slots_left(const struct plan *plan, const struct host_size *sizes, uint32_t n,
			   uint32_t fail, double mean)
{
	uint64_t slots = 0, vms = 0;

	if (mean < 1)
		return 0;
	for (uint32_t i = fail; i < n; i++)
		slots += (uint64_t)(sizes[i].usable / mean);
	for (uint32_t i = 0; i < plan->nvms; i++)
		vms += plan->hosts[plan->vms[i].host].state != PLAN_AWAY;
	return slots > vms ? slots - vms : 0;
}

static double mean_size(const struct plan *plan, enum plan_basis basis)
{
	double sum = 0;
	uint64_t n = 0;

	for (uint32_t i = 0; i < plan->nvms; i++)
		if (plan->hosts[plan->vms[i].host].state != PLAN_AWAY) {
			sum += plan_size(plan, &plan->vms[i], basis);
			n++;
		}
	return n ? sum / (double)n : 0;
}

int plan_room_for_more(const struct plan *plan, double saved_per_vm, uint32_t fail,
		       uint64_t more[PLAN_BASES])
{
	struct host_size *sizes = calloc((size_t)plan->nhosts + 1, sizeof(*sizes));
	uint32_t n = 0;

	if (!sizes)
		return -ENOMEM;
	for (uint32_t h = 0; h < plan->nhosts; h++)
		if (plan_runs(&plan->hosts[h]))
			sizes[n++] = (struct host_size){(double)plan->hosts[h].usable, h};
	qsort(sizes, n, sizeof(*sizes), by_size);
	for (int basis = 0; basis < PLAN_BASES; basis++) {
		double mean = mean_size(plan, (enum plan_basis)basis);

		if (basis == PLAN_WITH)
			mean -= saved_per_vm;
		more[basis] = slots_left(plan, sizes, n, fail, mean);
	}
	free(sizes);
	return 0;
}
