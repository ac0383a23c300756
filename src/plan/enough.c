/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * All VMs are placed anew, on the largest hosts first, and on more of the commonest kind when there
 * are no others. One less may do: packing is hard, and this is within some percent.
 *
 * If hosts may fail, then the largest of those that are taken, and the rest has to do. So the
 * largest are set aside, and the others are filled in their order. A host more that is larger than
 * one that was set aside takes its place there: then the one that was set aside is filled. So what
 * is filled is, in this order: the hosts but the largest; those of the largest that are smaller
 * than the commonest kind; and then that kind.
 *
 * A kind is a size and a setting of Mem.ShareForceSalting: what is shared depends on both. No
 * answer depends on the order in which hosts are named.
 */
#include "plan/enough.h"

#include <errno.h>
#include <stdlib.h>

struct kind {
	double usable;
	uint8_t mode;
};

static int larger_kind(const void *a, const void *b)
{
	const struct kind *x = a, *y = b;

	return x->usable != y->usable ? (x->usable < y->usable) - (x->usable > y->usable) :
					(x->mode > y->mode) - (x->mode < y->mode);
}

static struct kind commonest(const struct kind *kinds, uint32_t n)
{
	struct kind found = {0, 2};
	uint32_t best = 0, run = 0;

	for (uint32_t i = 0; i < n; i++) {
		run = i && larger_kind(&kinds[i], &kinds[i - 1]) == 0 ? run + 1 : 1;
		if (run > best) {
			best = run;
			found = kinds[i];
		}
	}
	return found;
}

static void take(struct plan_enough *enough, struct kind kind)
{
	enough->mode[enough->n] = kind.mode;
	enough->capacity[enough->n++] = kind.usable;
}

static int fill(struct plan_enough *enough, const struct kind *kinds, uint32_t n, uint64_t nvms,
		double memory)
{
	uint32_t aside = enough->fail < n ? enough->fail : n, more = 0;
	struct kind common = commonest(kinds, n);

	/* first fit leaves no two hosts of a kind less than half full, and each has a VM */
	if (common.usable > 0) {
		double most = 2 * memory / common.usable + 2;

		more = (uint32_t)(most < (double)nvms ? most : (double)nvms);
	}
	enough->capacity = malloc(((size_t)n + more + 1) * sizeof(*enough->capacity));
	enough->mode = malloc(((size_t)n + more + 1) * sizeof(*enough->mode));
	if (!enough->capacity || !enough->mode)
		return -ENOMEM;
	for (uint32_t i = aside; i < n; i++)
		take(enough, kinds[i]);
	for (uint32_t i = aside; i-- > 0 && kinds[i].usable < common.usable;)
		take(enough, kinds[i]);
	for (uint32_t i = 0; i < more; i++)
		take(enough, common);
	return 0;
}

int plan_enough_init(struct plan_enough *enough, const struct plan *plan, uint64_t nvms,
		     double memory, uint32_t fail)
{
	struct kind *kinds = malloc(((size_t)plan->nhosts + 1) * sizeof(*kinds));
	uint32_t n = 0;
	int r;

	*enough = (struct plan_enough){.fail = fail};
	if (!kinds)
		return -ENOMEM;
	for (uint32_t h = 0; h < plan->nhosts; h++)
		if (plan_counts(&plan->hosts[h]))
			kinds[n++] =
				(struct kind){(double)plan->hosts[h].usable, plan->hosts[h].mode};
	qsort(kinds, n, sizeof(*kinds), larger_kind);
	r = fill(enough, kinds, n, nvms, memory);
	free(kinds);
	return r;
}

void plan_enough_free(struct plan_enough *enough)
{
	free(enough->capacity);
	free(enough->mode);
	*enough = (struct plan_enough){0};
}

int plan_enough_count(const struct plan_enough *enough, const struct plan *plan, uint64_t nvms,
		      enum plan_basis basis, uint32_t *hosts)
{
	struct plan_task task = {.plan = plan,
				 .nvms = nvms,
				 .capacity = enough->capacity,
				 .mode = enough->mode,
				 .n = enough->n,
				 .decreasing = true,
				 .basis = basis,
				 .way = basis == PLAN_WITH ? PLAN_LIKENESS : PLAN_FIRST_FIT};
	struct plan_result result = {0};
	int r = plan_place(&task, &result);

	*hosts = result.homeless ? UINT32_MAX : result.hosts + enough->fail;
	return r;
}
