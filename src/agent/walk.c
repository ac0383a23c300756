/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * walk: what changed, what is stable, what is worth a hint.
 *
 * A look goes over every block of every region once. For a block, one PAGEMAP_SCAN says which
 * pages are there and which of them were written since they were armed:
 *   written            -> arm it (only what was found: arming a range drops all of it from KVM's
 *                         second-level tables), ARMED
 *   armed, not written -> stable since the last look: hash it. All zeros: taken out at once. Else
 *                         HINTED, and the daemon gets the hash.
 *   hinted, not written-> nothing. So memory that does not change costs a few ns a page.
 *   in a huge page     -> never armed (a write to an armed huge page splits its mapping); hashed in
 *                         every WALK_LARGE_LOOKS th look, and in the first pass at once, as a hint
 *                         of what breaking it would give.
 *
 * What lies in frames' mappings is not tracked. A second scan, where a block has such, says which
 * pages are not the file's any more: those broke. A broken page is hashed at each look that it is
 * due in; the same hash twice, and it is a hint like any other. So nothing has to be armed there,
 * and no mapping is registered. A page whose mapping has no frame left, or that became zeros, goes
 * back to anonymous memory (reshare.c).
 *
 * A block in which nothing was written, and nothing waits, is passed over by a scan for written
 * pages alone, which costs half as much. One that stays so is visited in every 2nd, 4th, 8th look
 * only, so that a write after a long rest is noticed after about a third of that rest.
 *
 * How fast: a look begins no sooner than the look period after the one before, or a quarter of it
 * where much of the memory is new: nothing of that can be shared before the next look. Hashing
 * takes tokens from a bucket filled at the rate that the daemon derives from Mem.ShareScanTime,
 * Mem.ShareScanGHz and Mem.ShareRateMax; while the first pass is under way (policy/firstpass.h) by
 * Mem.ShareRateFirst, looks being at most WALK_LOOK_FIRST_NS apart. Out of tokens, or the ring
 * full, the look stops where it is and goes on there: with the first page that it has not hashed
 * yet, or a block with more to hash than there are tokens would never end.
 *
 * A page that is written again and again is armed in every 2nd, 4th, 8th look only (PAGE_VOLATILE):
 * arming it costs the guest a fault each time and never gave anything. In a block of which nearly
 * all that was armed was written only a sample is armed, in every WALK_HOT_LOOKS th look, until
 * more of that rests. The same for a page whose sharing was refused; while mappings are so few that
 * a lone page is refused, what was refused again and again is tried in every WALK_CROWDED_LOOKS th
 * look only. (Each try costs a hash, a frame that is filled for nothing, and an answer.)
 *
 * Frames of an earlier daemon's store (OLD) are hinted in the first look, and mapped over when
 * their twin is found in another VM. One that has none, or whose mapping is refused, would keep
 * that whole store alive: when twice the time of a pass has gone by since, so that every other VM
 * had the time to hint its own, what is left is copied out.
 *
 * Reading guest memory here cannot wait for anybody: only this thread takes pages out, and `act`
 * keeps the VMM from unmapping what is read.
 */
#include "agent/walk.h"

#include <errno.h>

#include "agent/agent.h"
#include "agent/guarded.h"
#include "agent/lookown.h"
#include "agent/lookstore.h"
#include "agent/mapbudget.h"
#include "agent/pace.h"
#include "agent/say.h"
#include "agent/uplink.h"
#include "sys/pagemap.h"
#include "sys/proc.h"

/* Did nothing happen in the block since the last look that found nothing to wait for? Every
 * WALK_FULL_LOOKS th look is made all the same: what the VMM discarded shows only there. */
static bool quiet(const struct agent *a, const struct region *r, const struct visit *v)
{
	if (v->b->restless || a->walk.drop_old || visit_turn(v) % WALK_FULL_LOOKS == 0)
		return false;
	return pagemap_quiet(a->pagemap, (uintptr_t)region_page(r, v->first),
			     (uintptr_t)region_page(r, v->end)) == 1 &&
	       store_none_broke(v);
}

/* Has the block rested for so long that this look may pass it over? The turns are those of
 * visit_is_due(), so that a page that is armed seldom is not missed, and of the full looks. */
static bool at_rest(const struct visit *v)
{
	unsigned int shift = 0;

	if (v->b->restless || v->b->untracked || v->a->walk.drop_old)
		return false;
	while (shift < WALK_REST_SHIFT && v->b->calm >= WALK_REST_VISITS << shift)
		shift++;
	return visit_turn(v) % (1u << shift) != 0;
}

static void judge_rest(struct block *b, bool calm)
{
	if (!calm)
		b->calm = 0;
	else if (b->calm < UINT8_MAX)
		b->calm++;
}

/* Returns false if it has to be visited again in this look: it was not finished. */
static bool visit(struct agent *a, struct region *r, uint32_t block)
{
	struct page_region ranges[WALK_RANGES];
	struct visit v = visit_of(a, r, block);
	bool had_zeros = v.b->zero;
	uintptr_t walked;
	int n;

	v.first = v.first < r->first ? r->first : v.first;
	v.end = v.end > r->end ? r->end : v.end;
	if (at_rest(&v)) {
		a->walk.present += v.b->grant;
		return true;
	}
	a->stats.looked += v.end - v.first;
	guarded_follow(a, r, block);
	if (quiet(a, r, &v)) {
		judge_rest(v.b, true);
		a->walk.present += v.b->grant;
		return true;
	}
	n = pagemap_present(a->pagemap, (uintptr_t)region_page(r, v.first),
			    (uintptr_t)region_page(r, v.end), ranges, WALK_RANGES, &walked);
	if (n < 0) {
		agent_say("the page tables cannot be scanned", -n);
		return true;
	}
	v.b->grant = v.b->zero = v.b->large = v.b->unseen = 0;
	for (int i = 0; i < n; i++)
		own_look(&v, &ranges[i]);
	if (had_zeros)
		own_forget_zeros(&v);
	own_flush_zeros(&v);
	store_look(&v);
	own_judge_hot(&v);
	v.b->restless = v.restless;
	judge_rest(v.b, !v.restless && !v.b->large);
	a->walk.present += v.b->grant;
	return !v.starved;
}

static void walk_to(struct walk *w, uint32_t block)
{
	w->block = block;
	w->next_own = w->next_store = 0;
}

/* The next block to visit; NULL: the look is over. Under act. */
static struct region *position(struct agent *a)
{
	struct walk *w = &a->walk;

	for (; w->region < PS_REGIONS_MAX; w->region++, walk_to(w, 0)) {
		struct region *r = &a->region[w->region];

		if (r->life == REGION_MANAGED && r->announced && w->block < r->blocks &&
		    !birth_waits(a, r))
			return r;
	}
	return NULL;
}

/* Returns false when the look is over or starved. */
static bool next_block(struct agent *a)
{
	struct region *r;
	bool more = false;

	pthread_mutex_lock(&a->act);
	r = position(a);
	if (r && visit(a, r, a->walk.block)) {
		walk_to(&a->walk, a->walk.block + 1);
		more = true;
	} else if (r) {
		a->walk.starved = true;
	}
	pthread_mutex_unlock(&a->act);
	return more;
}

/* At the end of a look, the first of which hinted every frame of an earlier store: have they waited
 * long enough for their twins? */
static void judge_old(struct agent *a, uint64_t now)
{
	struct walk *w = &a->walk;
	uint64_t grace = 2 * a->link.config.pass_seconds * 1000000000ull;

	if (grace < WALK_OLD_MIN_NS)
		grace = WALK_OLD_MIN_NS;
	if (!w->old_since)
		w->old_since = now;
	w->drop_old = a->link.holds_old && now - w->old_since > grace;
}

/* At the beginning of a look. When there is room again, what was refused is to be found at once. */
static void judge_crowd(struct agent *a)
{
	bool was = a->walk.crowded;

	a->walk.crowded = mapbudget_crowded(a, was);
	if (!was || a->walk.crowded)
		return;
	pthread_mutex_lock(&a->act);
	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		if (a->region[i].life == REGION_MANAGED)
			for (uint32_t b = 0; b < a->region[i].blocks; b++)
				a->region[i].block[b].restless = 1;
	pthread_mutex_unlock(&a->act);
}

/* ns until a starved look can go on: half a block of it, for each attempt scans the whole block
 * anew. 0: now. Room in the ring comes without a word; it is looked for again and again. */
static uint64_t starving(const struct agent *a, uint64_t now)
{
	uint64_t wait;

	if (!a->walk.starved)
		return 0;
	wait = rate_wait(&a->walk.bucket, now, WALK_STARVED_PAGES);
	if (!wait && link_up_room(&a->link) >= WALK_STARVED_PAGES)
		return 0;
	return wait > WALK_STARVED_NS ? wait : WALK_STARVED_NS;
}

uint64_t walk_step(struct agent *a, uint64_t now)
{
	struct walk *w = &a->walk;
	uint64_t wait = starving(a, now);
	bool more = true;

	if (!(a->link.config.flags & PS_CONFIG_SHARE) || !store_current(a) || a->gave_up)
		return UINT64_MAX;
	if (!w->under_way) {
		if (w->look && now - w->started < pace_look(a))
			return pace_look(a) - (now - w->started);
		w->under_way = true;
		w->started = now;
		w->look++;
		w->region = 0;
		walk_to(w, 0);
		w->armed = w->present = 0;
		judge_crowd(a);
	}
	if (wait)
		return wait;
	w->starved = false;
	for (uint32_t i = 0; more && i < WALK_SLICE_BLOCKS; i++)
		more = next_block(a);
	if (more)
		return 0;
	if (w->starved)
		return WALK_STARVED_NS;
	w->under_way = false;
	a->stats.pass++;
	judge_old(a, now);
	pace_judge_new(w);
	first_pass_judge(&w->first, a->stats.scanned, w->present);
	pace_set(a, now);
	return pace_look(a);
}

static void block_unseen(struct block *b)
{
	b->restless = 1;
	b->unseen = (uint16_t)(b->grant - b->zero - b->shared);
}

void walk_restart(struct agent *a)
{
	pace_first(a);
	a->walk.under_way = false;
	a->walk.starved = false;
	a->walk.look = 0;
	a->walk.soon = false;
	a->walk.old_since = 0;
	a->walk.drop_old = false;
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		if (r->life != REGION_MANAGED)
			continue;
		/* HINTED but not written is NEW but not written: hashed at the next look. */
		for (uint32_t b = 0; b < r->blocks; b++) {
			block_unseen(&r->block[b]);
			r->block[b].large_look = 0;
		}
		for (uint32_t page = r->first; page < r->end; page++) {
			enum page_state state = page_state(&r->state[page]);

			if (state == PAGE_HINTED || state == PAGE_TWIN)
				page_claim(&r->state[page], state, PAGE_NEW);
			else if (state == PAGE_OLD_HINTED)
				page_claim(&r->state[page], PAGE_OLD_HINTED, PAGE_OLD);
			else if (state == PAGE_BROKEN_HINTED)
				page_set(&r->state[page], PAGE_BROKEN);
		}
	}
}
