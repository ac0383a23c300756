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
 * full, the look stops where it is and goes on there.
 *
 * A page that is written again and again is armed in every 2nd, 4th, 8th look only (PAGE_VOLATILE):
 * arming it costs the guest a fault each time and never gave anything. A block in which nearly all
 * that was armed is found written, time after time, is armed in every 2nd, 4th, 8th, 16th look. The
 * same for a page whose sharing was refused; while mappings are so few that a lone page is refused,
 * what was refused again and again is tried in every WALK_CROWDED_LOOKS th look only. (Each try
 * costs a hash, a frame that is filled for nothing, and an answer.)
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
#include "agent/bringback.h"
#include "agent/guarded.h"
#include "agent/hash.h"
#include "agent/pace.h"
#include "agent/reshare.h"
#include "agent/say.h"
#include "agent/share.h"
#include "agent/uplink.h"
#include "sys/pagemap.h"
#include "sys/proc.h"

/* One visit of a block. */
struct visit {
	struct agent *a;
	struct region *r;
	struct block *b;
	struct store *s;
	uint32_t first, end;		     /* pages */
	uint64_t zeros[PS_BLOCK_PAGES / 64]; /* pages of the block that look like zeros */
	bool any_zeros;
	uint32_t armed, written;		   /* found armed: of them, written */
	uint64_t mapped_zero[PS_BLOCK_PAGES / 64]; /* pages that map the zero page */
	bool starved;				   /* no tokens, or no room in the ring */
	bool restless; /* some page waits for the next look, written or not */
};

/* Blocks take turns, so that what rests does not all come back in one look. */
static uint64_t turn(const struct visit *v)
{
	return v->a->walk.look + v->first / PS_BLOCK_PAGES;
}

static bool is_due(const struct visit *v, uint8_t state)
{
	unsigned int v2 = (state & PAGE_VOLATILE) >> PAGE_VOLATILE_SHIFT;

	return turn(v) % (1u << v2) == 0;
}

/* Was it refused again and again, and would be once more? Its turn comes in a full look. */
static bool is_refused_for_now(const struct visit *v, uint8_t state)
{
	return v->a->walk.crowded && (state & PAGE_VOLATILE) == PAGE_VOLATILE &&
	       turn(v) % WALK_CROWDED_LOOKS != 0;
}

/* Is the block written all the time? Then most looks arm nothing in it. */
static bool is_hot(const struct visit *v)
{
	return turn(v) % (1u << v->b->hot) != 0;
}

/* Of what was armed in the last look that armed anything, nearly all was written: the guest paid a
 * fault for each page, and nothing came of it. */
static void judge_hot(struct visit *v)
{
	if (v->armed < WALK_HOT_PAGES)
		return;
	if (v->written > v->armed - v->armed / WALK_HOT_PART) {
		if (v->b->hot < WALK_HOT_SHIFT)
			v->b->hot++;
	} else if (v->b->hot) {
		v->b->hot--;
	}
}

static void add_zero(struct visit *v, uint32_t page)
{
	uint32_t i = page % PS_BLOCK_PAGES;

	v->zeros[i / 64] |= 1ull << (i % 64);
	v->any_zeros = true;
}

static void flush_zeros(struct visit *v)
{
	if (!v->any_zeros)
		return;
	if (v->b->was_large && (v->a->link.config.flags & PS_CONFIG_MOVE_LOOPS))
		return;
	share_zero(v->a, v->r, v->first / PS_BLOCK_PAGES * PS_BLOCK_PAGES, v->zeros);
}

/* A token for one page, and room for its hint. */
static bool may_hash(struct visit *v)
{
	if (!v->starved && link_up_room(&v->a->link) > 0 &&
	    rate_take(&v->a->walk.bucket, sys_now(), 1) == 1)
		return true;
	v->starved = true;
	return false;
}

/* The page is stable (or part of a huge page): zero, or a hint. */
static void hash_page(struct visit *v, uint32_t page)
{
	uint8_t *state = &v->r->state[page];
	const char *content = region_page(v->r, page);
	bool large = v->b->large && (v->a->link.config.flags & PS_CONFIG_LARGE);
	bool zero;

	if (!may_hash(v)) {
		v->restless = true; /* come back for it */
		return;
	}
	v->a->stats.scanned++;
	zero = page_is_zero(content);
	if (zero && !large) {
		add_zero(v, page);
		return;
	}
	if (zero) {
		page_set(state, PAGE_TWIN);
		return;
	}
	if (v->a->link.config.flags & PS_CONFIG_ZERO_ONLY) {
		page_set(state, PAGE_HINTED);
		return;
	}
	link_up(&v->a->link, PS_U_HINT, 0, 0, v->r->base + page, page_hash(content, v->s->seed));
	v->a->stats.hinted++;
	page_set(state, PAGE_HINTED);
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
		if (!is_due(v, byte)) {
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
	if (!is_due(v, *state) || is_hot(v))
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
	}
	if (from < block + v->b->large_next)
		from = block + v->b->large_next;
	for (uint32_t page = from; page < to && !v->starved; page++) {
		if (!page_is(&v->r->state[page], PAGE_QUARANTINED | PAGE_UNREF))
			hash_page(v, page);
		if (!v->starved)
			v->b->large_next = (uint16_t)(page + 1 - block);
	}
}

/* Huge pages that are not to be kept whole are looked at like any other memory. */
static bool keep_large(const struct visit *v, uint64_t categories)
{
	return (categories & PAGE_IS_HUGE) && (v->a->link.config.flags & PS_CONFIG_LARGE);
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
static void forget_zeros(struct visit *v)
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

static void look_range(struct visit *v, const struct page_region *range)
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

/* A frame of an earlier store: immutable, so stable. */
static void look_old(struct visit *v, uint32_t page)
{
	if (!may_hash(v))
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

	if ((byte & PAGE_STATE) == PAGE_BROKEN_HINTED && turn(v) % WALK_FULL_LOOKS != 0)
		return;
	v->restless |= (byte & PAGE_STATE) == PAGE_BROKEN;
	if ((byte & (PAGE_QUARANTINED | PAGE_UNREF)) || !is_due(v, byte) || !may_hash(v))
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
	    !pagemap_read(a->pagemap, (uintptr_t)region_page(v->r, page), &entry, 1) &&
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

	if (v->a->stats.pins == PS_PINS_GUARDED || turn(v) % WALK_TIDY_LOOKS != 0)
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
static void look_frames(struct visit *v)
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
static bool none_broke(const struct agent *a, const struct visit *v)
{
	struct page_region ranges[WALK_RANGES];
	uint32_t copied = 0;
	uintptr_t walked;
	int n;

	if (!v->b->shared)
		return true;
	n = pagemap_copied(a->pagemap, (uintptr_t)region_page(v->r, v->first),
			   (uintptr_t)region_page(v->r, v->end), ranges, WALK_RANGES, &walked);
	for (int i = 0; i < n; i++)
		copied += (uint32_t)((ranges[i].end - ranges[i].start) / PS_PAGE_SIZE);
	return n >= 0 && copied == v->b->broken;
}

/* Did nothing happen in the block since the last look that found nothing to wait for? Every
 * WALK_FULL_LOOKS th look is made all the same: what the VMM discarded shows only there. */
static bool quiet(const struct agent *a, const struct region *r, const struct visit *v)
{
	if (v->b->restless || a->walk.drop_old || turn(v) % WALK_FULL_LOOKS == 0)
		return false;
	return pagemap_quiet(a->pagemap, (uintptr_t)region_page(r, v->first),
			     (uintptr_t)region_page(r, v->end)) == 1 &&
	       none_broke(a, v);
}

/* Has the block rested for so long that this look may pass it over? The turns are those of
 * is_due(), so that a page that is armed seldom is not missed, and of the full looks. */
static bool at_rest(const struct visit *v)
{
	unsigned int shift = 0;

	if (v->b->restless || v->b->untracked || v->a->walk.drop_old)
		return false;
	while (shift < WALK_REST_SHIFT && v->b->calm >= WALK_REST_VISITS << shift)
		shift++;
	return turn(v) % (1u << shift) != 0;
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
	struct visit v = {
		.a = a,
		.r = r,
		.b = &r->block[block],
		.s = store_current(a),
		.first = block * PS_BLOCK_PAGES,
		.end = (block + 1) * PS_BLOCK_PAGES,
	};
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
		look_range(&v, &ranges[i]);
	if (had_zeros)
		forget_zeros(&v);
	flush_zeros(&v);
	look_frames(&v);
	judge_hot(&v);
	v.b->restless = v.restless;
	judge_rest(v.b, !v.restless && !v.b->large);
	a->walk.present += v.b->grant;
	return !v.starved;
}

/* The next block to visit; NULL: the look is over. Under act. */
static struct region *position(struct agent *a)
{
	struct walk *w = &a->walk;

	for (; w->region < PS_REGIONS_MAX; w->region++, w->block = 0) {
		struct region *r = &a->region[w->region];

		if (r->life == REGION_MANAGED && r->announced && w->block < r->blocks)
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
		a->walk.block++;
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

	a->walk.crowded = share_crowded(a, was);
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
		w->region = w->block = 0;
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
		}
	}
}
