/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sample: the working set (policy/workset.h has the arithmetic).
 *
 * At the beginning of a period so many random pages are staged; at its end those that are not out
 * any more have been touched. A page that is out already is as good a sample as another: it is
 * touched if it comes back. One in a huge page is staged with all of that, as one piece, and comes
 * back so: it counts as touched if any part of it is. What costs no memory of its own (holes, the
 * zero page) is no sample; nor is a frame, which cannot be staged: what is found of the other pages
 * goes for all.
 *
 * The first period is one of rest: a VM that has just begun is being populated, and looked at for
 * the first time.
 *
 * What was not touched, and is not to go out for the sake of a target, is put back.
 *
 * Limits: a page that a device has pinned refuses, and is passed over. Reads of the host (a
 * migration) count as touches. The period is of the wall clock, not of the VM's own time.
 */
#include "agent/sample.h"

#include "agent/agent.h"
#include "agent/birth.h"
#include "agent/pagein.h"
#include "agent/stage.h"
#include "sys/pagemap.h"
#include "sys/proc.h"

#define TRIES 8u /* for each page that is wanted */
#define LOOK_NS 1000000000ull
#define COLD UINT32_MAX /* no page: was not touched for as long as it was looked at */
#define LEAST_PART 64u	/* of a small VM's pages no more than one of so many */

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* Of all regions. Under act. */
static uint64_t all_pages(const struct agent *a)
{
	uint64_t all = 0;

	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		if (a->region[i].life == REGION_MANAGED)
			all += a->region[i].end - a->region[i].first;
	return all;
}

static struct region *random_page(struct agent *a, uint32_t *page)
{
	uint64_t all = all_pages(a), at;

	if (!all)
		return NULL;
	at = next_random(&a->sample.random) % all;
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];
		uint32_t n = r->life == REGION_MANAGED ? r->end - r->first : 0;

		if (at < n) {
			*page = r->first + (uint32_t)at;
			return r;
		}
		at -= n;
	}
	return NULL;
}

/* Makes it tell when it is touched. Under act. */
static bool sample_page(struct agent *a, struct region *r, uint32_t page)
{
	uintptr_t addr = (uintptr_t)region_page(r, page), walked;
	uint64_t map[PS_BLOCK_PAGES / 64] = {0};
	struct page_region range;

	if (birth_waits(a, r))
		return false;
	if (page_is_out(page_state(&r->state[page])))
		return true;
	if (!stage_may(r, page) ||
	    pagemap_present(a->pagemap, addr, addr + PS_PAGE_SIZE, &range, 1, &walked) != 1 ||
	    range.categories & PAGE_IS_PFNZERO)
		return false;
	if (a->walk.crowded && !region_block(r, page)->gated)
		return false;
	if (range.categories & PAGE_IS_HUGE)
		return !stage_whole(a, r, page / PS_BLOCK_PAGES);
	map[page % PS_BLOCK_PAGES / 64] = 1ull << (page % 64);
	return stage_pages(a, r, page / PS_BLOCK_PAGES, map) == 1;
}

static void begin(struct agent *a, uint64_t now)
{
	struct sample *s = &a->sample;
	uint32_t want = a->link.config.sample_pages;

	uint64_t most;

	pthread_mutex_lock(&a->act);
	most = all_pages(a) / LEAST_PART;
	pthread_mutex_unlock(&a->act);
	most = most < PS_SAMPLE_PAGES_MAX ? most : PS_SAMPLE_PAGES_MAX;
	want = want < most ? want : (uint32_t)most;
	s->n = 0;
	for (uint32_t i = 0; s->n < want && i < want * TRIES; i++) {
		struct region *r;
		uint32_t page;

		/* one at a time: calls of the VMM need not wait for all of them */
		pthread_mutex_lock(&a->act);
		r = random_page(a, &page);
		if (r && sample_page(a, r, page))
			s->page[s->n++] = r->base + page;
		pthread_mutex_unlock(&a->act);
		if (!r)
			break;
	}
	a->stats.sampled += s->n;
	s->ends = now + (uint64_t)a->link.config.sample_ms * 1000000;
	s->look = now + LOOK_NS;
}

void sample_is_cold(struct agent *a, const struct region *r, uint32_t block)
{
	uint32_t first = r->base + region_first_of(r, block);
	uint32_t end = r->base + region_end_of(r, block);

	for (uint32_t i = 0; i < a->sample.n; i++)
		if (a->sample.page[i] >= first && a->sample.page[i] < end)
			a->sample.page[i] = COLD;
}

/* How many have been touched so far? Under act. */
static uint32_t count_touched(struct agent *a)
{
	uint32_t touched = 0, page;

	for (uint32_t i = 0; i < a->sample.n; i++) {
		const struct region *r;

		if (a->sample.page[i] == COLD)
			continue;
		r = region_of(a, a->sample.page[i], &page);
		touched += !r || r->life != REGION_MANAGED ||
			   !page_is_out(page_state(&r->state[page]));
	}
	return touched;
}

static void put_back(struct agent *a)
{
	uint32_t page;

	if (a->link.target.flags & PS_TARGET_STAGE)
		return; /* reclaim-ripe.c does with them what it does with others */
	for (uint32_t i = 0; i < a->sample.n; i++) {
		struct region *r;

		if (a->sample.page[i] == COLD)
			continue;
		pthread_mutex_lock(&a->act);
		r = region_of(a, a->sample.page[i], &page);
		if (r && r->life == REGION_MANAGED && page_state(&r->state[page]) == PAGE_STAGED)
			pagein_range(a, r, page, 1, a->cold.act_room);
		pthread_mutex_unlock(&a->act);
	}
}

static void end(struct agent *a)
{
	struct sample *s = &a->sample;
	uint32_t touched;

	pthread_mutex_lock(&a->act);
	touched = count_touched(a);
	pthread_mutex_unlock(&a->act);
	a->stats.touched += touched;
	workset_period(&s->set, touched, s->n);
	put_back(a);
	s->n = 0;
	s->ends = 0;
}

uint64_t sample_step(struct agent *a, uint64_t now)
{
	struct sample *s = &a->sample;
	bool off = !a->link.configured || !a->link.config.sample_pages || a->gave_up;

	if (off && !s->ends)
		return UINT64_MAX;
	if (!s->random) { /* the first period is one of rest: memory is new */
		s->random = now;
		s->ends = now + (uint64_t)a->link.config.sample_ms * 1000000;
	}
	if (s->ends && now >= s->ends)
		end(a);
	if (!s->ends) {
		if (off)
			return UINT64_MAX;
		begin(a, now);
	} else if (now >= s->look) {
		s->look = now + LOOK_NS;
		pthread_mutex_lock(&a->act);
		workset_so_far(&s->set, count_touched(a), s->n);
		pthread_mutex_unlock(&a->act);
	}
	return s->ends - now < LOOK_NS ? s->ends - now : LOOK_NS;
}
