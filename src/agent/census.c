/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * census: GRANT and LARGE, true within seconds.
 *
 * The walk counts a block when it looks at it. At ESX's rates a look begins once a minute and takes
 * as long as hashing takes, up to an hour: a guest that has grown to 4 GiB was shown with the few
 * MiB that it had when it was first seen. So where looks are far apart, or the one under way has
 * to wait for its rate, the page tables are counted besides: nothing is armed, hashed or changed.
 *
 * Invariants
 *  - Only figures of a block are written: grant, large, unseen. What has appeared since the last
 *    look is unseen; the walk will put that right when it comes by.
 *  - Zero pages and frames are the walk's to judge: states say which are ours.
 *
 * Cost: 2 to 4 ns a page. It rests CENSUS_REST times as long as it took, so it takes a 500th of a
 * core at most, however large the guest is: 64 GiB are counted every half minute.
 *
 * Rejected: Rss of /proc/self/smaps: the kernel walks the same tables under one lock, frames and
 * the VMM's own memory included.
 */
#include "agent/census.h"

#include "agent/agent.h"
#include "agent/pace.h"
#include "sys/pagemap.h"
#include "sys/proc.h"

/* Of a range, the pages that are the guest's memory: of zero pages those that we put there. */
static uint32_t count_range(const struct region *r, const struct page_region *range)
{
	uint32_t from = (uint32_t)((range->start - r->origin) / PS_PAGE_SIZE);
	uint32_t to = (uint32_t)((range->end - r->origin) / PS_PAGE_SIZE);
	uint32_t n = 0;

	if (!(range->categories & PAGE_IS_PFNZERO))
		return to - from;
	for (uint32_t page = from; page < to; page++)
		n += page_state(&r->state[page]) == PAGE_ZERO;
	return n;
}

static void put_figures(struct block *b, uint32_t grant, uint32_t large)
{
	uint32_t unseen = b->unseen;

	if (grant > b->grant)
		unseen += grant - b->grant;
	b->unseen = (uint16_t)(unseen < grant ? unseen : grant);
	b->grant = (uint16_t)grant;
	b->large = (uint16_t)large;
}

/* Under act. */
static void count_block(struct agent *a, struct region *r, uint32_t block)
{
	uint32_t first = block * PS_BLOCK_PAGES, end = first + PS_BLOCK_PAGES;
	struct page_region ranges[WALK_RANGES];
	uint32_t grant = 0, large = 0;
	uintptr_t walked;
	int n;

	first = first < r->first ? r->first : first;
	end = end > r->end ? r->end : end;
	n = pagemap_present(a->pagemap, (uintptr_t)region_page(r, first),
			    (uintptr_t)region_page(r, end), ranges, WALK_RANGES, &walked);
	if (n < 0)
		return; /* the walk will say so */
	for (int i = 0; i < n; i++) {
		grant += count_range(r, &ranges[i]);
		if (ranges[i].categories & PAGE_IS_HUGE)
			large += (uint32_t)((ranges[i].end - ranges[i].start) / PS_PAGE_SIZE);
	}
	for (uint32_t page = first; page < end; page++)
		grant += page_in_store(page_state(&r->state[page]));
	put_figures(&r->block[block], grant, large);
}

/* Returns false when all blocks have been counted. */
static bool next_block(struct agent *a)
{
	struct census *c = &a->census;
	bool more = false;

	pthread_mutex_lock(&a->act);
	for (; c->region < PS_REGIONS_MAX; c->region++, c->block = 0) {
		struct region *r = &a->region[c->region];

		if (r->life != REGION_MANAGED || c->block >= r->blocks)
			continue;
		count_block(a, r, c->block++);
		more = true;
		break;
	}
	pthread_mutex_unlock(&a->act);
	return more;
}

uint64_t census_step(struct agent *a, uint64_t now)
{
	struct census *c = &a->census;
	bool more = true;

	if (!c->under_way) {
		if (now < c->next)
			return c->next - now;
		c->next = now + CENSUS_NS;
		if (pace_is_near(a, now, CENSUS_NS))
			return CENSUS_NS;
		*c = (struct census){.under_way = true, .next = c->next};
	}
	for (uint32_t i = 0; more && i < CENSUS_SLICE_BLOCKS; i++)
		more = next_block(a);
	c->took += sys_now() - now;
	if (more)
		return 0;
	c->under_way = false;
	c->next = now + CENSUS_NS + CENSUS_REST * c->took;
	return c->next - now;
}
