/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Whether a case fits: VMs stay where they are if their host is there, the others are placed.
 * Where nothing is shared that is policy/admission.h's fit, which for few VMs tries every way, and
 * best fit, the largest first, for many. With sharing it is placement by likeness; where that
 * finds no place and the way without does, that way is taken: who fits alone fits with others.
 * That holds in each line: with sharing no more VMs are homeless and no more hosts are needed than
 * without.
 *
 * How many hosts: all VMs are placed anew, on the largest hosts first, and on more of the
 * commonest kind when there are no others. One less may do: packing is hard, and this is within
 * some percent.
 *
 * Hosts that are away count for nothing, nor do their VMs; standby hosts only where hosts fail.
 */
#include "plan/need.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/admission.h"

#define TRY_HOSTS 64u /* admission_fit() looks at each host for each VM */
#define TRY_VMS 4096u

struct counting {
	const struct plan *plan;
	struct plan here; /* the plan without the VMs of hosts that are away; shares the rest */
	struct plan_need *need;
	double *capacity, *sorted;
	uint32_t nsorted;
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
	switch (host->state) {
	case PLAN_AWAY:
		return false;
	case PLAN_MAINTENANCE:
		return !what->maintenance;
	default:
		return true;
	}
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
		bool standby = plan->hosts[h].state == PLAN_STANDBY;

		c->capacity[h] = 0;
		if (is_left(&plan->hosts[h], what) && (!standby || what->fail))
			sizes[n++] = (struct host_size){(double)plan->hosts[h].usable, h};
	}
	qsort(sizes, n, sizeof(*sizes), by_size);
	for (uint32_t i = 0, failed = 0; i < n; i++) {
		/* what stands by does not fail: it is there for that */
		if (failed < what->fail && plan->hosts[sizes[i].host].state != PLAN_STANDBY) {
			failed++;
			continue;
		}
		c->capacity[sizes[i].host] = sizes[i].usable;
		c->need->hosts++;
		c->need->capacity += sizes[i].usable;
	}
	free(sizes);
	return 0;
}

/* The usable memory that most hosts have. */
static double commonest(const struct host_size *sizes, uint32_t n)
{
	uint32_t best = 0, run = 0;
	double usable = 0;

	for (uint32_t i = 0; i < n; i++) {
		run = i && sizes[i].usable == sizes[i - 1].usable ? run + 1 : 1;
		if (run > best) {
			best = run;
			usable = sizes[i].usable;
		}
	}
	return usable;
}

/* sorted[]: all hosts, the largest first, and as many of the commonest kind as may be wanted. */
static int sort_hosts(struct counting *c, double memory)
{
	const struct plan *plan = c->plan;
	struct host_size *sizes = calloc((size_t)plan->nhosts + 1, sizeof(*sizes));
	double usable;
	uint32_t n = 0, more;

	if (!sizes)
		return -ENOMEM;
	for (uint32_t h = 0; h < plan->nhosts; h++)
		sizes[n++] = (struct host_size){(double)plan->hosts[h].usable, h};
	qsort(sizes, n, sizeof(*sizes), by_size);
	usable = commonest(sizes, n);
	/* first fit leaves no two hosts of a kind less than half full */
	more = usable > 0 ? (uint32_t)(2 * memory / usable) + 2 : 0;
	c->sorted = calloc((size_t)n + more + 1, sizeof(*c->sorted));
	for (uint32_t i = 0; c->sorted && i < n; i++)
		c->sorted[i] = sizes[i].usable;
	for (uint32_t i = 0; c->sorted && i < more; i++)
		c->sorted[n + i] = usable;
	c->nsorted = n + more;
	free(sizes);
	return c->sorted ? 0 : -ENOMEM;
}

/* ---- VMs ----------------------------------------------------------------------------------- */

/* The plan that is counted has the VMs of the hosts that are not away, and no others. */
static int take_vms(struct counting *c)
{
	const struct plan *plan = c->plan;

	c->here = *plan;
	c->here.vms = malloc(((size_t)plan->nvms + 1) * sizeof(*c->here.vms));
	c->here.nvms = 0;
	if (!c->here.vms)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->nvms; i++)
		if (plan->hosts[plan->vms[i].host].state != PLAN_AWAY)
			c->here.vms[c->here.nvms++] = plan->vms[i];
	return 0;
}

/* Exact as far as admission_fit() is; the VMs that stay are taken off first. *homeless is set. */
static int try_fit(const struct counting *c, enum plan_basis basis, uint64_t *homeless)
{
	const struct plan *plan = &c->here;
	uint64_t nvms = c->need->vms, *left, *size;
	uint32_t *order, *place, n = 0;
	int r = -ENOMEM;

	left = calloc((size_t)plan->nhosts + 1, sizeof(*left));
	size = calloc(nvms + 1, sizeof(*size));
	order = calloc(nvms + 1, sizeof(*order));
	place = calloc(nvms + 1, sizeof(*place));
	if (left && size && order && place) {
		for (uint32_t h = 0; h < plan->nhosts; h++)
			left[h] = (uint64_t)c->capacity[h];
		for (uint64_t i = 0; i < nvms; i++) {
			const struct plan_vm *vm = plan_of(plan, i);
			uint64_t pages = (uint64_t)plan_size(plan, vm, basis);

			if (i < plan->nvms && c->capacity[vm->host] > 0)
				left[vm->host] -= pages < left[vm->host] ? pages : left[vm->host];
			else
				size[n++] = pages;
		}
		*homeless = admission_fit(left, plan->nhosts, size, n, order, place);
		r = 0;
	}
	free(left);
	free(size);
	free(order);
	free(place);
	return r;
}

/* VMs stay: who finds no place? */
static int count_homeless(struct counting *c, enum plan_basis basis)
{
	struct plan_need *need = c->need;
	struct plan_task task = {.plan = &c->here,
				 .nvms = need->vms,
				 .capacity = c->capacity,
				 .n = c->here.nhosts,
				 .stay = true,
				 .decreasing = true,
				 .basis = basis,
				 .way = basis == PLAN_WITH ? PLAN_LIKENESS : PLAN_BEST_FIT};
	struct plan_result result = {0};
	int r = plan_place(&task, &result);

	if (r)
		return r;
	need->homeless[basis] = result.homeless;
	if (basis == PLAN_WITH && result.homeless) {
		task.way = PLAN_BEST_FIT;
		r = plan_place(&task, &result);
		if (!r && result.homeless < need->homeless[basis])
			need->homeless[basis] = result.homeless;
	}
	if (r || basis == PLAN_WITH || !need->homeless[basis] || c->here.nhosts > TRY_HOSTS ||
	    need->vms > TRY_VMS)
		return r;
	return try_fit(c, basis, &need->homeless[basis]);
}

/* All VMs anew: how much do they take, and how many hosts? */
static int count_hosts(struct counting *c, enum plan_basis basis)
{
	struct plan_need *need = c->need;
	struct plan_task task = {.plan = &c->here,
				 .nvms = need->vms,
				 .capacity = c->sorted,
				 .n = c->nsorted,
				 .decreasing = true,
				 .basis = basis,
				 .way = basis == PLAN_WITH ? PLAN_LIKENESS : PLAN_FIRST_FIT};
	struct plan_result result = {0};
	int r = plan_place(&task, &result);

	need->needed[basis] = result.homeless ? UINT32_MAX : result.hosts;
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

int plan_need_count(const struct plan *plan, const struct plan_case *what, struct plan_need *need)
{
	struct counting c = {.plan = plan, .need = need};
	int r;

	*need = (struct plan_need){0};
	c.capacity = calloc((size_t)plan->nhosts + 1, sizeof(*c.capacity));
	r = c.capacity ? take_hosts(&c, what) : -ENOMEM;
	if (!r)
		r = take_vms(&c);
	need->vms = c.here.nvms ? c.here.nvms + what->add : 0;
	for (int basis = 0; basis < PLAN_BASES && !r; basis++) {
		r = count_used(&c, (enum plan_basis)basis);
		if (!r)
			r = count_homeless(&c, (enum plan_basis)basis);
	}
	if (!r)
		r = sort_hosts(&c, need->used[PLAN_WHOLE]);
	for (int basis = 0; basis < PLAN_BASES && !r; basis++)
		r = count_hosts(&c, (enum plan_basis)basis);
	put_in_order(need);
	for (int basis = 0; basis < PLAN_BASES; basis++)
		if (need->needed[basis] != UINT32_MAX)
			need->needed[basis] += what->fail;
	free(c.here.vms);
	free(c.capacity);
	free(c.sorted);
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
