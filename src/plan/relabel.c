/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A placement anew says which VMs belong together. On which host they do it says too, but of hosts
 * of one kind any would do as well: the one where most of their memory is already. The largest such
 * pairs of a heap and a host are taken first, each heap and each host once; what then is left keeps
 * its host, or takes the next of its kind that is free.
 */
#include "plan/relabel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pair {
	uint32_t heap, host; /* heap: the host that the placement names */
	uint64_t pages;
};

struct labels {
	const struct plan *plan;
	struct pair *pairs;
	uint32_t *host; /* of each heap, or PLAN_NONE */
	bool *taken;	/* of each host */
	uint32_t n;
};

static int by_names(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return x->heap != y->heap ? (x->heap > y->heap) - (x->heap < y->heap) :
				    (x->host > y->host) - (x->host < y->host);
}

static int by_pages(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return x->pages != y->pages ? (x->pages < y->pages) - (x->pages > y->pages) :
				      by_names(a, b);
}

static bool same_kind(const struct plan *plan, uint32_t a, uint32_t b)
{
	const struct plan_host *x = &plan->hosts[a], *y = &plan->hosts[b];

	return x->usable == y->usable && x->mode == y->mode && plan_runs(x) && plan_runs(y);
}

/* What each heap has on each host today; the largest first. */
static void count_pairs(struct labels *l, const uint32_t *where)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->plan->nvms; i++) {
		const struct plan_vm *vm = &l->plan->vms[i];

		if (where[i] != PLAN_NONE && same_kind(l->plan, where[i], vm->host))
			l->pairs[l->n++] = (struct pair){where[i], vm->host, vm->touched};
	}
	if (!l->n)
		return;
	qsort(l->pairs, l->n, sizeof(*l->pairs), by_names);
	for (uint32_t i = 1; i < l->n; i++)
		if (by_names(&l->pairs[n], &l->pairs[i]) == 0)
			l->pairs[n].pages += l->pairs[i].pages;
		else
			l->pairs[++n] = l->pairs[i];
	l->n = n + 1;
	qsort(l->pairs, l->n, sizeof(*l->pairs), by_pages);
}

static void give(struct labels *l, uint32_t heap, uint32_t host)
{
	l->host[heap] = host;
	l->taken[host] = true;
}

static void give_rest(struct labels *l)
{
	const struct plan *plan = l->plan;

	for (uint32_t h = 0; h < plan->nhosts; h++)
		if (l->host[h] == PLAN_NONE && !l->taken[h])
			give(l, h, h);
	for (uint32_t heap = 0; heap < plan->nhosts; heap++)
		for (uint32_t h = 0; h < plan->nhosts && l->host[heap] == PLAN_NONE; h++)
			if (!l->taken[h] && same_kind(plan, heap, h))
				give(l, heap, h);
}

int plan_relabel(const struct plan *plan, uint32_t *where)
{
	struct labels l = {.plan = plan};
	int r = -ENOMEM;

	l.pairs = malloc(((size_t)plan->nvms + 1) * sizeof(*l.pairs));
	l.host = malloc(((size_t)plan->nhosts + 1) * sizeof(*l.host));
	l.taken = calloc((size_t)plan->nhosts + 1, sizeof(*l.taken));
	if (l.pairs && l.host && l.taken) {
		memset(l.host, 0xff, ((size_t)plan->nhosts + 1) * sizeof(*l.host));
		count_pairs(&l, where);
		for (uint32_t i = 0; i < l.n; i++)
			if (l.host[l.pairs[i].heap] == PLAN_NONE && !l.taken[l.pairs[i].host])
				give(&l, l.pairs[i].heap, l.pairs[i].host);
		give_rest(&l);
		for (uint32_t i = 0; i < plan->nvms; i++)
			if (where[i] != PLAN_NONE)
				where[i] = l.host[where[i]];
		r = 0;
	}
	free(l.pairs);
	free(l.host);
	free(l.taken);
	return r;
}
