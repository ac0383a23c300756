/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lookstore: looks at what lies in a store's mapping: frames, and pages that broke.
 *
 * Such a mapping is registered with nothing, so nothing is armed there. One scan says which pages
 * are not the file's any more: those broke since the last look, and their reference is given back.
 * A broken page is hashed in each look that it is due in; the same hash twice, and it is a hint
 * like any other. One that became zeros, or whose mapping has no frame left, waits for a batch
 * (reshare.c).
 *
 * Frames of an earlier daemon's store (OLD) are hinted in the first look; what found no twin in
 * time is brought back, so that the store can go (walk.c says when).
 */
#include "agent/lookstore.h"

#include "agent/agent.h"
#include "agent/bringback.h"
#include "agent/hash.h"
#include "agent/reshare.h"
#include "agent/uplink.h"
#include "sys/pagemap.h"

/* A frame of an earlier store: immutable, so stable. */
static void look_old(struct visit *v, uint32_t page)
{
	if (!visit_may_hash(v, page, &v->a->walk.next_store))
		return;
	v->a->stats.scanned++;
	link_up(&v->a->link, PS_U_HINT, 0, 0, v->r->base + page,
		page_hash(region_page(v->r, page), v->s->seed));
	v->a->stats.hinted++;
	/* The settler may have unshared it this moment: then it is NEW, and stays so. */
	page_claim(&v->r->state[page], PAGE_OLD, PAGE_OLD_HINTED);
}

static bool is_old(const struct region *r, uint32_t page)
{
	enum page_state state = page_state(&r->state[page]);

	return state == PAGE_OLD || state == PAGE_OLD_HINTED;
}

/* A broken page that is due: hashed, and hinted if it is what it was at the last look. */
static void look_broken(struct visit *v, uint32_t page)
{
	uint8_t *state = &v->r->state[page];
	uint8_t byte = __atomic_load_n(state, __ATOMIC_ACQUIRE);
	const char *content = region_page(v->r, page);
	uint64_t hash;

	if ((byte & PAGE_STATE) == PAGE_BROKEN_HINTED && visit_turn(v) % WALK_FULL_LOOKS != 0)
		return;
	v->restless |= (byte & PAGE_STATE) == PAGE_BROKEN;
	if ((byte & (PAGE_QUARANTINED | PAGE_UNREF)) || !visit_is_due(v, byte))
		return;
	if (v->r->frame[page] == FRAME_BROKEN_OLD) {
		page_found_written(
			state); /* if it is pinned, it is not asked about in every look */
		if (v->a->stats.pins != PS_PINS_GUARDED)
			reshare_page(v->a, v->r, page, RESHARE_OWN);
		return;
	}
	if (!visit_may_hash(v, page, &v->a->walk.next_store))
		return;
	v->a->stats.scanned++;
	hash = page_hash(content, v->s->seed);
	if (v->r->frame[page] != (uint32_t)hash) {
		page_found_written(state);
		page_set(state, PAGE_BROKEN);
		v->r->frame[page] = (uint32_t)hash;
		return;
	}
	if ((byte & PAGE_STATE) == PAGE_BROKEN_HINTED)
		return;
	page_found_stable(state);
	if (page_is_zero(content)) {
		reshare_page(v->a, v->r, page, RESHARE_ZERO);
		return;
	}
	likeness_note(&v->a->likeness, v->r->base + page, content);
	if (v->a->link.config.flags & PS_CONFIG_ZERO_ONLY)
		return;
	link_up(&v->a->link, PS_U_HINT, 0, 0, v->r->base + page, hash);
	v->a->stats.hinted++;
	page_set(state, PAGE_BROKEN_HINTED);
}

/* A candidate of the scan: is it really the guest's own, in a frame's mapping? */
static void judge_copied(struct visit *v, uint32_t page)
{
	struct agent *a = v->a;
	enum page_state was;
	uint64_t entry = 0;

	if (!page_has_frame(page_state(&v->r->state[page])))
		return;
	/* Under settle: where frames are guarded, the settler replaces them. */
	pthread_mutex_lock(&a->settle);
	was = page_state(&v->r->state[page]);
	if (page_has_frame(was) &&
	    !pagemap_read_whole(a->pagemap, (uintptr_t)region_page(v->r, page), &entry, 1) &&
	    pagemap_is_copied(entry)) {
		note_broken(a, v->r, page, was);
		atomic_fetch_add(&a->unshares, 1);
	}
	pthread_mutex_unlock(&a->settle);
}

/* Finds what broke since the last look. Returns how many pages of the block are broken. */
static void look_copied(struct visit *v)
{
	struct page_region ranges[WALK_RANGES];
	uintptr_t walked;
	int n = pagemap_copied(v->a->pagemap, (uintptr_t)region_page(v->r, v->first),
			       (uintptr_t)region_page(v->r, v->end), ranges, WALK_RANGES, &walked);

	for (int i = 0; i < n; i++)
		for (uintptr_t at = ranges[i].start; at < ranges[i].end; at += PS_PAGE_SIZE)
			judge_copied(v, (uint32_t)((at - v->r->origin) / PS_PAGE_SIZE));
}

/* Pages page..page+n-1 are all broken, in mappings without a frame: nothing is saved there, and
 * mappings are held. */
static void tidy_run(struct visit *v, uint32_t page, uint32_t n)
{
	for (uint32_t i = page; i < page + n; i++)
		if (page_is(&v->r->state[i], PAGE_QUARANTINED | PAGE_UNREF))
			return;
	for (uint32_t i = page; i < page + n; i++)
		if (!reshare_page(v->a, v->r, i, RESHARE_OWN))
			return;
}

/* The runs of broken pages between pages of the guest's anonymous memory. */
static void look_for_tidying(struct visit *v)
{
	uint32_t n;

	if (v->a->stats.pins == PS_PINS_GUARDED || visit_turn(v) % WALK_TIDY_LOOKS != 0)
		return;
	for (uint32_t page = v->first; page < v->end; page += n ? n : 1) {
		bool framed = false;

		for (n = 0; page + n < v->end && page_in_store(page_state(&v->r->state[page + n]));
		     n++)
			framed |= page_has_frame(page_state(&v->r->state[page + n]));
		if (n && !framed)
			tidy_run(v, page, n);
	}
}

/* Frames of an earlier store that waited for a twin in vain: copied out, so that the store can go.
 */
static void drop_old(struct visit *v)
{
	uint32_t n;

	for (uint32_t page = v->first; page < v->end; page += n ? n : 1) {
		for (n = 0; page + n < v->end && is_old(v->r, page + n);)
			n++;
		if (n)
			bring_back(v->a, v->r, page, n);
	}
}

/* What one page adds to the figures of its block. *before: the frame at the page before it, to
 * which the next one joins; PS_FRAME_NONE: anonymous memory. A broken page lies in the mapping of
 * its neighbours. */
static void count_page(struct visit *v, uint32_t page, uint32_t *before)
{
	enum page_state state = page_state(&v->r->state[page]);
	uint32_t frame = PS_FRAME_NONE;

	if (page_has_frame(state))
		frame = v->r->frame[page];
	else if (page_is_broken(state))
		frame = *before + 1 == PS_FRAME_NONE ? 0 : *before + 1;
	v->b->twin += state == PAGE_TWIN;
	v->b->shared += page_has_frame(state);
	v->b->grant += page_in_store(state);
	v->b->borders += *before == PS_FRAME_NONE ? frame != PS_FRAME_NONE : frame != *before + 1;
	*before = frame;
}

/* Counts what the scan does not show: frames, and the borders of their mappings. */
void store_look(struct visit *v)
{
	const struct region *r = v->r;
	uint32_t before = PS_FRAME_NONE;

	if (v->a->walk.drop_old)
		drop_old(v);
	if (v->b->shared)
		look_copied(v);
	if (v->first > r->first && page_has_frame(page_state(&r->state[v->first - 1])))
		before = r->frame[v->first - 1];
	v->b->shared = v->b->borders = v->b->twin = 0;
	for (uint32_t page = v->first; page < v->end; page++) {
		enum page_state state = page_state(&r->state[page]);

		count_page(v, page, &before);
		if (state == PAGE_OLD && !v->starved)
			look_old(v, page);
		else if (page_is_broken(state) && !v->starved)
			look_broken(v, page);
	}
	if (v->b->broken)
		look_for_tidying(v);
}

/* Has a page of the block broken since the last look? */
bool store_none_broke(const struct visit *v)
{
	struct page_region ranges[WALK_RANGES];
	uint32_t copied = 0;
	uintptr_t walked;
	int n;

	if (!v->b->shared)
		return true;
	n = pagemap_copied(v->a->pagemap, (uintptr_t)region_page(v->r, v->first),
			   (uintptr_t)region_page(v->r, v->end), ranges, WALK_RANGES, &walked);
	for (int i = 0; i < n; i++)
		copied += (uint32_t)((ranges[i].end - ranges[i].start) / PS_PAGE_SIZE);
	return n >= 0 && copied == v->b->broken;
}
