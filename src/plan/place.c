/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * First and best fit take VMs in their order, and place each where it has room for what it is by
 * itself: so it arrives, with nothing shared yet. What it then shares with those that are there
 * is credited to the host.
 *
 * Likeness takes the domain with the most memory first, and in a domain those together whose
 * largest part is the same, the larger ones first. Each VM goes where most of it is there already,
 * among the RECENT hosts that its domain came to last, if what it adds there fits. Where none is
 * like it, it opens the first host that could take all that is left of its domain, or else the
 * first that can take itself: what large domains leave over is filled by the small ones that come
 * after them, and by the VMs without a salt, which come last.
 *
 * No way is the best: to place things of different sizes is hard even without sharing. In tests
 * all ways of small fleets are tried, and these are held against the best (tests: plan).
 *
 * Rejected: to compare each VM with each other (nine trillion pairs of three million). To cluster
 * by the sketches alone: what may share is told by salts already, and there are few images in one.
 */
#include "plan/place.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan/books.h"
#include "plan/room.h"

#define RECENT_FEW 4u
#define RECENT_MANY 16u
#define MANY_VMS 100000u
#define SCAN_HOSTS 1024u /* in which a last place is looked for one by one */

struct placing {
	const struct plan_task *task;
	struct plan_result *result;
	struct plan_books books;
	struct plan_room room;
	double *left;
	uint32_t *order; /* VMs that want a place */
	uint64_t norder;
	uint32_t *count; /* VMs of a host */
	/* likeness: of the domain that is being placed */
	uint64_t domain;
	uint32_t recent[RECENT_MANY], nrecent, max_recent;
	double wanted; /* by the VMs of it that have no place yet */
};

double plan_size(const struct plan *plan, const struct plan_vm *vm, enum plan_basis basis)
{
	double overhead = (double)plan_overhead(plan);

	if (basis == PLAN_WHOLE)
		return overhead + (vm->size > vm->touched ? vm->size : vm->touched);
	return overhead + vm->touched - (basis == PLAN_WITHOUT ? 0 : vm->self);
}

static unsigned int mode_of(const struct plan_task *task, uint32_t host)
{
	return task->mode ? task->mode[host] : task->plan->hosts[host].mode;
}

/* ---- order --------------------------------------------------------------------------------- */

struct sort {
	const struct plan *plan;
	enum plan_basis basis;
	unsigned int mode;
	double *weight; /* of a group: all of its memory */
};

static int larger_first(const void *a, const void *b, void *arg)
{
	const struct sort *sort = arg;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	double x = plan_size(sort->plan, plan_of(sort->plan, i), sort->basis);
	double y = plan_size(sort->plan, plan_of(sort->plan, k), sort->basis);

	return x != y ? (x < y) - (x > y) : (i > k) - (i < k);
}

static uint32_t largest_part(const struct plan *plan, const struct plan_vm *vm)
{
	const struct plan_part *parts = plan->parts + vm->part;
	uint32_t best = 0;

	if (vm->nparts == 0 || (parts[vm->nparts - 1].id & PLAN_SAMPLE))
		return 0; /* one page of a sketch says nothing */
	for (uint32_t i = 1; i < vm->nparts; i++)
		if (parts[i].pages > parts[best].pages)
			best = i;
	return parts[best].id;
}

static double weight_of(const struct sort *sort, uint32_t i)
{
	uint32_t group = plan_of(sort->plan, i)->group;

	return group == PLAN_NONE ? sort->mode == 2 ? 0 : INFINITY : sort->weight[group];
}

static int like_together(const void *a, const void *b, void *arg)
{
	const struct sort *sort = arg;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	double x, y;

	if (sort->mode == 0) {
		x = -(double)plan_of(sort->plan, i)->user;
		y = -(double)plan_of(sort->plan, k)->user;
	} else {
		x = weight_of(sort, i);
		y = weight_of(sort, k);
	}
	if (x != y)
		return x < y ? 1 : -1;
	x = (double)plan_domain(sort->plan, i, sort->mode);
	y = (double)plan_domain(sort->plan, k, sort->mode);
	if (x != y && (x < (double)(3ull << 40) || y < (double)(3ull << 40)))
		return x < y ? -1 : 1;
	x = largest_part(sort->plan, plan_of(sort->plan, i));
	y = largest_part(sort->plan, plan_of(sort->plan, k));
	if (x != y && weight_of(sort, i) > 0)
		return x < y ? -1 : 1;
	return larger_first(a, b, arg);
}

static int sort_order(struct placing *p)
{
	const struct plan *plan = p->task->plan;
	struct sort sort = {plan, p->task->basis, 2, NULL};

	for (uint32_t h = 0; h < plan->nhosts; h++)
		if (plan->hosts[h].mode < sort.mode)
			sort.mode = plan->hosts[h].mode;
	if (p->task->way != PLAN_LIKENESS) {
		if (p->task->decreasing)
			qsort_r(p->order, p->norder, sizeof(*p->order), larger_first, &sort);
		return 0;
	}
	sort.weight = calloc((size_t)plan->ngroups + 1, sizeof(*sort.weight));
	if (!sort.weight)
		return -ENOMEM;
	for (uint64_t i = 0; i < p->norder; i++) {
		const struct plan_vm *vm = plan_of(plan, p->order[i]);

		if (vm->group != PLAN_NONE)
			sort.weight[vm->group] += plan_size(plan, vm, PLAN_ALONE);
	}
	qsort_r(p->order, p->norder, sizeof(*p->order), like_together, &sort);
	free(sort.weight);
	return 0;
}

/* ---- one VM -------------------------------------------------------------------------------- */

static double likeness(const struct placing *p, uint32_t i, uint32_t host)
{
	const struct plan *plan = p->task->plan;
	const struct plan_vm *vm = plan_of(plan, i);

	return plan_books_likeness(&p->books, host, plan_domain(plan, i, mode_of(p->task, host)),
				   plan->parts + vm->part, vm->nparts);
}

static int put(struct placing *p, uint32_t i, uint32_t host)
{
	const struct plan *plan = p->task->plan;
	const struct plan_vm *vm = plan_of(plan, i);
	double size = plan_size(plan, vm, p->task->basis), saved = 0;

	if (p->task->basis == PLAN_WITH) {
		int r = plan_books_join(&p->books, host,
					plan_domain(plan, i, mode_of(p->task, host)),
					plan->parts + vm->part, vm->nparts, &saved);

		if (r)
			return r;
	}
	plan_room_take(&p->room, host, size - saved);
	p->result->used += size - saved;
	p->result->saved += saved;
	p->result->hosts += p->count[host]++ == 0;
	if (p->result->host)
		p->result->host[i] = host;
	return 0;
}

/* Among these hosts the one that has most of it and room for the rest. */
static uint32_t most_like(const struct placing *p, uint32_t i, const uint32_t *hosts, uint32_t n)
{
	double size = plan_size(p->task->plan, plan_of(p->task->plan, i), p->task->basis);
	double best = 0;
	uint32_t found = PLAN_NO_ROOM;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t host = hosts ? hosts[k] : k;
		double like = p->task->capacity[host] > 0 ? likeness(p, i, host) : 0;

		if (like > best && size - like <= p->room.left[host]) {
			best = like;
			found = host;
		}
	}
	return found;
}

static void remember(struct placing *p, uint32_t host)
{
	uint32_t at = 0;

	while (at < p->nrecent && p->recent[at] != host)
		at++;
	if (at == p->nrecent && p->nrecent < p->max_recent)
		p->nrecent++;
	if (at == p->nrecent)
		at--;
	memmove(&p->recent[1], &p->recent[0], at * sizeof(*p->recent));
	p->recent[0] = host;
}

static void begin_domain(struct placing *p, uint64_t at, unsigned int mode)
{
	const struct plan *plan = p->task->plan;

	p->domain = plan_domain(plan, p->order[at], mode);
	p->nrecent = 0;
	p->wanted = 0;
	for (; at < p->norder && plan_domain(plan, p->order[at], mode) == p->domain; at++)
		p->wanted += plan_size(plan, plan_of(plan, p->order[at]), p->task->basis);
}

static uint32_t find_like(struct placing *p, uint32_t i, double size)
{
	uint32_t host = most_like(p, i, p->recent, p->nrecent);

	if (host == PLAN_NO_ROOM && p->task->stay)
		host = most_like(p, i, NULL, p->task->n < SCAN_HOSTS ? p->task->n : 0);
	if (host == PLAN_NO_ROOM)
		host = plan_room_first(&p->room, p->wanted);
	if (host == PLAN_NO_ROOM)
		host = plan_room_first(&p->room, size);
	if (host == PLAN_NO_ROOM && p->task->n < SCAN_HOSTS)
		host = most_like(p, i, NULL, p->task->n);
	return host;
}

static int place_all(struct placing *p)
{
	const struct plan *plan = p->task->plan;
	unsigned int mode = 2;
	int r = 0;

	for (uint32_t h = 0; h < plan->nhosts; h++)
		mode = plan->hosts[h].mode < mode ? plan->hosts[h].mode : mode;
	p->domain = UINT64_MAX;
	for (uint64_t at = 0; at < p->norder && !r; at++) {
		uint32_t i = p->order[at], host;
		double size = plan_size(plan, plan_of(plan, i), p->task->basis);

		if (p->task->way == PLAN_LIKENESS) {
			if (plan_domain(plan, i, mode) != p->domain)
				begin_domain(p, at, mode);
			host = find_like(p, i, size);
			p->wanted -= size;
		} else if (p->task->way == PLAN_BEST_FIT) {
			host = plan_room_best(&p->room, size);
		} else {
			host = plan_room_first(&p->room, size);
		}
		if (host == PLAN_NO_ROOM) {
			p->result->homeless++;
			if (p->result->host)
				p->result->host[i] = PLAN_NONE;
			continue;
		}
		remember(p, host);
		r = put(p, i, host);
	}
	return r;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static int prepare(struct placing *p)
{
	const struct plan_task *task = p->task;
	uint32_t n = task->n;
	int r;

	p->left = malloc(((size_t)n + 1) * sizeof(*p->left));
	p->count = calloc((size_t)n + 1, sizeof(*p->count));
	p->order = malloc((task->nvms + 1) * sizeof(*p->order));
	if (!p->left || !p->count || !p->order)
		return -ENOMEM;
	for (uint32_t h = 0; h < n; h++) /* what takes none takes not even a VM of size 0 */
		p->left[h] = task->capacity[h] > 0 ? task->capacity[h] : -1;
	p->max_recent = task->nvms > MANY_VMS ? RECENT_FEW : RECENT_MANY;
	r = plan_room_init(&p->room, p->left, n);
	return r ? r : plan_books_init(&p->books, task->basis == PLAN_WITH ? task->nvms : 1);
}

int plan_place(const struct plan_task *task, struct plan_result *result)
{
	struct placing p = {.task = task, .result = result};
	int r = prepare(&p);

	result->used = result->saved = 0;
	result->hosts = 0;
	result->homeless = 0;
	for (uint64_t i = 0; i < task->nvms && !r; i++) {
		uint32_t host = i < task->plan->nvms ? task->plan->vms[i].host : PLAN_NONE;

		if (task->stay && host != PLAN_NONE && task->capacity[host] > 0)
			r = put(&p, (uint32_t)i, host);
		else
			p.order[p.norder++] = (uint32_t)i;
	}
	if (result->left)
		memcpy(result->left, p.left, task->n * sizeof(*p.left));
	if (!r)
		r = sort_order(&p);
	if (!r)
		r = place_all(&p);
	plan_room_free(&p.room);
	plan_books_free(&p.books);
	free(p.left);
	free(p.count);
	free(p.order);
	return r;
}
