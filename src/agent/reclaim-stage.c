/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reclaim-stage: the hand that stages what looks cold.
 *
 * It goes round all blocks, until as many pages are staged or out as are to be out. In its first
 * round it takes pages that were hinted and not written since; if it finds too few, in the next
 * what was not written since the last look, then anything but what is written all the time, what
 * was out before and was touched there among it. A block whose staged pages come back is passed
 * over for a while. So what is staged is a guess, and costs the guest one move where it was wrong.
 *
 * What somebody who reads all memory has brought in (a migration; reader.c) is staged again at
 * once, before anything else: it was known to be cold.
 */
#include <string.h>

#include "agent/agent.h"
#include "agent/birth.h"
#include "agent/pagein.h"
#include "agent/reclaim-internal.h"
#include "agent/sample.h"
#include "agent/say.h"
#include "agent/stage.h"
#include "sys/pagemap.h"

#define SLICE_BLOCKS 8u
#define RETRY_NS 5000000000ull
#define BUSY_PAGES 32u
#define GREED_MOST 2u
#define GREED_ALL 3u
#define IDLE_SHIFT 4u
#define PACE_PART 8u   /* of a VM may be staged before who reads all of it is slowed down ... */
#define PACE_MIN 4096u /* ... or so many pages */

/* How recently was it written? 0: not since it was hinted ... 3: all the time. One that was out and
 * was touched there is left until nothing colder is found: what is only read shows in no other
 * way. */
static uint32_t heat(const struct region *r, uint32_t page, uint64_t categories)
{
	uint8_t byte = __atomic_load_n(&r->state[page], __ATOMIC_ACQUIRE);

	if (categories & PAGE_IS_WRITTEN)
		return (byte & PAGE_VOLATILE) == PAGE_VOLATILE ? 3 : 2;
	if (region_asked(r, page))
		return 2;
	return (byte & PAGE_STATE) == PAGE_HINTED ? 0 : 1;
}

static void add_range(struct agent *a, const struct region *r, const struct page_region *range,
		      uint32_t greed, uint64_t *map, uint32_t *n)
{
	uint32_t from = (uint32_t)((range->start - r->origin) / PS_PAGE_SIZE);
	uint32_t to = (uint32_t)((range->end - r->origin) / PS_PAGE_SIZE);
	bool huge = range->categories & PAGE_IS_HUGE;
	uint32_t flags = a->link.config.flags;

	if (range->categories & PAGE_IS_PFNZERO)
		return;
	if ((huge && (flags & PS_CONFIG_LARGE) && !region_block(r, from)->split &&
	     greed < GREED_ALL) ||
	    ((huge || region_block(r, from)->was_large) && (flags & PS_CONFIG_MOVE_LOOPS))) {
		a->cold.large_left += to - from;
		return;
	}
	for (uint32_t page = from; page < to; page++) {
		if (!stage_may(r, page) || heat(r, page, range->categories) > greed)
			continue;
		map[page % PS_BLOCK_PAGES / 64] |= 1ull << (page % 64);
		++*n;
	}
}

/* The block's pages that look as cold as that. */
static uint32_t candidates(struct agent *a, const struct region *r, uint32_t block, uint32_t greed,
			   uint64_t *map)
{
	uint32_t first = region_first_of(r, block), end = region_end_of(r, block), found = 0;
	struct page_region ranges[WALK_RANGES];
	uintptr_t walked;
	int n;

	n = pagemap_present(a->pagemap, (uintptr_t)region_page(r, first),
			    (uintptr_t)region_page(r, end), ranges, WALK_RANGES, &walked);
	for (int i = 0; i < n; i++)
		add_range(a, r, &ranges[i], greed, map, &found);
	return found;
}

static bool is_passed_over(struct agent *a, struct block *b, uint32_t greed)
{
	uint8_t busy = __atomic_load_n(&b->busy, __ATOMIC_RELAXED);

	if (a->walk.crowded && !b->gated)
		return true;
	if (busy < BUSY_PAGES || greed == GREED_ALL)
		return false;
	__atomic_store_n(&b->busy, (uint8_t)(busy / 2), __ATOMIC_RELAXED);
	return true;
}

/* Keeps the first n of them. */
static void cut(uint64_t *map, uint64_t n)
{
	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++) {
		if (!(map[i / 64] >> (i % 64) & 1))
			continue;
		if (n)
			n--;
		else
			map[i / 64] &= ~(1ull << (i % 64));
	}
}

static void stage_failed(struct agent *a, long err, uint64_t now)
{
	a->stats.cold_error = (uint64_t)-err;
	a->cold.stage_next = now + RETRY_NS;
	agent_say("pages cannot be staged", (int)-err);
}

void reclaim_bring_whole_back(struct agent *a, struct region *r, uint32_t block)
{
	if (a->link.config.flags & PS_CONFIG_MOVE_LOOPS)
		return;
	sample_is_cold(a, r, block);
	pagein_whole(a, r, block);
}

/* One block. Under act. */
static void stage_block(struct agent *a, struct region *r, uint32_t block, uint64_t now)
{
	uint32_t greed = reclaim_flags(a) & PS_TARGET_SUSPEND ? GREED_ALL : a->cold.greed;
	uint64_t map[PS_BLOCK_PAGES / 64] = {0}, want = reclaim_wanting(a);
	struct block *b = &r->block[block];
	uint32_t n;
	long staged;

	if (is_passed_over(a, b, greed))
		return;
	if (b->whole && greed >= GREED_MOST)
		reclaim_bring_whole_back(a, r, block);
	n = candidates(a, r, block, greed, map);
	if (!n)
		return;
	if (n > want)
		cut(map, want);
	staged = stage_pages(a, r, block, map);
	if (staged < 0) {
		stage_failed(a, staged, now);
		return;
	}
	a->stats.cold_error = 0;
	a->cold.stage_found += (uint64_t)staged;
}

/* The hand has been round. */
static void round_over(struct agent *a)
{
	struct cold *c = &a->cold;

	c->stage_region = c->stage_block = 0;
	a->stats.large_left = c->large_left;
	c->large_left = 0;
	if (reclaim_flags(a) & PS_TARGET_SUSPEND)
		c->suspended = c->stage_found > reclaim_idleness(a) ? 0 : c->suspended + 1;
	else if (c->stage_found < c->stage_wanted)
		c->greed = c->greed < GREED_MOST ? c->greed + 1 : GREED_MOST;
	c->idle = c->stage_found || c->greed < GREED_MOST ? 0 : c->idle + 1;
	c->stage_found = 0;
	c->stage_wanted = reclaim_wanting(a);
}

/* Moves the hand. Returns false at the end of a round. */
static bool stage_next(struct agent *a, uint64_t now)
{
	struct cold *c = &a->cold;
	bool more = false;

	pthread_mutex_lock(&a->act);
	for (; c->stage_region < PS_REGIONS_MAX; c->stage_region++, c->stage_block = 0) {
		struct region *r = &a->region[c->stage_region];

		if (r->life != REGION_MANAGED || c->stage_block >= r->blocks || birth_waits(a, r))
			continue;
		stage_block(a, r, c->stage_block++, now);
		more = true;
		break;
	}
	pthread_mutex_unlock(&a->act);
	return more;
}

/* Between two rounds: what is there changes slowly, and a round looks at all of it. */
static uint64_t rest_ns(const struct cold *c)
{
	if (c->greed < GREED_MOST)
		return QUIET_NS / 8;
	return QUIET_NS << (c->idle < IDLE_SHIFT ? c->idle : IDLE_SHIFT);
}

/* Returns the ns until it goes on. */
uint64_t reclaim_serve_staging(struct agent *a, uint64_t now)
{
	struct cold *c = &a->cold;

	if (!reclaim_wanting(a)) {
		c->greed = 0;
		return UINT64_MAX;
	}
	if (now < c->stage_next)
		return c->stage_next - now;
	for (uint32_t i = 0; i < SLICE_BLOCKS && reclaim_wanting(a); i++) {
		if (stage_next(a, now))
			continue;
		round_over(a);
		c->stage_next = now + rest_ns(c);
		return c->stage_next - now;
	}
	return 0;
}

/* ---- again: what a reader of all memory brought in ------------------------------------------- */

void reclaim_serve_again(struct agent *a, uint64_t now)
{
	struct cold *c = &a->cold;
	uint32_t tail = atomic_load(&c->again_tail), page;
	uint64_t map[PS_BLOCK_PAGES / 64] = {0};
	struct region *r = NULL;
	uint32_t block = 0;

	if (tail - c->again_head > COLD_AGAIN)
		c->again_head = tail - COLD_AGAIN;
	if (c->again_head == tail)
		return;
	pthread_mutex_lock(&a->act);
	for (; c->again_head != tail; c->again_head++) {
		uint32_t said = atomic_exchange(&c->again[c->again_head % COLD_AGAIN], 0);
		struct region *of = said ? region_of(a, said - 1, &page) : NULL;

		if (!of || of->life != REGION_MANAGED || !reclaim_wanting(a))
			continue;
		if (r && (of != r || page / PS_BLOCK_PAGES != block)) {
			long staged = stage_pages(a, r, block, map);

			if (staged < 0)
				stage_failed(a, staged, now);
			memset(map, 0, sizeof(map));
		}
		r = of;
		block = page / PS_BLOCK_PAGES;
		map[page % PS_BLOCK_PAGES / 64] |= 1ull << (page % 64);
	}
	if (r) {
		stage_pages(a, r, block, map);
		c->again_at = now;
	}
	pthread_mutex_unlock(&a->act);
}

/* Pages that may be staged before who reads all memory is slowed down. */
static uint64_t staged_room(const struct agent *a)
{
	uint64_t part = reclaim_pages(a) / PACE_PART;

	return part > PACE_MIN ? part : PACE_MIN;
}

void reclaim_serve_pace(struct agent *a)
{
	struct cold *c = &a->cold;
	uint64_t waiting = atomic_load(&c->again_tail) - c->again_head;

	atomic_store(&c->pace,
		     c->again_at && reclaim_wants_out(a) && c->staged + waiting > staged_room(a));
}
