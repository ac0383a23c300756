/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * leftover: what a region leaves behind.
 *
 * A page that is broken (page.h) is right, and the guest's own, but lies in a frame's mapping.
 * While its region is managed the page's state says so; when the region is given up, the table of
 * states goes, and the mapping stays. A discard there, passed to the kernel as it came, would show
 * the frame again, or what its slot of the store holds by now. So these pages stay known, by
 * address, until the mapping itself goes: unmapped, mapped over, or discarded (then plain memory is
 * put in its place); or until they are a managed region's again, which takes them as broken pages.
 *
 * Invariant: every page of the process that is an anonymous page inside a private mapping of a
 * store, and in no managed region, is in the table. It may hold more: where it is full, the two
 * neighbours with the smallest gap become one. That is right for all memory of a region that was
 * given up: a discard gives zeros there one way or the other.
 *
 * Rejected: keeping the region's tables for it (five bytes a page of the whole region, for a
 * handful of pages), and copying the pages out when the region goes (what is left could not be
 * brought back: a device holds a pin, or no mapping is to be had).
 */
#include "agent/leftover.h"

#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "sys/mapping.h"
#include "sys/proc.h"
#include "sys/uffd.h"

static void show_hull(struct agent *a)
{
	struct leftovers *l = &a->leftovers;

	if (l->n)
		spans_set(&a->spans, SPAN_LEFTOVER, l->of[0].start, l->of[l->n - 1].end);
	else
		spans_clear(&a->spans, SPAN_LEFTOVER);
}

/* Makes room by taking the two that are nearest to each other for one. */
static void join_nearest(struct leftovers *l)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i + 1 < l->n; i++)
		if (l->of[i + 1].start - l->of[i].end < l->of[best + 1].start - l->of[best].end)
			best = i;
	l->of[best].end = l->of[best + 1].end;
	memmove(&l->of[best + 1], &l->of[best + 2], (l->n - best - 2) * sizeof(l->of[0]));
	l->n--;
}

static void insert(struct leftovers *l, struct leftover x)
{
	uint32_t at = 0;

	if (x.start >= x.end)
		return;
	if (l->n == LEFTOVERS_MAX)
		join_nearest(l);
	while (at < l->n && l->of[at].start < x.start)
		at++;
	memmove(&l->of[at + 1], &l->of[at], (l->n - at) * sizeof(l->of[0]));
	l->of[at] = x;
	l->n++;
}

/* Takes piece, a part of one of them, out of the table. */
static void take_out(struct leftovers *l, const struct leftover *piece)
{
	struct leftover before, behind;
	uint32_t i = 0;

	if (l->n == LEFTOVERS_MAX) /* now: later it could join over the piece */
		join_nearest(l);
	while (l->of[i].end <= piece->start)
		i++;
	before = behind = l->of[i];
	memmove(&l->of[i], &l->of[i + 1], (l->n - i - 1) * sizeof(l->of[0]));
	l->n--;
	before.end = piece->start;
	behind.start = piece->end;
	insert(l, before);
	insert(l, behind);
}

void leftover_note(struct agent *a, const struct region *r)
{
	uint32_t page = r->first, n;

	for (; page < r->end; page += n ? n : 1) {
		for (n = 0; page + n < r->end && page_is_broken(page_state(&r->state[page + n]));)
			n++;
		if (!n)
			continue;
		insert(&a->leftovers, (struct leftover){
					      .start = (uintptr_t)region_page(r, page),
					      .end = (uintptr_t)region_page(r, page + n),
					      .prot = PROT_READ | PROT_WRITE,
					      .dontfork = !r->forks,
					      .dontdump = !r->dumps,
				      });
		/* no settler knows them any more */
		uffd_unregister(a->guard, region_page(r, page), (size_t)n * PS_PAGE_SIZE);
		if (r->forks)
			map_advise(region_page(r, page), (size_t)n * PS_PAGE_SIZE, MADV_DOFORK);
	}
	show_hull(a);
}

bool leftover_first(struct agent *a, uintptr_t from, uintptr_t end, struct leftover *out)
{
	for (uint32_t i = 0; i < a->leftovers.n; i++) {
		const struct leftover *l = &a->leftovers.of[i];

		if (l->end <= from || l->start >= end)
			continue;
		*out = *l;
		out->start = from > l->start ? from : l->start;
		out->end = end < l->end ? end : l->end;
		return true;
	}
	return false;
}

void leftover_drop(struct agent *a, uintptr_t start, uintptr_t end)
{
	struct leftover x;

	while (leftover_first(a, start, end, &x))
		take_out(&a->leftovers, &x);
	show_hull(a);
}

void leftover_move(struct agent *a, uintptr_t start, uintptr_t end, uintptr_t to)
{
	struct leftover x;

	leftover_drop(a, to, to + (end - start));
	while (leftover_first(a, start, end, &x)) {
		take_out(&a->leftovers, &x);
		x.start = to + (x.start - start);
		x.end = to + (x.end - start);
		insert(&a->leftovers, x);
	}
	show_hull(a);
}

void leftover_protect(struct agent *a, uintptr_t start, uintptr_t end, int prot)
{
	struct leftover x;

	for (; leftover_first(a, start, end, &x); start = x.end) {
		take_out(&a->leftovers, &x);
		x.prot = prot;
		insert(&a->leftovers, x);
	}
}

/* Where no mapping is to be had: right for the guest, though no memory comes back. */
static int zero_in_place(const struct leftover *l)
{
	static const char zeros[PS_PAGE_SIZE];
	int err = 0;

	for (uintptr_t at = l->start; !err && at < l->end; at += PS_PAGE_SIZE)
		err = sys_write_own((void *)at, zeros, PS_PAGE_SIZE);
	return err;
}

int leftover_discard(struct agent *a, const struct leftover *l)
{
	void *addr = (void *)l->start;
	size_t len = l->end - l->start;

	if (map_zeros(addr, len, l->prot))
		return zero_in_place(l);
	if (l->dontfork)
		map_advise(addr, len, MADV_DONTFORK);
	if (l->dontdump)
		map_advise(addr, len, MADV_DONTDUMP);
	leftover_drop(a, l->start, l->end);
	return 0;
}
