/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * share: from the guest's own page in anonymous memory to a frame.
 *
 * The way of a run (pages that follow each other, frames that follow each other):
 *  1. gate: the run is registered MISSING with the tracker: from now on, who finds nothing, waits.
 *  2. take out: UFFDIO_MOVE to the quarantine. Pinned pages refuse. After this nobody can change
 *     what was taken out, but for a device with a plain reference (quarantine.c).
 *  3. compare, in full, what was taken out with the frames. Never before: a write between compare
 *     and map would be lost.
 *  4. map: one mmap() of the store over the run. What was not equal goes back. From now on a write
 *     is the kernel's copy on write: it breaks the page, and loses nothing.
 *  5. wake writers waiting at the gate; take the gate off what went back. Have the frames there at
 *     once, so that the guest need not fault on its first look at each of them.
 * From 2 to 5 the guest waits if it touches the run: tens of microseconds.
 *
 * A page of an earlier daemon's store (OLD) needs no taking out. It is closed (guard.c), compared
 * where it is, and mapped over. A broken page waits for a batch (reshare.c).
 *
 * When a page cannot be put back, because the kernel has no memory for the moment, we go on trying:
 * its content is nowhere else.
 */
#include "agent/share.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/bringback.h"
#include "agent/guard.h"
#include "agent/guarded.h"
#include "agent/hash.h"
#include "agent/mapbudget.h"
#include "agent/move.h"
#include "agent/nursery.h"
#include "agent/pagein.h"
#include "agent/place.h"
#include "agent/reshare.h"
#include "agent/say.h"
#include "agent/tier.h"
#include "agent/uplink.h"
#include "sys/mapping.h"
#include "sys/proc.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"

#define TAKE_OUT_TRIES 1000u /* -EAGAIN: the kernel's word for "not now" */

struct batch {
	struct agent *a;
	struct region *r;
	struct store *s; /* NULL: zero pages */
};

static void answer(struct batch *b, uint32_t page, uint32_t frame, enum ps_cause cause)
{
	if (cause)
		b->a->stats.refused[cause]++;
	if (b->s)
		link_up(&b->a->link, cause ? PS_U_REFUSED : PS_U_SHARED, (uint8_t)cause, 0,
			b->r->base + page, frame);
}

static void answer_all(struct batch *b, uint32_t page, uint32_t frame, uint32_t n,
		       enum ps_cause cause)
{
	for (uint32_t i = 0; i < n; i++)
		answer(b, page + i, frame + i, cause);
}

static enum ps_cause cause_of(struct batch *b, int err)
{
	switch (err) {
	case 0:
		return PS_CAUSE_NONE;
	case -EBUSY:
		return PS_CAUSE_PINNED;
	case -ENOENT:
		return PS_CAUSE_GONE;
	case -ENOMEM:
		return PS_CAUSE_MAPPINGS;
	default:
		b->a->stats.error = (uint64_t)-err;
		agent_say("pages are left alone, for an error nobody expected", -err);
		return PS_CAUSE_ERROR;
	}
}

static void put_back(struct batch *b, uint32_t page, char *slot, uint32_t n)
{
	place_back(b->a, region_page(b->r, page), slot, (size_t)n * PS_PAGE_SIZE);
	for (uint32_t i = page; i < page + n; i++)
		page_set(&b->r->state[i], PAGE_NEW);
}

/* Step 4 for pages that are equal; they are ours alone. */
static int map_frames(struct batch *b, uint32_t page, uint32_t frame, uint32_t n)
{
	struct region *r = b->r;
	int err = place_frames(b->a, b->s, region_page(r, page), frame, n);

	if (err)
		return err;
	for (uint32_t i = 0; i < n; i++) {
		r->frame[page + i] = frame + i;
		page_set(&r->state[page + i], PAGE_SHARED);
	}
	region_mark_frames(r, page, n);
	if (region_block(r, page)->guarded)
		guarded_protect(b->a, r, page, n);
	b->a->stats.shares += n;
	return 0;
}

/* Step 5 for n frames that were mapped: who waited goes on, and finds them present. Rejected:
 * UFFDIO_CONTINUE, which takes a third of that time, but gives each mapping an anon_vma (a fifth
 * more metadata). */
static void show_frames(struct batch *b, int uffd, uint32_t page, uint32_t n)
{
	char *addr = region_page(b->r, page);
	size_t len = (size_t)n * PS_PAGE_SIZE;

	uffd_wake(uffd, addr, len);
	map_advise(addr, len, MADV_POPULATE_READ);
}

/* Equal pages that were taken out: maps frames, or zero pages, and leaves them in quarantine. */
static enum ps_cause settle_equal(struct batch *b, uint32_t page, uint32_t frame, uint32_t n,
				  char *slot)
{
	size_t len = (size_t)n * PS_PAGE_SIZE;
	int err;

	err = b->s ? map_frames(b, page, frame, n) :
		     uffd_zeropage(b->a->tracker, region_page(b->r, page), len);
	if (err) {
		put_back(b, page, slot, n);
		return cause_of(b, err);
	}
	if (b->s) /* who waited at the gate; a zero page wakes by itself */
		show_frames(b, b->a->tracker, page, n);
	if (ps_without(DEFENCE_QUARANTINE)) {
		map_advise(slot, len, MADV_DONTNEED);
		return PS_CAUSE_NONE;
	}
	quarantine_note(b->a, slot, b->r, page, n, b->s ? QUARANTINE_FRAME : QUARANTINE_ZERO, b->s,
			frame);
	for (uint32_t i = 0; !b->s && i < n; i++)
		page_set(&b->r->state[page + i], PAGE_ZERO);
	return PS_CAUSE_NONE;
}

static bool same(const struct batch *b, const char *slot, uint32_t frame)
{
	if (ps_without(DEFENCE_COMPARE_AFTER))
		return true;
	return b->s ? memcmp(slot, store_frame(b->s, frame), PS_PAGE_SIZE) == 0 :
		      page_is_zero(slot);
}

/* Step 3: cuts what was taken out into stretches of equal and of changed pages. Returns how many
 * were settled. */
static uint32_t compare(struct batch *b, uint32_t page, uint32_t frame, uint32_t n, char *slot)
{
	uint32_t i = 0, settled = 0;

	while (i < n) {
		bool equal = same(b, slot + (size_t)i * PS_PAGE_SIZE, frame + i);
		char *from = slot + (size_t)i * PS_PAGE_SIZE;
		enum ps_cause cause = PS_CAUSE_CHANGED;
		uint32_t k = 1;

		while (i + k < n &&
		       same(b, slot + (size_t)(i + k) * PS_PAGE_SIZE, frame + i + k) == equal)
			k++;
		if (equal)
			cause = settle_equal(b, page + i, frame + i, k, from);
		else
			put_back(b, page + i, from, k);
		answer_all(b, page + i, frame + i, k, cause);
		settled += cause ? 0 : k;
		i += k;
	}
	return settled;
}

/* Step 5: the gate comes off every stretch that is not a frame's mapping now. */
static void ungate(struct batch *b, uint32_t page, uint32_t n)
{
	uint32_t end = page + n, k;

	for (; page < end; page += k ? k : 1) {
		for (k = 0; page + k < end && !page_in_store(page_state(&b->r->state[page + k]));)
			k++;
		if (k)
			region_ungate(b->a, b->r, page, k);
	}
}

/* Still the guest's own pages: as new, and to be tried more seldom, unless it was for want of room
 * that they stayed. */
static void refuse_all(struct batch *b, uint32_t page, uint32_t frame, uint32_t n,
		       enum ps_cause cause)
{
	bool seldom = cause != PS_CAUSE_QUARANTINE;

	for (uint32_t i = page; i < page + n; i++) {
		enum page_state state = page_state(&b->r->state[i]);

		if (state == PAGE_HINTED || state == PAGE_OUT || !b->s) {
			if (seldom)
				page_found_written(&b->r->state[i]);
			page_set(&b->r->state[i], PAGE_NEW);
		} else if (state == PAGE_OLD_HINTED) {
			page_claim(&b->r->state[i], PAGE_OLD_HINTED, PAGE_OLD);
		} else if (state == PAGE_BROKEN_HINTED) {
			if (seldom)
				page_found_written(&b->r->state[i]);
			page_set(&b->r->state[i], PAGE_BROKEN);
		}
	}
	answer_all(b, page, frame, n, cause);
}

/* Step 2 for n pages, or the first ones of them; bytes moved, or -errno. */
static long move(struct batch *b, char *to, uint32_t page, uint32_t n)
{
	char *from = region_page(b->r, page);
	long moved =
		move_pages(b->a, to, from, (size_t)n * PS_PAGE_SIZE, UFFDIO_MOVE_MODE_DONTWAKE);

	if (moved == -EBUSY && ps_without(DEFENCE_LEAVE_PINNED)) {
		memcpy(to, from, PS_PAGE_SIZE);
		map_advise(from, PS_PAGE_SIZE, MADV_DONTNEED);
		return PS_PAGE_SIZE;
	}
	if (moved > 0 && ps_without(DEFENCE_GATE_UNTIL_MAPPED)) {
		uffd_unregister(b->a->tracker, from, (size_t)moved);
		ps_unsafe_pause();
	}
	if (moved > 0 && ps_without(DEFENCE_FORK_WAITS))
		ps_unsafe_pause();
	return moved;
}

/* Steps 3 to 5 behind a gate. Returns how many were settled. */
static uint32_t move_out(struct batch *b, uint32_t page, uint32_t frame, uint32_t n)
{
	char *slot = quarantine_take(&b->a->quarantine, n);
	uint32_t i = 0, settled = 0, again = 0, at_once = n;

	if (!slot) {
		refuse_all(b, page, frame, n, PS_CAUSE_QUARANTINE);
		return 0;
	}
	/* No reader is about to fill one of them with zeros for an old fault. */
	for (i = page; i < page + n; i++)
		region_take(b->r, i);
	for (i = 0; i < n;) {
		char *to = slot + (size_t)i * PS_PAGE_SIZE;
		uint32_t now = at_once < n - i ? at_once : n - i;
		long moved = move(b, to, page + i, now);

		if (moved == -EBUSY && region_reown(b->a, b->r, page + i, now))
			moved = move(b, to, page + i, now);
		if (moved == -EINVAL && now > 1) {
			at_once = 1; /* the run lies in several mappings, which have not merged */
		} else if (moved > 0) {
			uint32_t k = (uint32_t)(moved / PS_PAGE_SIZE);

			settled += compare(b, page + i, frame + i, k, to);
			i += k;
		} else if (moved != -EAGAIN || ++again > TAKE_OUT_TRIES) {
			refuse_all(b, page + i, frame + i, 1, cause_of(b, (int)moved));
			i++;
		}
	}
	return settled;
}

/* Steps 1 to 5 for pages of the guest's own. */
static void take_out(struct batch *b, uint32_t page, uint32_t frame, uint32_t n)
{
	int err;

	ps_pause_without(DEFENCE_COMPARE_AFTER);
	err = region_gate(b->a, b->r, page, n);
	if (err) {
		refuse_all(b, page, frame, n, cause_of(b, err));
		return;
	}
	move_out(b, page, frame, n);
	ungate(b, page, n);
}

/* Frames of an earlier store, closed: immutable, so compared and replaced where they are. */
static void move_store(struct batch *b, uint32_t page, uint32_t frame, uint32_t n)
{
	struct agent *a = b->a;
	uint32_t count = close_untested(a, b->r, page, n, a->closed), k = 1;

	if (count != n) { /* it could not be closed: as it was, or broken */
		open_pages(a, a->closed, count);
		answer_all(b, page, frame, n, PS_CAUSE_CHANGED);
		return;
	}
	for (uint32_t i = 0; i < n; i += k) {
		enum ps_cause cause = PS_CAUSE_CHANGED;

		for (k = 0; i + k < n && !a->closed[i + k].broken && !a->closed[i + k].pinned &&
			    memcmp(region_page(b->r, page + i + k),
				   store_frame(b->s, frame + i + k), PS_PAGE_SIZE) == 0;)
			k++;
		if (k)
			cause = cause_of(b, map_frames(b, page + i, frame + i, k));
		else
			k = 1;
		if (cause) {
			for (uint32_t q = i; q < i + k; q++)
				a->closed[q].was = PAGE_OLD;
			open_pages(a, &a->closed[i], k);
		} else {
			show_frames(b, a->guard, page + i, k);
		}
		answer_all(b, page + i, frame + i, k, cause);
	}
}

/* What stands against taking that page out; NONE: nothing. */
static enum ps_cause obstacle(const struct batch *b, uint32_t page)
{
	const struct block *block = region_block(b->r, page);
	uint32_t flags = b->a->link.config.flags;

	if (page_is(&b->r->state[page], PAGE_QUARANTINED | PAGE_UNREF))
		return PS_CAUSE_QUARANTINE;
	if (block_is_kept(block, flags))
		return PS_CAUSE_LARGE;
	if (b->r->nursery && page < b->r->nursery_first)
		return PS_CAUSE_PINNED;
	if (block->was_large && (flags & PS_CONFIG_MOVE_LOOPS))
		return PS_CAUSE_LARGE;
	return PS_CAUSE_NONE;
}

/* How many of n pages from page on are in its state. */
static uint32_t same_state(const struct region *r, uint32_t page, uint32_t n)
{
	uint32_t k = 1;

	while (k < n && page_state(&r->state[page + k]) == page_state(&r->state[page]))
		k++;
	return k;
}

static void share_run(struct batch *b, const struct run *run)
{
	uint32_t i = 0;

	if (!mapbudget_is_worth(b->a, run)) {
		refuse_all(b, run->page, run->frame, run->len, PS_CAUSE_MAPPINGS);
		return;
	}
	mapbudget_spend(b->a, b->r, run);
	while (i < run->len) {
		enum page_state state = page_state(&b->r->state[run->page + i]);
		uint32_t k = same_state(b->r, run->page + i, run->len - i);

		if (state == PAGE_OLD_HINTED)
			move_store(b, run->page + i, run->frame + i, k);
		else if (state == PAGE_HINTED)
			take_out(b, run->page + i, run->frame + i, k);
		else
			answer_all(b, run->page + i, run->frame + i, k, PS_CAUSE_CHANGED);
		i += k;
	}
}

static uint32_t frame_beside(const struct region *r, uint32_t page)
{
	return page_state(&r->state[page]) == PAGE_SHARED ? r->frame[page] : PS_FRAME_NONE;
}

static void price(const struct region *r, struct run *run)
{
	bool first = run->page == r->first, last = run->page + run->len == r->end;
	uint32_t before = first ? PS_FRAME_NONE : frame_beside(r, run->page - 1);
	uint32_t after = last ? PS_FRAME_NONE : frame_beside(r, run->page + run->len);

	run->cost = (int16_t)runs_cost(runs_side_before(run, first, before),
				       runs_side_after(run, last, after));
}

/* A page that is staged for a while, and not to become a cold twin: shared as any other, after it
 * has come back. */
static bool is_back(struct batch *b, uint32_t page)
{
	uint8_t *state = &b->r->state[page];

	if (b->a->link.target.flags & PS_TARGET_TWIN || page_state(state) != PAGE_STAGED)
		return false;
	return pagein_range(b->a, b->r, page, 1, b->a->cold.act_room) &&
	       page_claim(state, PAGE_NEW, PAGE_HINTED);
}

/* Drops what cannot be done now; the rest, in order, into kept. */
static uint32_t sift(struct batch *b, const struct run_order *orders, uint32_t n,
		     struct run_order *kept)
{
	uint32_t k = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t page = orders[i].page;
		enum ps_cause cause = obstacle(b, page);

		if (b->s && page_is_out(page_state(&b->r->state[page])) && !is_back(b, page)) {
			cause = tier_twin(b->a, b->r, page, b->s, orders[i].frame);
			answer(b, page, orders[i].frame, cause);
			continue;
		}
		if (!cause && page_state(&b->r->state[page]) == PAGE_BROKEN_HINTED) {
			if (b->a->stats.pins == PS_PINS_GUARDED)
				refuse_all(b, page, orders[i].frame, 1, PS_CAUSE_PINNED);
			else if (!reshare_order(b->a, b->r->base + page, orders[i].frame))
				refuse_all(b, page, orders[i].frame, 1, PS_CAUSE_QUARANTINE);
			continue;
		}
		if (!cause) {
			kept[k++] = orders[i];
			continue;
		}
		if (cause == PS_CAUSE_LARGE && page_state(&b->r->state[page]) == PAGE_HINTED) {
			page_set(&b->r->state[page], PAGE_TWIN);
			answer(b, page, orders[i].frame, cause);
		} else {
			refuse_all(b, page, orders[i].frame, 1, cause);
		}
	}
	return k;
}

void share_block(struct agent *a, struct region *r, const struct run_order *orders, uint32_t n)
{
	struct batch b = {
		.a = a,
		.r = r,
		.s = store_current(a),
	};
	struct run_order kept[PS_BLOCK_PAGES];
	struct run runs[PS_BLOCK_PAGES];
	size_t count;
	int err;

	region_block(r, orders[0].page)->restless = 1; /* its figures change, or it is refused */
	n = sift(&b, orders, n, kept);
	if (!n)
		return;
	err = nursery_make(a, r);
	if (!err)
		err = region_make_small(a, r, kept[0].page);
	if (err) {
		for (uint32_t i = 0; i < n; i++)
			refuse_all(&b, kept[i].page, kept[i].frame, 1, cause_of(&b, err));
		return;
	}
	n = sift(&b, kept, n, kept); /* where the nursery begins is known only now */
	count = runs_cut(kept, n, runs);
	for (size_t i = 0; i < count; i++)
		price(r, &runs[i]);
	runs_sort(runs, count);
	for (size_t i = 0; i < count; i++)
		share_run(&b, &runs[i]);
}

static bool has(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

/* The last candidate of the stretch that begins at candidate i: no frame's mapping in between, so
 * that it lies in one mapping and one gate does for all. */
static uint32_t stretch_end(const struct region *r, uint32_t first, const uint64_t *map, uint32_t i)
{
	uint32_t last = i;

	for (; i < PS_BLOCK_PAGES && first + i < r->end; i++) {
		enum page_state state = page_state(&r->state[first + i]);

		if (page_in_store(state))
			break;
		if (has(map, i))
			last = i;
	}
	return last;
}

static uint32_t zero_stretch(struct batch *b, uint32_t first, const uint64_t *map, uint32_t i,
			     uint32_t last)
{
	uint32_t page = first + i, n = last - i + 1, settled = 0, k;

	if (region_gate(b->a, b->r, page, n))
		return 0;
	for (; i <= last; i += k ? k : 1) {
		for (k = 0; i + k <= last && has(map, i + k);)
			k++;
		if (k)
			settled += move_out(b, first + i, 0, k);
	}
	ungate(b, page, n);
	return settled;
}

void share_zero(struct agent *a, struct region *r, uint32_t first, const uint64_t *map)
{
	struct batch b = {.a = a, .r = r};

	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++) {
		uint32_t last;

		if (!has(map, i))
			continue;
		last = stretch_end(r, first, map, i);
		a->stats.zeroed += zero_stretch(&b, first, map, i, last);
		i = last;
	}
}
