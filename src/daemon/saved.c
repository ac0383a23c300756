/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A page saves 1 - 1/references of its frame, and the references change with every VM of the
 * domain: so SHRDSVD of one VM cannot be kept as a counter, it has to be summed up. A VM may have
 * millions of pages, and the loop has others to serve, so they are summed up a slice in each turn,
 * over all VMs, once a second, and only while somebody looks. Who asks gets the last sum at once.
 * Metrics are asked for every few seconds for ever, and 50 VMs of 4 GiB are 50 million pages: so a
 * round over all is followed by a rest of SAVED_REST times what it took, at least a second.
 * Counting takes half a hundredth of a core at most; sums of that many pages are some minutes old.
 * The first time a small VM is counted on the spot, of what is left of SLICE in that turn; a
 * larger one is given its part of what its domain saves, until it is counted.
 */
#include "daemon/saved.h"

#include "daemon/member.h"
#include "daemon/vm.h"
#include "sys/proc.h"

#define SLICE 8192u	   /* pages in a turn */
#define SAVED_NS (1 * SEC) /* from one round to the next, at least */
#define SAVED_REST 200u
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
static bool work_on(struct vm *vm, uint64_t round, uint32_t *budget)
{
	if (vm->member && vm->member->saved_at < round && !count(vm->member, budget))
		return true;
	list_for_each(m, &vm->old, struct member, link)
		if (m->saved_at < round && !count(m, budget))
			return true;
	return false;
}

static bool work_on_all(struct daemon *d)
{
	list_for_each(vm, &d->vms, struct vm, link)
		if (work_on(vm, d->saved_round, &d->saved_budget))
			return true;
	return false;
}

bool saved_work(struct daemon *d)
{
	uint64_t start, rest;
	bool more;

	d->saved_budget = SLICE;
	if (d->saved_until <= d->now) {
		d->saved_round = 0; /* what was counted is old when somebody looks again */
		return false;
	}
	if (!d->saved_round && d->now >= d->saved_next)
		d->saved_round = d->now;
	if (d->saved_round) {
		start = sys_now();
		more = work_on_all(d);
		d->saved_spent += sys_now() - start;
		if (more)
			return true;
		rest = d->saved_spent * SAVED_REST;
		d->saved_next = d->now + (rest > SAVED_NS ? rest : SAVED_NS);
		d->saved_round = d->saved_spent = 0;
	}
	daemon_wake_at(d, d->saved_next);
	return false;
}
