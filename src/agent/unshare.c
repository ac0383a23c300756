/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unshare: from a frame back to a page of the guest's own.
 *
 * The way, for a run of n pages:
 *  1. copy the frames' content into the nursery (nursery.c). Frames are immutable, so the copy
 *     cannot be out of date.
 *  2. mremap() the copy over the frames. Before, the guest sees the frame and cannot write; after,
 *     it sees the same bytes and can. There is nothing in between.
 *  3. the state: NEW, and UNREF where the daemon counts a reference. Then wake the writers.
 *  4. later, by the worker (unshare_track): register the pages with the tracker again; the kernel
 *     then merges them with their neighbours. Until then the walk does not see them, which is
 *     right: what is not armed counts as written. Not here: it is 2 us that a writer on the same
 *     processor would wait for.
 *
 * No write is lost: a writer is let go only after 2, and what it writes to is the page that stays.
 *
 * When 2 fails (vm.max_map_count), the guest still must go on: the write-protection is lifted, and
 * a write that changes nothing has the kernel copy the page in place, inside the frame's mapping.
 * Such a page is right for ever but can never be taken out again (UFFDIO_MOVE takes no page of a
 * file's mapping): STUCK, counted.
 *
 * The settler runs unshare_fault() while guest and VMM threads may hold any lock of libc: nothing
 * here allocates, prints through stdio, or waits for anything but the kernel.
 */
#include "agent/unshare.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/nursery.h"
#include "agent/over.h"
#include "sys/mapping.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"

/* Steps 3 and 4: what every way out of a frame ends with. */
static void settle_pages(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	char *addr = region_page(r, page);
	size_t len = (size_t)n * PS_PAGE_SIZE;

	for (uint32_t i = page; i < page + n; i++) {
		enum page_state state = page_state(&r->state[i]);

		/* A stuck page lies in its frame's mapping: only its discard gives the frame
		 * back. */
		if (state == PAGE_SHARED || (state == PAGE_STUCK && r->frame[i] != PS_FRAME_NONE)) {
			page_mark(&r->state[i], PAGE_UNREF);
			__atomic_store_n(&region_block(r, i)->unrefs, 1, __ATOMIC_RELEASE);
			a->unrefs = true;
		}
		page_set(&r->state[i], PAGE_NEW);
	}
	for (uint32_t i = page / PS_BLOCK_PAGES; i <= (page + n - 1) / PS_BLOCK_PAGES; i++)
		__atomic_store_n(&r->block[i].untracked, 1, __ATOMIC_RELEASE);
	a->untracked = true;
	uffd_wake(a->guard, addr, len);
}

static int copy_over(struct agent *a, struct region *r, uint32_t page, uint32_t n,
		     const char *content)
{
	char *copy = nursery_page(r, page);
	size_t len = (size_t)n * PS_PAGE_SIZE;
	int err;

	memcpy(copy, content, len);
	err = over_map(a, region_page(r, page), copy, len);
	if (err) {
		/* The nursery is empty when nobody is in it. */
		map_advise(copy, len, MADV_DONTNEED);
		return err;
	}
	settle_pages(a, r, page, n);
	atomic_fetch_add(&a->unshares, n);
	return 0;
}

/* Lets the kernel copy in place. -EAGAIN: an mremap() event is waiting to be read. */
static int stick(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	int err;

	/* First the state: the settler must not meet a page that it takes for a frame's. */
	for (uint32_t i = page; i < page + n; i++) {
		if (page_state(&r->state[i]) == PAGE_STUCK)
			continue;
		if (page_state(&r->state[i]) != PAGE_SHARED)
			r->frame[i] = PS_FRAME_NONE; /* nobody counts a reference of an old frame */
		page_set(&r->state[i], PAGE_STUCK);
		atomic_fetch_add(&a->stuck, 1);
	}
	err = uffd_protect(a->guard, region_page(r, page), (size_t)n * PS_PAGE_SIZE, 0);
	if (err)
		return err;
	/* Copied now and not when the guest writes: who leaves a domain, or gives up a region,
	 * gives all references back, and the frame may be punched the next moment. */
	for (uint32_t i = 0; i < n; i++)
		__atomic_fetch_or(region_page(r, page + i), 0, __ATOMIC_RELAXED);
	return 0;
}

int unshare_run(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	return copy_over(a, r, page, n, region_page(r, page));
}

int unshare_with(struct agent *a, struct region *r, uint32_t page, const char *content)
{
	return copy_over(a, r, page, 1, content);
}

/* The length of the run at page, within end, in which all pages have a frame. */
static uint32_t framed(const struct region *r, uint32_t page, uint32_t end)
{
	uint32_t n = 0;

	while (page + n < end && n < UNSHARE_PAGES &&
	       page_has_frame(page_state(&r->state[page + n])))
		n++;
	return n;
}

/* How many pages to unshare for a write to this one: a guest that writes page after page (it
 * clears, copies, reads a file) gets twice as many each time, so that it waits for the settler
 * once for a stretch and not once for a page. One step aside, and it is one page again: what is
 * unshared and then not written costs memory until it is shared anew. */
static uint32_t ahead(struct agent *a, const struct region *r, uint32_t page)
{
	struct streak *s = &a->streak;
	uint32_t end = (page / PS_BLOCK_PAGES + 1) * PS_BLOCK_PAGES, n;

	s->len = s->len && r->base + page == s->next ? s->len * 2 : 1;
	if (s->len > UNSHARE_AHEAD)
		s->len = UNSHARE_AHEAD;
	n = framed(r, page, end < r->end ? end : r->end);
	n = n < s->len ? n : s->len;
	s->next = r->base + page + n;
	return n;
}

void unshare_fault(struct agent *a, struct region *r, uint32_t page)
{
	enum page_state state = page_state(&r->state[page]);

	atomic_fetch_add(&a->faults, 1);
	if (page_has_frame(state) && unshare_run(a, r, page, ahead(a, r, page)) == 0)
		return;
	if ((page_has_frame(state) || state == PAGE_STUCK) && stick(a, r, page, 1) == 0)
		return;
	/* Out, or settled by somebody else: the writer looks again, and comes again if need be. */
	uffd_wake(a->guard, region_page(r, page), PS_PAGE_SIZE);
}

void unshare_give_up(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	if (unshare_run(a, r, page, n))
		stick(a, r, page, n);
}

void unshare_all(struct agent *a, struct region *r)
{
	for (uint32_t b = 0; b < r->blocks; b++) {
		uint32_t page = b * PS_BLOCK_PAGES;
		uint32_t end = page + PS_BLOCK_PAGES < r->end ? page + PS_BLOCK_PAGES : r->end;

		while (page < end) {
			uint32_t n = framed(r, page, end);

			if (n)
				unshare_give_up(a, r, page, n);
			page += n ? n : 1;
		}
	}
}

/* The nursery is empty: moving part of it over frames leaves nothing there. Where no mapping is to
 * be had, zeros are written in place: right for the guest, though no memory comes back. */
static int discard_run(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	int err =
		over_map(a, region_page(r, page), nursery_page(r, page), (size_t)n * PS_PAGE_SIZE);

	if (!err) {
		settle_pages(a, r, page, n);
	} else {
		err = stick(a, r, page, n);
		if (err)
			return err;
		memset(region_page(r, page), 0, (size_t)n * PS_PAGE_SIZE);
	}
	atomic_fetch_add(&a->discards, n);
	return 0;
}

static bool mapped_from_store(const struct region *r, uint32_t page)
{
	enum page_state state = page_state(&r->state[page]);

	return page_has_frame(state) || state == PAGE_STUCK;
}

int unshare_discard(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uint32_t end = page + n, run;

	if (ps_unsafe("no-discard"))
		return 0;
	for (uint32_t at = page; at < end; at += run ? run : 1) {
		int err = 0;

		for (run = 0;
		     run < PS_BLOCK_PAGES && at + run < end && mapped_from_store(r, at + run);)
			run++;
		if (run)
			err = discard_run(a, r, at, run);
		if (err)
			return err;
	}
	/* What is stuck still needs the number of its frame, whose reference it has. */
	for (uint32_t i = page; i < end; i++)
		(void)page_claim(&r->state[i], PAGE_ZERO, PAGE_NEW);
	for (uint32_t i = page; i < end; i++)
		if (page_is(&r->state[i], PAGE_QUARANTINED) && !mapped_from_store(r, i))
			r->frame[i] = FRAME_DISCARDED;
	return 0;
}

static bool is_own(const struct region *r, uint32_t page)
{
	return !mapped_from_store(r, page);
}

static void track_block(struct agent *a, struct region *r, uint32_t block)
{
	uint32_t page = block * PS_BLOCK_PAGES, k;
	uint32_t end = page + PS_BLOCK_PAGES < r->end ? page + PS_BLOCK_PAGES : r->end;

	r->block[block].restless = 1;
	for (page = page < r->first ? r->first : page; page < end; page += k ? k : 1) {
		for (k = 0; page + k < end && is_own(r, page + k);)
			k++;
		if (k && uffd_register(a->tracker, region_page(r, page), (size_t)k * PS_PAGE_SIZE,
				       UFFDIO_REGISTER_MODE_WP)) {
			/* Out of sight of the walk, never wrong; tried again. */
			r->block[block].untracked = 1;
			a->untracked = true;
		}
	}
}

void unshare_track(struct agent *a)
{
	if (!atomic_exchange(&a->untracked, false))
		return;
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		for (uint32_t b = 0; r->life == REGION_MANAGED && b < r->blocks; b++)
			if (__atomic_exchange_n(&r->block[b].untracked, 0, __ATOMIC_ACQ_REL))
				track_block(a, r, b);
	}
}
