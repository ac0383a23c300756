/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A page saves 1 - 1/references of its frame, and the references change with every VM of the
 * domain: so SHRDSVD of one VM cannot be kept as a counter, it has to be summed up. A VM may have
 * millions of pages, and the loop has others to serve, so they are summed up a slice in each turn,
 * over all VMs, once a second, and only while somebody looks. Who asks gets the last sum at once.
 * The first time a small VM is counted on the spot, of what is left of SLICE in that turn; a
 * larger one is given its part of what its domain saves, until it is counted.
 */
#include "daemon/saved.h"

#include "daemon/member.h"
#include "daemon/vm.h"

#define SLICE 8192u	     /* pages in a turn */
#define SAVED_NS (1 * SEC)   /* how old a sum may be */
#define LOOKED_NS (10 * SEC) /* so long after somebody looked the sums are kept */

static uint64_t part_of_domain(const struct member *m)
{
	struct frames_stats stats = frames_stats(m->domain->frames);

	if (stats.refs <= stats.live)
		return 0;
	return (uint64_t)((double)vmmap_mapped(m->map) * (double)(stats.refs - stats.live) /
			  (double)stats.refs);
}

/* Counts on; true when the sum is whole. */
static bool count(struct member *m, uint32_t *budget)
{
	if (!vmmap_saved_step(m->map, m->domain->frames, &m->saved_page, &m->saved_sum, budget))
		return false;
	m->saved = (uint64_t)(m->saved_sum + 0.5);
	m->saved_at = m->domain->daemon->now;
	m->saved_sum = 0;
	m->saved_page = 0;
	return true;
}

static bool is_due(const struct member *m)
{
	return !m->saved_at || m->domain->daemon->now - m->saved_at >= SAVED_NS;
}

static uint64_t saved_of(struct member *m)
{
	struct daemon *d = m->domain->daemon;
	uint64_t mapped = vmmap_mapped(m->map), saved;

	if (is_due(m) && !m->saved_page && mapped + vmmap_hinted(m->map) <= d->saved_budget)
		(void)count(m, &d->saved_budget);
	saved = m->saved_at ? m->saved : part_of_domain(m);
	return saved < mapped ? saved : mapped;
}

uint64_t saved_pages(struct vm *vm)
{
	struct daemon *d = vm->daemon;
	uint64_t pages = vm->member ? saved_of(vm->member) : 0;

	list_for_each(m, &vm->old, struct member, link)
		pages += saved_of(m);
	d->saved_until = d->now + LOOKED_NS;
	daemon_wake_at(d, d->now + SAVED_NS);
	return pages;
}

/* True: the budget is spent and this VM is not done. */
static bool work_on(struct vm *vm, uint32_t *budget)
{
	if (vm->member && is_due(vm->member) && !count(vm->member, budget))
		return true;
	list_for_each(m, &vm->old, struct member, link)
		if (is_due(m) && !count(m, budget))
			return true;
	return false;
}

bool saved_work(struct daemon *d)
{
	d->saved_budget = SLICE;
	if (d->saved_until <= d->now)
		return false;
	list_for_each(vm, &d->vms, struct vm, link)
		if (work_on(vm, &d->saved_budget))
			return true;
	daemon_wake_at(d, d->now + SAVED_NS);
	return false;
}
