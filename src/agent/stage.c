/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stage: from the guest's own page to the holding area.
 *
 * Goal: to put a page where an access to it is noticed, and brings it back for the price of one
 * move, so that it is known to be cold before anything is paid for making it smaller.
 *
 * The way of some pages of a block:
 *  1. they are OUT: a reader that is about to fill one as a hole has done so, none begins.
 *  2. the block's gate (region_gate_block()): whoever finds nothing there waits for a reader. It
 *     stays for as long as a page of the block is out. It comes after 1, so that no page is among
 *     them whose mapping came back into anonymous memory behind it, not registered yet.
 *  3. UFFDIO_MOVE, run by run, to the page's place in the holding area, which mirrors the region:
 *     no table says where a page is, and neighbours stay neighbours, so that many move at once, a
 *     huge page as that. Pinned pages refuse, and are left alone.
 *  4. STAGED. Who came meanwhile is woken, looks again, and finds a reader.
 *
 * A staged page is what a page in quarantine is: a device that holds a plain reference to it writes
 * into the page that comes back. Nothing goes on from here before it was staged for as long as a
 * quarantine lasts (cold.c).
 *
 * Limits: the holding area is address space as large as the region. What lies in a store's mapping
 * is not staged: a frame costs nothing, and a broken page is brought back first (reshare.c).
 */
#include "agent/stage.h"

#include <errno.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/move.h"
#include "sys/mapping.h"
#include "sys/pagemap.h"
#include "sys/proc.h"
#include "sys/thread.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"

#define STAGE_TRIES 1000u /* -EAGAIN: the kernel's word for "not now" */

bool stage_may(const struct region *r, uint32_t page)
{
	enum page_state state = page_state(&r->state[page]);

	return (state <= PAGE_TWIN || state == PAGE_ZERO) &&
	       !page_is(&r->state[page], PAGE_QUARANTINED | PAGE_UNREF);
}

static size_t shadow_bytes(const struct region *r)
{
	return (size_t)(r->end - r->first) * PS_PAGE_SIZE;
}

/* As far into 2 MiB as the region, so that a huge page has its like there. */
static int make_shadow(struct agent *a, struct region *r)
{
	size_t len = shadow_bytes(r), room = len + 2 * (size_t)PS_BLOCK_SIZE;
	char *reserved, *place;
	int err;

	if (r->shadow)
		return 0;
	reserved = map_reserve(room);
	if (!reserved)
		return -ENOMEM;
	place = (char *)(((uintptr_t)reserved + PS_BLOCK_SIZE - 1) &
			 ~(uintptr_t)(PS_BLOCK_SIZE - 1)) +
		(r->first % PS_BLOCK_PAGES) * PS_PAGE_SIZE;
	err = map_anon(place, len) ? 0 : -ENOMEM;
	if (!err)
		err = uffd_register(a->tracker, place, len, UFFDIO_REGISTER_MODE_WP);
	if (err) {
		map_free(reserved, room);
		return err;
	}
	map_name(place, len, "pshare staged");
	if (place > reserved)
		map_free(reserved, (size_t)(place - reserved));
	if (reserved + room > place + len)
		map_free(place + len, (size_t)(reserved + room - (place + len)));
	r->shadow = place - (size_t)r->first * PS_PAGE_SIZE;
	return 0;
}

void stage_free(struct region *r)
{
	if (r->shadow)
		map_free(stage_page(r, r->first), shadow_bytes(r));
	r->shadow = NULL;
}

void stage_give_back(struct region *r, uint32_t page, uint32_t n)
{
	map_advise(stage_page(r, page), (size_t)n * PS_PAGE_SIZE, MADV_DONTNEED);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static bool has(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

static void note_staged(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	struct block *b = region_block(r, page);

	__atomic_fetch_add(&b->out, n, __ATOMIC_ACQ_REL);
	__atomic_fetch_add(&b->staged, n, __ATOMIC_ACQ_REL);
	atomic_fetch_add(&a->cold.staged, n);
	__atomic_store_n(&b->stage_at, (uint32_t)(sys_now() / 1000000), __ATOMIC_RELAXED);
	for (uint32_t i = page; i < page + n; i++) {
		r->frame[i] = PS_FRAME_NONE;
		region_set_asked(r, i, false);
		page_clear(&r->state[i], PAGE_VOLATILE);
		page_force(&r->state[i], PAGE_STAGED);
	}
	a->stats.stagings += n;
}

/* They stay where they are. */
static void leave_alone(struct region *r, uint32_t page, uint32_t n)
{
	for (uint32_t i = page; i < page + n; i++) {
		page_found_written(&r->state[i]);
		page_set(&r->state[i], PAGE_NEW);
	}
}

static long move_out(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	long moved = move_pages(a, stage_page(r, page), region_page(r, page),
				(size_t)n * PS_PAGE_SIZE, UFFDIO_MOVE_MODE_DONTWAKE);

	if (moved == -EBUSY && region_reown(a, r, page, n))
		moved = move_pages(a, stage_page(r, page), region_page(r, page),
				   (size_t)n * PS_PAGE_SIZE, UFFDIO_MOVE_MODE_DONTWAKE);
	return moved;
}

/* Steps 3 and 4 for pages that follow each other. Returns how many moved. */
static uint32_t stage_run(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uint32_t i = 0, staged = 0, again = 0, at_once = n;

	while (i < n) {
		uint32_t now = at_once < n - i ? at_once : n - i;
		long moved = move_out(a, r, page + i, now);

		if (moved == -EINVAL && now > 1) {
			at_once = 1; /* it lies in several mappings, which have not merged */
		} else if (moved > 0) {
			uint32_t k = (uint32_t)(moved / PS_PAGE_SIZE);

			note_staged(a, r, page + i, k);
			staged += k;
			i += k;
		} else if (moved == -EEXIST && ++again <= STAGE_TRIES) {
			stage_give_back(r, page + i, 1); /* zeros: somebody read there */
		} else if (moved != -EAGAIN || ++again > STAGE_TRIES) {
			leave_alone(r, page + i, 1);
			i++;
		}
	}
	return staged;
}

/* Step 1. Returns the pages that it could be done with in took. */
static bool take_all(struct region *r, uint32_t first, const uint64_t *map, uint64_t *took)
{
	bool any = false;

	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++) {
		if (!has(map, i) || first + i < r->first || first + i >= r->end ||
		    !stage_may(r, first + i))
			continue;
		region_take(r, first + i);
		took[i / 64] |= 1ull << (i % 64);
		any = true;
	}
	return any;
}

static void untake(struct agent *a, struct region *r, uint32_t first, const uint64_t *took)
{
	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++)
		if (has(took, i))
			page_set(&r->state[first + i], PAGE_NEW);
	uffd_wake(a->tracker, region_page(r, first < r->first ? r->first : first), PS_BLOCK_SIZE);
}

long stage_pages(struct agent *a, struct region *r, uint32_t block, const uint64_t *map)
{
	uint32_t first = block * PS_BLOCK_PAGES, n = 0;
	uint64_t took[PS_BLOCK_PAGES / 64] = {0};
	long staged = 0;
	bool any;
	int err = make_shadow(a, r);

	if (err)
		return err;
	/* Under settle: what comes out of a store's mapping is either untracked by now, or none of
	 * these. */
	pthread_mutex_lock(&a->settle);
	any = take_all(r, first, map, took);
	pthread_mutex_unlock(&a->settle);
	if (!any)
		return 0;
	if (ps_without(DEFENCE_GATE_COLD))
		err = 0;
	else
		err = region_gate_block(a, r, block);
	if (err) {
		untake(a, r, first, took);
		return err;
	}
	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i += n ? n : 1) {
		for (n = 0; i + n < PS_BLOCK_PAGES && has(took, i + n);)
			n++;
		if (!n)
			continue;
		staged += stage_run(a, r, first + i, n);
		uffd_wake(a->tracker, region_page(r, first + i), (size_t)n * PS_PAGE_SIZE);
	}
	return staged;
}

/* ---- a huge page ----------------------------------------------------------------------------- */

static uint8_t free_slot(struct agent *a)
{
	uint8_t slot = 0;

	while (slot < COLD_WHOLES && __atomic_load_n(&a->cold.whole_used[slot], __ATOMIC_ACQUIRE))
		slot++;
	return slot;
}

/* All or none of a whole block. */
static bool take_whole(struct region *r, uint32_t first, uint64_t *twin)
{
	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++)
		if (page_state(&r->state[first + i]) > PAGE_TWIN ||
		    page_is(&r->state[first + i], PAGE_QUARANTINED | PAGE_UNREF))
			return false;
	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++)
		if (region_take(r, first + i) == PAGE_TWIN)
			twin[i / 64] |= 1ull << (i % 64);
	return true;
}

static void untake_whole(struct agent *a, struct region *r, uint32_t first, const uint64_t *twin)
{
	__atomic_store_n(&region_block(r, first)->whole, BLOCK_PARTS, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++)
		page_set(&r->state[first + i], has(twin, i) ? PAGE_TWIN : PAGE_NEW);
	uffd_wake(a->tracker, region_page(r, first), PS_BLOCK_SIZE);
}

/* Does a reader look at it now? */
static bool is_looked_at(struct agent *a, const struct region *r)
{
	bool is = false;

	for (uint32_t i = 0; i <= READERS; i++)
		is |= atomic_load(&a->readers.in[i]) == r;
	return is;
}

int stage_whole(struct agent *a, struct region *r, uint32_t block)
{
	uint32_t first = block * PS_BLOCK_PAGES;
	struct block *b = &r->block[block];
	uint64_t twin[PS_BLOCK_PAGES / 64] = {0};
	uint8_t slot = free_slot(a);
	bool took;
	long moved;
	int err = make_shadow(a, r);

	if (err)
		return err;
	if (slot == COLD_WHOLES || first < r->first || first + PS_BLOCK_PAGES > r->end || b->out)
		return -EBUSY;
	pthread_mutex_lock(&a->settle);
	took = take_whole(r, first, twin);
	pthread_mutex_unlock(&a->settle);
	if (!took)
		return -EBUSY;
	/* Whoever asks from now on finds that it is in hand. Who has asked before, and may claim a
	 * part by an answer that is not true any more, is waited for another time. */
	__atomic_store_n(&b->whole, BLOCK_WHOLE_COMING, __ATOMIC_SEQ_CST);
	if (is_looked_at(a, r)) {
		untake_whole(a, r, first, twin);
		return -EBUSY;
	}
	err = region_gate_block(a, r, block);
	moved = err ? err : move_out(a, r, first, PS_BLOCK_PAGES);
	if (moved > 0 && moved < (long)PS_BLOCK_SIZE) {
		/* it was no huge page any more, and a part of it refused */
		__atomic_store_n(&b->whole, BLOCK_PARTS, __ATOMIC_SEQ_CST);
		note_staged(a, r, first, (uint32_t)(moved / PS_PAGE_SIZE));
		for (uint32_t i = (uint32_t)(moved / PS_PAGE_SIZE); i < PS_BLOCK_PAGES; i++)
			page_set(&r->state[first + i], PAGE_NEW);
		uffd_wake(a->tracker, region_page(r, first), PS_BLOCK_SIZE);
		return 0;
	}
	if (moved <= 0) {
		untake_whole(a, r, first, twin);
		return moved ? (int)moved : -EAGAIN;
	}
	for (uint32_t i = 0; i < PS_BLOCK_PAGES / 64; i++)
		a->cold.whole_twin[slot][i] = twin[i];
	a->cold.whole_used[slot] = true;
	b->whole_slot = slot;
	note_staged(a, r, first, PS_BLOCK_PAGES);
	__atomic_store_n(&b->whole, BLOCK_WHOLE, __ATOMIC_SEQ_CST);
	uffd_wake(a->tracker, region_page(r, first), PS_BLOCK_SIZE);
	return 0;
}
