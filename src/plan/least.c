/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Without sharing between VMs: if k of the VMs can be placed, the k smallest can, each in the place
 * of a larger one. So it is asked how many of the smallest fit, by halving: between what is reached
 * already and what their sum and the largest gap allow. Whether k fit is tried by every way within
 * a bound where there are few (policy/admission.h), by best fit, the largest first, else.
 *
 * One way more is always taken: the smallest first, host after host by what they have left. Packing
 * is fickle: a host that is larger may make best fit place fewer. This way never does: who was in
 * the first so many hosts before is in them still. It holds the answer where there is too much to
 * try.
 *
 * With sharing a VM's size depends on who is there, so every way is tried, with none out, then
 * one, and so on; within a bound of looks at parts, WORK a time and the caller's in all. Where that
 * does not suffice the answer is what was known, placement by likeness; and for the VMs of one
 * host, in two fixed orders, as many as fit before the first that does not. The latter never keeps
 * fewer if there is more room.
 */
#include "plan/least.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/books.h"
#include "plan/room.h"
#include "policy/admission.h"

#define TRY_HOSTS 64u /* admission_fit() looks at each host for each VM */
#define TRY_VMS 4096u
#define HALVE_VMS 100000u
#define WORK 4000000u
#define SEARCH_HOSTS 16u
#define SEARCH_VMS 20u

/* ---- without sharing between VMs ----------------------------------------------------------- */

struct packing {
	uint64_t *size; /* ascending */
	uint64_t n;
	double *left, *gaps; /* left: descending, none below 0; gaps: to be used up */
	uint32_t nhosts;
	/* admission_fit()'s */
	uint64_t *free;
	uint32_t *order, *place;
};

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int larger_gap(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

/* The smallest first, host after host, from the most left to the least or the other way. */
static uint64_t fill(const struct packing *p, bool ascending)
{
	uint64_t at = 0;

	for (uint32_t h = 0; h < p->nhosts && at < p->n; h++) {
		double gap = p->left[ascending ? p->nhosts - 1 - h : h];

		while (at < p->n && (double)p->size[at] <= gap)
			gap -= (double)p->size[at++];
	}
	return at;
}

/* By their sum and the largest gap: no more of them fit than so many. */
static uint64_t at_most(const struct packing *p)
{
	double sum = 0;
	uint64_t n = 0;

	for (uint32_t h = 0; h < p->nhosts; h++)
		sum += p->left[h];
	while (n < p->n && p->nhosts && (double)p->size[n] <= p->left[0] &&
	       (double)p->size[n] <= sum)
		sum -= (double)p->size[n++];
	return n;
}

/* Do the k smallest fit? 0, 1, -ENOMEM. */
static int fits(const struct packing *p, uint64_t k)
{
	struct plan_room room;
	int r;

	if (p->nhosts <= TRY_HOSTS && k <= TRY_VMS) {
		for (uint32_t h = 0; h < p->nhosts; h++)
			p->free[h] = (uint64_t)p->left[h];
		return admission_fit(p->free, p->nhosts, p->size, (uint32_t)k, p->order,
				     p->place) == 0;
	}
	memcpy(p->gaps, p->left, p->nhosts * sizeof(*p->gaps));
	r = plan_room_init(&room, p->gaps, p->nhosts);
	while (!r && k) {
		uint32_t host = plan_room_best(&room, (double)p->size[k - 1]);

		if (host == PLAN_NO_ROOM)
			break;
		plan_room_take(&room, host, (double)p->size[--k]);
	}
	plan_room_free(&room);
	return r ? r : k == 0;
}

static int pack(const struct packing *p, uint64_t *out)
{
	uint64_t low = p->n - *out, high = at_most(p), filled = fill(p, false);

	if (filled < fill(p, true))
		filled = fill(p, true);
	if (low < filled)
		low = filled;
	while (low < high && p->n <= HALVE_VMS) {
		uint64_t middle = high - (high - low) / 2;
		int r = fits(p, middle);

		if (r < 0)
			return r;
		if (r)
			low = middle;
		else
			high = middle - 1;
	}
	*out = p->n - low;
	return 0;
}

static int out_alone(const struct plan_least *l, uint64_t *out)
{
	struct packing p = {.n = l->n};
	size_t vms = (size_t)l->n + 1, hosts = (size_t)l->plan->nhosts + 1;
	int r = -ENOMEM;

	p.size = malloc(vms * sizeof(*p.size));
	p.order = malloc(vms * sizeof(*p.order));
	p.place = malloc(vms * sizeof(*p.place));
	p.left = malloc(hosts * sizeof(*p.left));
	p.gaps = malloc(hosts * sizeof(*p.gaps));
	p.free = malloc(hosts * sizeof(*p.free));
	if (p.size && p.order && p.place && p.left && p.gaps && p.free) {
		for (uint32_t i = 0; i < l->n; i++)
			p.size[i] =
				(uint64_t)plan_size(l->plan, plan_of(l->plan, l->vms[i]), l->basis);
		for (uint32_t h = 0; h < l->plan->nhosts; h++)
			if (l->left[h] >= 0)
				p.left[p.nhosts++] = l->left[h];
		qsort(p.size, p.n, sizeof(*p.size), by_number);
		qsort(p.left, p.nhosts, sizeof(*p.left), larger_gap);
		r = pack(&p, out);
	}
	free(p.size);
	free(p.order);
	free(p.place);
	free(p.left);
	free(p.gaps);
	free(p.free);
	return r;
}

/* ---- with sharing -------------------------------------------------------------------------- */

/* What joining changed of a set, to be put back. */
struct undo {
	float pages, sum;
};

struct search {
	const struct plan *plan;
	struct plan_books books;
	uint32_t vms[SEARCH_VMS], hosts[SEARCH_HOSTS];
	double left[SEARCH_HOSTS];
	uint32_t n, nhosts, members[SEARCH_HOSTS];
	/* the way so far: of the VMs before at. choice nhosts: out */
	uint32_t choice[SEARCH_VMS + 1], at;
	double took[SEARCH_VMS];
	struct undo *undo; /* parts of the VMs that have a place, one behind the other */
	size_t nundo;
	uint64_t work; /* left */
};

static uint64_t domain_of(const struct search *s, uint32_t vm, uint32_t h)
{
	return plan_domain(s->plan, vm, s->plan->hosts[s->hosts[h]].mode);
}

static bool is_like_earlier(const struct search *s, uint32_t h)
{
	for (uint32_t i = 0; i < h && !s->members[h]; i++)
		if (!s->members[i] && s->left[i] == s->left[h] &&
		    s->plan->hosts[s->hosts[i]].mode == s->plan->hosts[s->hosts[h]].mode)
			return true;
	return false;
}

/* The VM joins a host, if it fits; 0, 1, -ENOMEM. */
static int join(struct search *s, uint32_t h)
{
	const struct plan_vm *vm = plan_of(s->plan, s->vms[s->at]);
	const struct plan_part *parts = s->plan->parts + vm->part;
	uint64_t domain = domain_of(s, s->vms[s->at], h);
	double size = plan_size(s->plan, vm, PLAN_WITH), saved;
	int r;

	s->work -= s->work < vm->nparts + 1ull ? s->work : vm->nparts + 1ull;
	if (is_like_earlier(s, h))
		return 0;
	saved = plan_books_likeness(&s->books, s->hosts[h], domain, parts, vm->nparts);
	if (size - saved > s->left[h])
		return 0;
	for (uint32_t i = 0; i < vm->nparts; i++) {
		const struct plan_entry *entry =
			plan_books_find(&s->books, s->hosts[h], domain, parts[i].id);

		s->undo[s->nundo + i] = entry ? (struct undo){entry->pages, entry->sum} :
						(struct undo){0, 0};
	}
	r = plan_books_join(&s->books, s->hosts[h], domain, parts, vm->nparts, &saved);
	if (r)
		return r;
	s->nundo += vm->nparts;
	s->took[s->at] = size - saved;
	s->left[h] -= size - saved;
	s->members[h]++;
	return 1;
}

/* The VM before at has no place any more. */
static void leave(struct search *s)
{
	uint32_t vm = s->vms[--s->at], h = s->choice[s->at];
	const struct plan_vm *v = plan_of(s->plan, vm);
	uint64_t domain;

	if (h == s->nhosts)
		return;
	domain = domain_of(s, vm, h);
	s->nundo -= v->nparts;
	for (uint32_t i = 0; i < v->nparts; i++) {
		struct plan_entry *entry = plan_books_find(&s->books, s->hosts[h], domain,
							   s->plan->parts[v->part + i].id);

		entry->members--;
		entry->pages = s->undo[s->nundo + i].pages;
		entry->sum = s->undo[s->nundo + i].sum;
	}
	s->left[h] += s->took[s->at];
	s->members[h]--;
}

/* Every way with so many out, depth first. 1: there is one; 0: none, or it was too much to try. */
static int try_all(struct search *s, uint64_t out)
{
	uint64_t outs = 0;
	int r = 0;

	s->at = 0;
	s->choice[0] = 0;
	while (s->at < s->n && s->work) {
		uint32_t *choice = &s->choice[s->at];

		for (r = 0; *choice < s->nhosts; (*choice)++) {
			r = join(s, *choice);
			if (r)
				break;
		}
		if (r < 0)
			return r;
		if (r || (*choice == s->nhosts && outs < out)) {
			outs += *choice == s->nhosts;
			s->choice[++s->at] = 0;
			continue;
		}
		if (!s->at)
			return 0;
		leave(s);
		outs -= s->choice[s->at] == s->nhosts;
		s->choice[s->at]++;
	}
	r = s->at == s->n;
	while (s->at)
		leave(s);
	return r;
}

static int fill_books(struct search *s, const uint32_t *vms, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct plan_vm *vm = plan_of(s->plan, vms[i]);
		double saved;

		for (uint32_t h = 0; h < s->nhosts; h++) {
			if (s->hosts[h] != vm->host)
				continue;
			s->members[h]++;
			if (plan_books_join(&s->books, vm->host, domain_of(s, vms[i], h),
					    s->plan->parts + vm->part, vm->nparts, &saved))
				return -ENOMEM;
		}
	}
	return 0;
}

static int larger_vm(const void *a, const void *b, void *arg)
{
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	double x = plan_size(arg, plan_of(arg, i), PLAN_WITH);
	double y = plan_size(arg, plan_of(arg, k), PLAN_WITH);

	return x != y ? (x < y) - (x > y) : (i > k) - (i < k);
}

/* s has the plan, hosts and what they have left. */
static int search(struct search *s, const struct plan_least *l, uint64_t *out)
{
	uint64_t work = *l->work < WORK ? *l->work : WORK;
	size_t parts = 0;
	int r;

	s->n = l->n;
	s->work = work;
	memcpy(s->vms, l->vms, l->n * sizeof(*s->vms));
	qsort_r(s->vms, s->n, sizeof(*s->vms), larger_vm, (void *)(uintptr_t)l->plan);
	for (uint32_t i = 0; i < s->n; i++)
		parts += plan_of(l->plan, s->vms[i])->nparts;
	s->undo = malloc((parts + 1) * sizeof(*s->undo));
	r = s->undo ? plan_books_init(&s->books, parts) : -ENOMEM;
	if (!r)
		r = fill_books(s, l->stay, l->nstay);
	for (uint64_t some = 0; some < *out && !r; some++) {
		r = try_all(s, some);
		if (r == 1)
			*out = some;
	}
	*l->work -= work - s->work;
	plan_books_free(&s->books);
	free(s->undo);
	return r < 0 ? r : 0;
}

static int search_fleet(const struct plan_least *l, uint64_t *out)
{
	struct search s = {.plan = l->plan};

	for (uint32_t h = 0; h < l->plan->nhosts; h++) {
		if (l->left[h] < 0)
			continue;
		if (s.nhosts == SEARCH_HOSTS)
			return 0;
		s.left[s.nhosts] = l->left[h];
		s.hosts[s.nhosts++] = h;
	}
	return search(&s, l, out);
}

int plan_least_out(const struct plan_least *least, uint64_t *out)
{
	*out = least->known;
	if (!*out)
		return 0;
	if (least->basis != PLAN_WITH)
		return out_alone(least, out);
	return least->n <= SEARCH_VMS ? search_fleet(least, out) : 0;
}

/* ---- the VMs of one host ------------------------------------------------------------------- */

struct order {
	const struct plan *plan;
	unsigned int mode;
};

static int smaller_vm(const void *a, const void *b, void *arg)
{
	const struct order *order = arg;

	return larger_vm(b, a, (void *)(uintptr_t)order->plan);
}

/* Domains together, each with its smallest first. */
static int domain_together(const void *a, const void *b, void *arg)
{
	const struct order *order = arg;
	uint64_t x = plan_domain(order->plan, *(const uint32_t *)a, order->mode);
	uint64_t y = plan_domain(order->plan, *(const uint32_t *)b, order->mode);

	return x != y ? (x > y) - (x < y) : smaller_vm(a, b, arg);
}

/* In this order, how many fit before the first that does not? */
static int count_fitting(const struct plan *plan, uint32_t host, double capacity,
			 const uint32_t *vms, uint32_t n, uint32_t *fit)
{
	struct plan_books books;
	double used = 0;
	int r = plan_books_init(&books, 256);

	for (*fit = 0; *fit < n && !r; (*fit)++) {
		const struct plan_vm *vm = plan_of(plan, vms[*fit]);
		double saved = 0;

		r = plan_books_join(&books, host,
				    plan_domain(plan, vms[*fit], plan->hosts[host].mode),
				    plan->parts + vm->part, vm->nparts, &saved);
		used += plan_size(plan, vm, PLAN_WITH) - saved;
		if (used > capacity)
			break;
	}
	plan_books_free(&books);
	return r;
}

/* The number of VMs of the host that are out if those that fit by themselves stay. */
static uint64_t gone_alone(const struct plan *plan, uint32_t *vms, uint32_t n, double capacity,
			   enum plan_basis basis)
{
	uint64_t fit = 0;

	/* vms: the smallest by PLAN_WITH first, which is the order of PLAN_ALONE */
	while (fit < n) {
		capacity -= plan_size(plan, plan_of(plan, vms[fit]), basis);
		if (capacity < 0)
			break;
		fit++;
	}
	return n - fit;
}

static int gone_with(const struct plan *plan, uint32_t host, double capacity, uint32_t *vms,
		     uint32_t n, uint64_t *work, uint64_t *out)
{
	int (*const orders[])(const void *, const void *, void *) = {smaller_vm, domain_together};
	struct order order = {plan, plan->hosts[host].mode};
	struct plan_least least = {.plan = plan, .vms = vms, .n = n, .work = work};
	struct search s = {.plan = plan, .hosts = {host}, .left = {capacity}, .nhosts = 1};
	int r = 0;

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]) && !r; i++) {
		uint32_t fit;

		qsort_r(vms, n, sizeof(*vms), orders[i], &order);
		r = count_fitting(plan, host, capacity, vms, n, &fit);
		if (!r && n - fit < *out)
			*out = n - fit;
	}
	return r || n > SEARCH_VMS ? r : search(&s, &least, out);
}

static int by_size(const void *a, const void *b, void *arg)
{
	const struct plan_least *l = arg;
	double x = plan_size(l->plan, plan_of(l->plan, *(const uint32_t *)a), l->basis);
	double y = plan_size(l->plan, plan_of(l->plan, *(const uint32_t *)b), l->basis);

	return (x > y) - (x < y);
}

int plan_least_gone(const struct plan *plan, uint32_t host, double capacity, enum plan_basis basis,
		    uint64_t *work, uint64_t *out)
{
	struct plan_least by = {.plan = plan, .basis = basis};
	uint32_t n = plan->first[host + 1] - plan->first[host];
	uint32_t *vms = malloc(((size_t)n + 1) * sizeof(*vms));
	int r = 0;

	if (!vms)
		return -ENOMEM;
	memcpy(vms, plan->by_host + plan->first[host], n * sizeof(*vms));
	qsort_r(vms, n, sizeof(*vms), by_size, &by);
	*out = gone_alone(plan, vms, n, capacity, basis);
	if (basis == PLAN_WITH)
		r = gone_with(plan, host, capacity, vms, n, work, out);
	free(vms);
	return r;
}
