/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guarded: the settler's way from a frame to a page of the guest's own.
 *
 * Where pins cannot be told (pins.h), a page that broke inside a frame's mapping could never leave
 * it again. So no page is to break: frames stay write-protected, and a write to one wakes the
 * settler, which replaces the frame by a copy in anonymous memory, as bringback.c does for the
 * worker:
 *  1. ask the kernel which pages are protected at this moment. These are frames, and stay so while
 *     `settle` is held.
 *  2. copy the frames' content into the nursery. Frames are immutable, so the copy cannot be out of
 *     date.
 *  3. mremap() the copy over the frames. Before, the guest sees the frame and cannot write; after,
 *     it sees the same bytes and can. There is nothing in between.
 *  4. the state: NEW, and UNREF where the daemon counts a reference. Then wake the writers.
 * No write is lost: a writer is let go only after 3, and what it writes to is the page that stays.
 *
 * A fault says what was so when it happened. The settler may hear of it late: the page, closed by
 * the worker then, has been opened, was written, and a device has pinned it, all while its state
 * still says that it is a frame (the next look finds out). To replace it then would lose what is
 * written meanwhile, and all that the device writes later. Hence 1: in a block that is guarded, a
 * frame that is protected was not written since it was mapped (guarded_protect() claims what it
 * protects until it knows), and in any other block nothing is for the settler to do.
 *
 * When 3 fails (vm.max_map_count), the guest still must go on: the protection is lifted, and the
 * write breaks the page in place. A look finds it there, BROKEN, right for ever. The same happens
 * to a page that is written in the moment between its frame's mapping and its protection.
 *
 * The settler runs guarded_fault() while guest and VMM threads may hold any lock of libc: nothing
 * here allocates, prints through stdio, or waits for anything but the kernel.
 */
#include "agent/guarded.h"

#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/bringback.h"
#include "agent/guard.h"
#include "agent/nursery.h"
#include "agent/pins.h"
#include "agent/place.h"
#include "sys/mapping.h"
#include "sys/pagemap.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"

static int unshare_run(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	char *copy = nursery_page(r, page);
	size_t len = (size_t)n * PS_PAGE_SIZE;
	int err;

	memcpy(copy, region_page(r, page), len);
	ps_pause_without(DEFENCE_FAULT_LATE);
	err = place_pages(a, region_page(r, page), copy, len);
	if (err) {
		/* The nursery is empty when nobody is in it. */
		map_advise(copy, len, MADV_DONTNEED);
		return err;
	}
	for (uint32_t i = page; i < page + n; i++)
		note_own(a, r, i, page_state(&r->state[i]));
	atomic_fetch_add(&a->unshares, n);
	guard_wake(a, r, page, n);
	return 0;
}

/* The state stays: the writer has not written yet, and may never do so (a signal may end its call).
 * Until it has, the guest sees the frame, whose reference must not be given back. A look finds the
 * page when it has broken. */
static void let_break(struct agent *a, struct region *r, uint32_t page)
{
	uffd_protect(a->guard, region_page(r, page), PS_PAGE_SIZE, 0);
	region_block(r, page)->restless = 1;
}

/* The length of the run at page, within end, in which all pages have a frame. */
static uint32_t framed(const struct region *r, uint32_t page, uint32_t end)
{
	uint32_t n = 0;

	while (page + n < end && page_has_frame(page_state(&r->state[page + n])))
		n++;
	return n;
}

/* How many of n pages from page on are protected now. */
static uint32_t protected_run(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uint64_t entry[GUARDED_AHEAD];
	uint32_t k = 0;

	if (ps_without(DEFENCE_FAULT_LATE))
		return n;
	if (!region_block(r, page)->guarded ||
	    pagemap_read(a->pagemap, (uintptr_t)region_page(r, page), entry, n))
		return 0;
	while (k < n && (entry[k] & PM_UFFD_WP))
		k++;
	return k;
}

/* How many pages to unshare for a write to this one: a guest that writes page after page (it
 * clears, copies, reads a file) gets twice as many each time, so that it waits for the settler
 * once for a stretch and not once for a page. One step aside, and it is one page again: what is
 * unshared and then not written costs memory until it is shared anew. */
static uint32_t ahead(struct agent *a, struct region *r, uint32_t page)
{
	struct streak *s = &a->streak;
	uint32_t end = (page / PS_BLOCK_PAGES + 1) * PS_BLOCK_PAGES, n;

	s->len = s->len && r->base + page == s->next ? s->len * 2 : 1;
	if (s->len > GUARDED_AHEAD)
		s->len = GUARDED_AHEAD;
	n = framed(r, page, end < r->end ? end : r->end);
	n = protected_run(a, r, page, n < s->len ? n : s->len);
	s->next = r->base + page + n;
	return n;
}

bool guarded_fault(struct agent *a, struct region *r, uint32_t page)
{
	enum page_state state = page_state(&r->state[page]);
	uint32_t n;

	atomic_fetch_add(&a->faults, 1);
	if (state == PAGE_OUT)
		return false; /* closed: who closed it wakes */
	n = page_has_frame(state) ? ahead(a, r, page) : 0;
	if (n && r->nursery && page >= r->nursery_first && unshare_run(a, r, page, n) == 0)
		return true;
	if (page_in_store(state))
		let_break(a, r, page);
	/* Settled by somebody else: the writer looks again, and comes again if need be. */
	guard_wake(a, r, page, 1);
	return true;
}

void guarded_protect(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uint64_t entry[PS_BLOCK_PAGES];
	uint8_t was[PS_BLOCK_PAGES];
	int err;

	guard_claim(a, r, page, n, was);
	err = guard_close(a, r, page, n);
	if (!err)
		err = pagemap_read_whole(a->pagemap, (uintptr_t)region_page(r, page), entry, n);
	pthread_mutex_lock(&a->settle);
	for (uint32_t i = 0; i < n; i++) {
		if (!page_in_store(was[i]))
			continue;
		if (!err && page_has_frame(was[i]) && pagemap_is_copied(entry[i]))
			note_broken(a, r, page + i, was[i]);
		else
			page_set(&r->state[page + i], was[i]);
	}
	pthread_mutex_unlock(&a->settle);
	guard_open(a, r, page, n);
}

static void follow_block(struct agent *a, struct region *r, uint32_t page, uint32_t end,
			 bool guarded)
{
	uint32_t n;

	for (; page < end; page += n ? n : 1) {
		for (n = 0; page + n < end && page_in_store(page_state(&r->state[page + n]));)
			n++;
		if (n && guarded)
			guarded_protect(a, r, page, n);
		else if (n)
			guard_open(a, r, page, n);
	}
}

void guarded_follow(struct agent *a, struct region *r, uint32_t block)
{
	uint32_t page = block * PS_BLOCK_PAGES;
	uint32_t end = page + PS_BLOCK_PAGES < r->end ? page + PS_BLOCK_PAGES : r->end;
	bool guarded = a->stats.pins == PS_PINS_GUARDED;

	/* A block without a frame too: its first ones must not be plain until the next look. */
	if (r->block[block].guarded == guarded)
		return;
	/* The settler replaces what is protected in a guarded block: not while it is opened. */
	pthread_mutex_lock(&a->settle);
	r->block[block].guarded = guarded;
	pthread_mutex_unlock(&a->settle);
	follow_block(a, r, page < r->first ? r->first : page, end, guarded);
}
