/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bringback: from a store's mapping back into anonymous memory.
 *
 * The way, for a stretch of pages that lie in mappings of a store:
 *  1. claim: their state is OUT; the settler, where frames are guarded, leaves them alone.
 *  2. close (guard.c): from now on who writes waits, and who wants a pin for writing waits too.
 *  3. look which are broken: only these can have been written, and pinned.
 *  4. test those for pins (pins.c). A pinned one stays where it is.
 *  5. keep a reference to each broken one in a pipe, for the quarantine: a device that holds a
 *     plain reference may write to it late. What cannot be kept stays.
 *  6. copy into the nursery, and move that over it, in one mremap() a run. Nobody can have written
 *     between copy and move. The state is NEW; who waited goes on, and writes to the page that
 *     stays.
 *  7. open what is left.
 *
 * A frame that cannot be brought back, for want of a mapping, is broken in place: a write that
 * changes nothing has the kernel copy it. So whoever has called this needs no frame any more.
 */
#include "agent/bringback.h"

#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/guard.h"
#include "agent/nursery.h"
#include "agent/place.h"
#include "sys/mapping.h"
#include "sys/pagemap.h"
#include "sys/proc.h"
#include "sys/unsafe.h"

/* ---- states --------------------------------------------------------------------------------- */

void note_broken(struct agent *a, struct region *r, uint32_t page, enum page_state was)
{
	if (!page_is_broken(was)) {
		r->frame[page] = was == PAGE_SHARED ? PS_FRAME_NONE : FRAME_BROKEN_OLD;
		__atomic_fetch_add(&region_block(r, page)->broken, 1, __ATOMIC_RELAXED);
		atomic_fetch_add(&a->broken, 1);
	}
	if (was == PAGE_SHARED)
		region_give_back(a, r, page);
	page_set(&r->state[page], PAGE_BROKEN);
	region_block(r, page)->restless = 1;
}

void note_own(struct agent *a, struct region *r, uint32_t page, enum page_state was)
{
	struct block *b = region_block(r, page);

	if (page_is_broken(was))
		__atomic_fetch_sub(&b->broken, 1, __ATOMIC_RELAXED);
	if (was == PAGE_SHARED)
		region_give_back(a, r, page);
	r->frame[page] = PS_FRAME_NONE;
	page_set(&r->state[page], PAGE_NEW);
	__atomic_store_n(&b->untracked, 1, __ATOMIC_RELEASE);
	a->untracked = true;
}

/* ---- closing -------------------------------------------------------------------------------- */

static uint32_t stretch(const struct region *r, uint32_t page, uint32_t end)
{
	uint32_t n = 0;

	while (page + n < end && page_in_store(page_state(&r->state[page + n])))
		n++;
	return n;
}

static uint32_t claim(struct agent *a, struct region *r, uint32_t page, uint32_t n,
		      struct closed *c)
{
	uint32_t k = 0;

	pthread_mutex_lock(&a->settle);
	for (uint32_t i = page; i < page + n; i++) {
		enum page_state was = page_state(&r->state[i]);

		if (!page_in_store(was)) /* unshared by the settler this moment */
			continue;
		page_set(&r->state[i], PAGE_OUT);
		c[k++] = (struct closed){.r = r, .page = i, .was = (uint8_t)was};
	}
	pthread_mutex_unlock(&a->settle);
	return k;
}

/* A page of which it cannot be told stays where it is, and keeps its frame: as a frame it would not
 * be tested for pins; as a broken one its reference would be given back, with the frame still in
 * the guest's sight. */
static void look_which_broken(struct agent *a, struct closed *c, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t entry = 0;
		uintptr_t addr = (uintptr_t)region_page(c[i].r, c[i].page);

		c[i].pinned = pagemap_read_whole(a->pagemap, addr, &entry, 1) != 0;
		c[i].broken = !c[i].pinned && pagemap_is_copied(entry);
	}
}

uint32_t close_untested(struct agent *a, struct region *r, uint32_t page, uint32_t n,
			struct closed *c)
{
	uint32_t end = page + n, count = 0, k;

	for (uint32_t at = page; at < end; at += k ? k : 1) {
		uint32_t claimed;

		k = stretch(r, at, end);
		if (!k)
			continue;
		claimed = claim(a, r, at, k, &c[count]);
		if (!claimed)
			continue;
		/* From border to border: what the settler took out of the middle meanwhile is
		 * anonymous memory, and cannot be closed with the rest. */
		if (claimed != k || guard_close(a, r, at, k)) {
			look_which_broken(a, &c[count], claimed);
			open_pages(a, &c[count], claimed);
			continue;
		}
		look_which_broken(a, &c[count], claimed);
		count += claimed;
	}
	return count;
}

static uint32_t count_broken(const struct closed *c, uint32_t n)
{
	uint32_t broken = 0;

	for (uint32_t i = 0; i < n; i++)
		broken += c[i].broken;
	return broken;
}

uint32_t close_pages(struct agent *a, struct region *r, uint32_t page, uint32_t n, struct closed *c)
{
	uint32_t count = close_untested(a, r, page, n, c);

	for (uint32_t i = 0; i < count; i++)
		c[i].ask = c[i].broken;
	if (count_broken(c, count))
		pins_test(a, c, count);
	return count;
}

void open_pages(struct agent *a, struct closed *c, uint32_t n)
{
	uint32_t i = 0, k;

	for (; i < n; i += k) {
		for (k = 0; i + k < n && c[i + k].r == c[i].r && c[i + k].page == c[i].page + k;
		     k++) {
			struct closed *p = &c[i + k];

			if (p->broken && !page_is_broken(p->was))
				note_broken(a, p->r, p->page, p->was);
			else
				page_set(&p->r->state[p->page], p->was);
		}
		guard_open(a, c[i].r, c[i].page, k);
	}
}

/* ---- bringing back --------------------------------------------------------------------------- */

static bool may_come_back(const struct closed *p)
{
	/* what is said to be broken and is not there cannot be closed: it stays */
	return !p->pinned && (p->broken || page_has_frame(p->was)) && p->r->nursery &&
	       p->page >= p->r->nursery_first;
}

/* How many from c on are alike: neighbours, all broken or all frames, all to come back or none. */
static uint32_t alike(const struct closed *c, uint32_t n)
{
	uint32_t k = 1;

	while (k < n && c[k].r == c[0].r && c[k].page == c[0].page + k &&
	       c[k].broken == c[0].broken && may_come_back(&c[k]) == may_come_back(&c[0]))
		k++;
	return k;
}

/* Step 5 for k broken pages: their slots, NULL if they cannot all be kept. The slots hold what the
 * pages were. */
static char *keep_broken(struct agent *a, const struct closed *c, uint32_t k)
{
	char *slot = quarantine_take(&a->quarantine, k);
	char *addr = region_page(c->r, c->page);

	if (!slot || quarantine_keep(a, slot, addr, k) < k)
		return NULL;
	memcpy(slot, addr, (size_t)k * PS_PAGE_SIZE);
	return slot;
}

static void note_kept(struct agent *a, const struct closed *c, uint32_t k, const char *slot)
{
	quarantine_supersede(a, c->r, c->page, k);
	quarantine_note(a, slot, c->r, c->page, k, QUARANTINE_COPY, NULL, 0);
}

/* Steps 5 and 6 for k pages that are alike. */
static bool move_run(struct agent *a, struct closed *c, uint32_t k)
{
	char *addr = region_page(c->r, c->page), *copy = nursery_page(c->r, c->page), *slot = NULL;
	size_t len = (size_t)k * PS_PAGE_SIZE;
	bool keep = c->broken && !ps_without(DEFENCE_KEEP_BROKEN);

	if (keep) {
		slot = keep_broken(a, c, k);
		/* where nothing that is open could write late, it is only for good measure */
		if (!slot && a->stats.pins != PS_PINS_DESCRIPTORS)
			return false;
	}
	memcpy(copy, slot ? slot : addr, len);
	ps_pause_at(HOOK_PAUSE_BATCH);
	if (place_pages(a, addr, copy, len)) {
		map_advise(copy, len, MADV_DONTNEED);
		return false;
	}
	for (uint32_t i = 0; i < k; i++)
		note_own(a, c[i].r, c[i].page, c[i].was);
	if (slot)
		note_kept(a, c, k, slot);
	guard_wake(a, c->r, c->page, k);
	a->stats.brought_back += k;
	return true;
}

uint32_t bring_back_closed(struct agent *a, struct closed *c, uint32_t n)
{
	uint32_t left = 0, k;

	for (uint32_t i = 0; i < n; i += k) {
		k = alike(&c[i], n - i);
		if (k > QUARANTINE_PIPE_PAGES)
			k = QUARANTINE_PIPE_PAGES;
		if (may_come_back(&c[i]) && move_run(a, &c[i], k))
			continue;
		open_pages(a, &c[i], k);
		left += k;
	}
	return left;
}

/* A frame that stays for want of a mapping. The write waits for the settler where it is guarded, so
 * no lock of his is held. */
static void break_in_place(struct agent *a, struct region *r, uint32_t page)
{
	enum page_state was = page_state(&r->state[page]);

	if (!page_has_frame(was))
		return;
	__atomic_fetch_or(region_page(r, page), 0, __ATOMIC_RELAXED);
	pthread_mutex_lock(&a->settle);
	was = page_state(&r->state[page]);
	if (page_has_frame(was))
		note_broken(a, r, page, was);
	pthread_mutex_unlock(&a->settle);
}

uint32_t bring_back(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uint32_t end = page + n, left = 0, k;

	for (; page < end; page += k) {
		uint32_t count;

		k = end - page < BRING_BACK_PAGES ? end - page : BRING_BACK_PAGES;
		count = close_pages(a, r, page, k, a->closed);
		bring_back_closed(a, a->closed, count);
		for (uint32_t i = page; i < page + k; i++) {
			break_in_place(a, r, i);
			left += page_in_store(page_state(&r->state[i]));
		}
	}
	return left;
}

uint32_t bring_back_all(struct agent *a, struct region *r)
{
	return bring_back(a, r, r->first, r->end - r->first);
}
