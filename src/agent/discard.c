/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * discard: MADV_DONTNEED and its like, on pages that lie in a store's mapping, or are out.
 *
 * The kernel's own discard there drops the guest's copy, if there is one, and shows the frame: old
 * content in place of zeros. So the mapping goes first: the nursery, which is empty, is moved over
 * it. That needs no look at pins: to discard a page takes it away from under a device natively too.
 *
 * A page that is out is gone: what it was kept by is given up, and the hole that it leaves reads as
 * zeros. One that is coming in this moment is waited for: the discard takes it away.
 *
 * Where no mapping is to be had, or the nursery does not reach (what a region took back as broken
 * may lie before its nursery's first page, or come before there is one), zeros are written in
 * place: right for the guest, though no memory comes back. The page is BROKEN then, and the
 * kernel's discard must pass it by (offer.c).
 */
#include "agent/discard.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/bringback.h"
#include "agent/guard.h"
#include "agent/nursery.h"
#include "agent/pagein.h"
#include "agent/place.h"
#include "sys/unsafe.h"

/* The states of a run, taken over; restored if nothing comes of it. */
struct discarding {
	struct region *r;
	uint32_t page, n;
	uint8_t was[PS_BLOCK_PAGES];
};

static void zero_in_place(struct agent *a, struct discarding *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		page_set(&d->r->state[d->page + i], d->was[i]);
	guard_wake(a, d->r, d->page, d->n);
	/* where frames are guarded, this waits for the settler: for none of our locks */
	memset(region_page(d->r, d->page), 0, (size_t)d->n * PS_PAGE_SIZE);
	pthread_mutex_lock(&a->settle);
	for (uint32_t i = d->page; i < d->page + d->n; i++)
		if (page_in_store(page_state(&d->r->state[i])))
			note_broken(a, d->r, i, page_state(&d->r->state[i]));
	pthread_mutex_unlock(&a->settle);
}

/* How many pages from page on, within end, lie in a store's mapping, on one side of the nursery's
 * beginning. */
static uint32_t run_at(const struct region *r, uint32_t page, uint32_t end)
{
	uint32_t n = 0;

	while (n < PS_BLOCK_PAGES && page + n < end &&
	       page_in_store(page_state(&r->state[page + n])))
		if (page + ++n == r->nursery_first)
			break;
	return n;
}

static void discard_run(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	struct discarding d = {.r = r, .page = page, .n = n};
	int err = -ENOMEM;

	guard_claim(a, r, page, n, d.was);
	if (r->nursery && page >= r->nursery_first)
		err = place_pages(a, region_page(r, page), nursery_page(r, page),
				  (size_t)n * PS_PAGE_SIZE);
	if (err) {
		zero_in_place(a, &d);
	} else {
		for (uint32_t i = 0; i < n; i++)
			note_own(a, r, page + i, d.was[i]);
		guard_wake(a, r, page, n);
	}
	atomic_fetch_add(&a->discards, n);
}

int discard_pages(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uint32_t end = page + n, run;

	if (ps_without(DEFENCE_DISCARD))
		return 0;
	if (!ps_without(DEFENCE_DISCARD_OUT))
		pagein_drop(a, r, page, n);
	for (uint32_t at = page; at < end; at += run ? run : 1) {
		run = run_at(r, at, end);
		if (run)
			discard_run(a, r, at, run);
	}
	for (uint32_t i = page; i < end; i++) {
		(void)page_claim(&r->state[i], PAGE_ZERO, PAGE_NEW);
		if (page_is(&r->state[i], PAGE_QUARANTINED) &&
		    !page_in_store(page_state(&r->state[i])))
			r->frame[i] = FRAME_DISCARDED;
	}
	return 0;
}
