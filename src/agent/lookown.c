/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lookown: looks at the guest's own pages in anonymous memory (walk.c tells the whole).
 *
 * Reading guest memory here cannot wait for anybody: only this thread takes pages out, and `act`
 * keeps the VMM from unmapping what is read.
 */
#include "agent/lookown.h"

#include <errno.h>

#include "agent/agent.h"
#include "agent/hash.h"
#include "agent/pace.h"
#include "agent/say.h"
#include "agent/share.h"
#include "agent/uplink.h"
#include "sys/pagemap.h"

/* Was it refused again and again, and would be once more? Its turn comes in a full look. */
static bool is_refused_for_now(const struct visit *v, uint8_t state)
{
	return v->a->walk.crowded && (state & PAGE_VOLATILE) == PAGE_VOLATILE &&
	       visit_turn(v) % WALK_CROWDED_LOOKS != 0;
}

/* Is the page in a block that is written all the time, and not one that tells whether it still is?
 */
static bool is_hot(const struct visit *v, uint32_t page)
{
	return v->b->hot && (visit_turn(v) % WALK_HOT_LOOKS != 0 || page % WALK_HOT_SAMPLE != 0);
}

/* Nearly all that was armed is written at the next look: the guest paid a fault for each page, and
 * nothing came of it. */
void own_judge_hot(struct visit *v)
{
	if (v->armed >= WALK_HOT_PAGES)
		v->b->hot = v->written > v->armed - v->armed / WALK_HOT_PART;
}

static void add_zero(struct visit *v, uint32_t page)
{
	uint32_t i = page % PS_BLOCK_PAGES;

	v->zeros[i / 64] |= 1ull << (i % 64);
	v->any_zeros = true;
}

void own_flush_zeros(struct visit *v)
{
	if (!v->any_zeros)
		return;
	if (v->b->was_large && (v->a->link.config.flags & PS_CONFIG_MOVE_LOOPS))
		return;
	share_zero(v->a, v->r, v->first / PS_BLOCK_PAGES * PS_BLOCK_PAGES, v->zeros);
}

/* Zero, or a hint. Returns the page's hash, 0 for zeros. */
static uint64_t judge_content(struct visit *v, uint32_t page)
{
	uint8_t *state = &v->r->state[page];
	const char *content = region_page(v->r, page);
	uint64_t hash;

	v->a->stats.scanned++;
	if (page_is_zero(content)) {
		if (block_is_kept(v->b, v->a->link.config.flags))
			page_set(state, PAGE_TWIN);
		else
			add_zero(v, page);
		likeness_forget(&v->a->likeness, v->r->base + page);
		return 0;
	}
	hash = page_hash(content, v->s->seed);
	likeness_note(&v->a->likeness, v->r->base + page, content);
	if (!(v->a->link.config.flags & PS_CONFIG_ZERO_ONLY)) {
		link_up(&v->a->link, PS_U_HINT, 0, 0, v->r->base + page, hash);
		v->a->stats.hinted++;
	}
	page_set(state, PAGE_HINTED);
	return hash;
}

/* The page is stable. */
static void hash_page(struct visit *v, uint32_t page)
{
	if (visit_may_hash(v, page, &v->a->walk.next_own))
		(void)judge_content(v, page);
	else
		v->restless = true; /* come back for it */
}

/* Found as armed and not written. */
static void look_clean(struct visit *v, uint32_t page)
{
	uint8_t byte = __atomic_load_n(&v->r->state[page], __ATOMIC_ACQUIRE);

	switch (byte & PAGE_STATE) {
	case PAGE_ARMED:
		v->armed++;
		page_found_stable(&v->r->state[page]);
		break;
	case PAGE_NEW:
		if (is_refused_for_now(v, byte))
			return;
		if (!visit_is_due(v, byte)) {
			v->restless = true;
			return;
		}
		break;
	default:
		return;
	}
	if (byte & (PAGE_QUARANTINED | PAGE_UNREF)) {
		v->restless = true; /* not before the daemon has its reference back */
		return;
	}
	hash_page(v, page);
}

/* Found as written: true if it is to be armed now. */
static bool look_written(struct visit *v, uint32_t page)
{
	uint8_t *state = &v->r->state[page];
	uint8_t byte = __atomic_load_n(state, __ATOMIC_ACQUIRE);

	switch (byte & PAGE_STATE) {
	case PAGE_ARMED: /* between two looks: it was armed for nothing */
		v->armed++;
		v->written++;
		page_found_written(state);
		page_set(state, PAGE_NEW);
		break;
	case PAGE_HINTED:
	case PAGE_TWIN:
	case PAGE_ZERO:
		page_set(state, PAGE_NEW);
		break;
	case PAGE_NEW:
		break;
	default:
		return false;
	}
	if (!visit_is_due(v, *state) || is_hot(v, page))
		return false;
	page_set(state, PAGE_ARMED);
	v->a->walk.armed++;
	v->restless = true;
	return true;
}

static void look_written_range(struct visit *v, uint32_t from, uint32_t to)
{
	uint32_t start = from;

	for (uint32_t page = from; page <= to; page++) {
		if (page < to && look_written(v, page))
			continue;
		if (page > start && pagemap_arm(v->a->pagemap, (uintptr_t)region_page(v->r, start),
						(uintptr_t)region_page(v->r, page)))
			agent_say("pages cannot be armed", EIO);
		start = page + 1;
	}
}

/* The parts have no state that says "hashed in this look": the block remembers how far it came. */
static void look_large(struct visit *v, uint32_t from, uint32_t to)
{
	uint32_t block = v->first / PS_BLOCK_PAGES * PS_BLOCK_PAGES;
	uint16_t look = (uint16_t)v->a->walk.look;

	bool at_once = pace_is_first(v->a) && !v->b->large_look;

	if (look % WALK_LARGE_LOOKS != 1 && !at_once && v->b->large_look != look)
		return;
	if (v->b->large_look != look) {
		v->b->large_look = look;
		v->b->large_next = 0;
		v->b->large_twin = v->b->twin;
	}
	if (from < block + v->b->large_next)
		from = block + v->b->large_next;
	for (uint32_t page = from; page < to; page++) {
		uint64_t hash = 0;

		if (!page_is(&v->r->state[page], PAGE_QUARANTINED | PAGE_UNREF)) {
			if (!visit_may_hash(v, page, &v->a->walk.next_own)) {
				v->restless = true;
				break;
			}
			hash = judge_content(v, page);
		}
		large_still_add(&v->b->still, page - block, hash);
		v->b->large_next = (uint16_t)(page + 1 - block);
	}
}

/* Huge pages that are not to be kept whole are looked at like any other memory. */
static bool keep_large(const struct visit *v, uint64_t categories)
{
	return (categories & PAGE_IS_HUGE) && !v->b->split &&
	       (v->a->link.config.flags & PS_CONFIG_LARGE);
}

/* The kernel's zero page: ours, in place of what was taken out, or of a guest that only read. The
 * latter is no memory, neither in use nor saved. */
static void look_zero(struct visit *v, uint32_t page)
{
	enum page_state state = page_state(&v->r->state[page]);
	uint32_t i = page % PS_BLOCK_PAGES;

	v->mapped_zero[i / 64] |= 1ull << (i % 64);
	if (state <= PAGE_TWIN)
		page_set(&v->r->state[page], PAGE_NEW);
	if (state != PAGE_ZERO)
		return;
	v->b->zero++;
	v->b->grant++;
}

/* What was zeros and is not mapped any more (discarded): whatever comes there is new. */
void own_forget_zeros(struct visit *v)
{
	for (uint32_t page = v->first; page < v->end; page++) {
		uint32_t i = page % PS_BLOCK_PAGES;

		if (!(v->mapped_zero[i / 64] & 1ull << (i % 64)))
			(void)page_claim(&v->r->state[page], PAGE_ZERO, PAGE_NEW);
	}
}

/* How many of these pages wait for their first hash? Those that are written all the time do not. */
static uint32_t count_unseen(const struct visit *v, uint32_t from, uint32_t to)
{
	uint32_t n = 0;

	for (uint32_t page = from; page < to; page++)
		n += page_state(&v->r->state[page]) <= PAGE_ARMED &&
		     !page_is(&v->r->state[page], PAGE_VOLATILE);
	return n;
}

/* The same of the parts of huge pages, which have no state. */
static uint32_t count_unseen_large(const struct visit *v, uint32_t from, uint32_t to)
{
	uint32_t next = v->first / PS_BLOCK_PAGES * PS_BLOCK_PAGES + v->b->large_next;

	if (!v->b->large_look)
		return to - from;
	return to > next ? to - (from > next ? from : next) : 0;
}

void own_look(struct visit *v, const struct page_region *range)
{
	uint32_t from = (uint32_t)((range->start - v->r->origin) / PS_PAGE_SIZE);
	uint32_t to = (uint32_t)((range->end - v->r->origin) / PS_PAGE_SIZE);
	uint32_t page;

	if (!(range->categories & PAGE_IS_PFNZERO))
		v->b->grant += (uint16_t)(to - from);
	if (range->categories & PAGE_IS_HUGE) {
		v->b->large += (uint16_t)(to - from);
		v->b->was_large = 1;
	}
	if (range->categories & PAGE_IS_PFNZERO) {
		for (page = from; page < to; page++)
			look_zero(v, page);
	} else if (keep_large(v, range->categories)) {
		look_large(v, from, to);
		v->b->unseen += (uint16_t)count_unseen_large(v, from, to);
	} else if (range->categories & PAGE_IS_WRITTEN) {
		look_written_range(v, from, to);
	} else {
		for (page = from; page < to; page++)
			look_clean(v, page);
	}
	if (!(range->categories & PAGE_IS_PFNZERO) && !keep_large(v, range->categories))
		v->b->unseen += (uint16_t)count_unseen(v, from, to);
}

void own_hint_all(struct agent *a, struct region *r, uint32_t block)
{
	struct visit v = visit_of(a, r, block);

	for (uint32_t page = v.first; page < v.end; page++)
		if (!page_is(&r->state[page], PAGE_QUARANTINED | PAGE_UNREF))
			(void)judge_content(&v, page);
	own_flush_zeros(&v);
	v.b->twin = v.b->large_twin = 0;
	v.b->restless = 1;
}
