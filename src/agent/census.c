/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk counts what a block has when it visits it. But it visits at the pace of its settings: a
 * look is up to a minute after the one before, stops when it may hash no more, and passes over what
 * rests; so GRANT was minutes late, and what is new was not seen to wait. Here the blocks are
 * counted and nothing else, at a pace of its own, a slice at a time: some 2 us a block, which is
 * 0.05 % of a core for each GiB at most.
 *
 * What is more than at the last count has not been looked at: it waits for its first hash. A visit
 * of the walk counts that exactly again.
 */
#include "agent/census.h"

#include "agent/agent.h"
#include "agent/region.h"
#include "agent/walk.h"
#include "sys/pagemap.h"

#define CENSUS_NS 5000000000ull
#define SLICE_BLOCKS 256u

/* Pages from..to-1 map something else than the kernel's zero page, or nothing: what was zeros there
 * has been written or discarded. */
static void not_zero(struct region *r, uint32_t from, uint32_t to)
{
	for (uint32_t page = from; page < to; page++)
		(void)page_claim(&r->state[page], PAGE_ZERO, PAGE_NEW);
}

/* Pages of a range in which the kernel's zero page is mapped, that were given back. */
static uint32_t given_back(const struct region *r, uint32_t from, uint32_t to)
{
	uint32_t n = 0;

	for (uint32_t page = from; page < to; page++)
		n += page_state(&r->state[page]) == PAGE_ZERO;
	return n;
}

static void count_block(struct agent *a, struct region *r, uint32_t block)
{
	struct page_region ranges[WALK_RANGES];
	uint32_t first = block * PS_BLOCK_PAGES, end = first + PS_BLOCK_PAGES;
	uint32_t grant = 0, large = 0, zero = 0, next;
	struct block *b = &r->block[block];
	uintptr_t walked;
	int n;

	first = first < r->first ? r->first : first;
	end = end > r->end ? r->end : end;
	n = pagemap_present(a->pagemap, (uintptr_t)region_page(r, first),
			    (uintptr_t)region_page(r, end), ranges, WALK_RANGES, &walked);
	next = first;
	for (int i = 0; i < n; i++) {
		uint32_t from = (uint32_t)((ranges[i].start - r->origin) / PS_PAGE_SIZE);
		uint32_t to = (uint32_t)((ranges[i].end - r->origin) / PS_PAGE_SIZE);

		if (ranges[i].categories & PAGE_IS_PFNZERO) {
			not_zero(r, next, from);
			zero += given_back(r, from, to);
			next = to;
		} else {
			grant += to - from;
		}
		if (ranges[i].categories & PAGE_IS_HUGE)
			large += to - from;
	}
	for (uint32_t page = first; page < end; page++)
		grant += page_in_store(page_state(&r->state[page]));
	if (n < 0)
		return;
	not_zero(r, next, end);
	grant += zero;
	if (grant > b->grant)
		b->unseen += (uint16_t)(grant - b->grant);
	if (b->unseen > grant)
		b->unseen = (uint16_t)grant;
	b->grant = (uint16_t)grant;
	b->large = (uint16_t)large;
	b->zero = (uint16_t)zero;
}

/* Of the tables only what was written is memory: the rest reads as zeros. */
static void count_tables(struct agent *a)
{
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];
		uintptr_t at = (uintptr_t)r->state;

		if (r->life == REGION_MANAGED)
			r->table_used = pagemap_own(a->pagemap, at, at + r->table_bytes);
	}
}

/* The next block to count; NULL: all were. */
static struct region *position(struct agent *a)
{
	struct census *c = &a->census;

	for (; c->region < PS_REGIONS_MAX; c->region++, c->block = 0) {
		struct region *r = &a->region[c->region];

		if (r->life == REGION_MANAGED && c->block < r->blocks)
			return r;
	}
	return NULL;
}

void census_step(struct agent *a, uint64_t now)
{
	struct census *c = &a->census;
	struct region *r = NULL;

	if (now < c->next)
		return;
	for (uint32_t n = 0; n < SLICE_BLOCKS && (r = position(a)); n++)
		count_block(a, r, c->block++);
	if (r)
		return; /* it goes on with the next figures */
	c->region = c->block = 0;
	c->next = now + CENSUS_NS;
	count_tables(a);
}
