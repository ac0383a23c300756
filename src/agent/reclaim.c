/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reclaim: the worker's part in pages going out and coming back.
 *
 * A target says how many pages are to be out (TARGET, wire.h). A hand goes round all blocks and
 * stages what looks cold, until as many are staged or out as are to be out. In its first round it
 * takes pages that were hinted and not written since; if it finds too few, in the next what was not
 * written since the last look, then anything but what is written all the time, what was out before
 * and was touched there among it. A block whose staged pages come back is passed over for a while.
 * So what is staged is a guess, and costs the guest one move where it was wrong.
 *
 * What has been staged for the time that the configuration says, or up to half as long again, goes
 * on (tier.c): a block's staged pages are found older once in half of that time. When the host is
 * very short that time is the quarantine's, and no less: a device may hold a plain reference to
 * what was taken out.
 *
 * Reclaim slows down where it hurts: policy/promote.h.
 *
 * What somebody who reads all memory has brought in (a migration; reader.c) is staged again at
 * once, before anything else. It was known to be cold: while that lasts what is staged goes on as
 * soon as a quarantine is over.
 *
 * SUSPEND takes everything, cold or not, large blocks too. RESUME brings back all that is out,
 * region by region, ahead of use; nothing goes out meanwhile. When the agent has given up, it does
 * the same, for good.
 *
 * A block's gate comes off some seconds after its last page has come back.
 */
#include "agent/reclaim.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/birth.h"
#include "agent/pagein.h"
#include "agent/sample.h"
#include "agent/say.h"
#include "agent/stage.h"
#include "agent/swapfile.h"
#include "agent/tier.h"
#include "agent/zip.h"
#include "policy/memstate.h"
#include "sys/cleanup.h"
#include "sys/mapping.h"
#include "sys/pagemap.h"
#include "sys/proc.h"
#include "sys/self.h"

#define SLICE_BLOCKS 8u
#define SLICE_PAGES 1024u /* brought back at once */
#define RIPE_NS 250000000ull
#define ANSWER_MS 200u
#define ROOM_NS 20000000ull /* the daemon takes what is in the ring in less */
#define UNHEARD_NS 2000000000ull
#define QUIET_NS 1000000000ull
#define RETRY_NS 5000000000ull
#define UNGATE_MS 5000u
#define BUSY_PAGES 32u
#define GREED_MOST 2u
#define GREED_ALL 3u
#define ZIP_FULL_NUM 15u /* sixteenths of its cap: then the oldest go on to the swap file */
#define ZIP_SETTLE_S 60u /* what has been compressed for so long stays: zstd */
#define UPKEEP 64u
#define PACK_ROUNDS 16u
#define SUSPEND_ROUNDS 8u
#define IDLE_PART 256u /* of a VM */
#define IDLE_SHIFT 4u
#define AGAIN_LASTS_NS 5000000000ull
#define PACE_PART 8u   /* of a VM may be staged before who reads all of it is slowed down ... */
#define PACE_MIN 4096u /* ... or so many pages */
#define IDLE_EVICTS 2u /* rounds in a row that found nothing */

int reclaim_init(struct agent *a)
{
	a->cold.room = map_anon(NULL, COLD_ROOM * PS_PAGE_SIZE);
	a->cold.act_room = map_anon(NULL, PAGEIN_ROOM * PS_PAGE_SIZE);
	return a->cold.room && a->cold.act_room ? 0 : -ENOMEM;
}

static uint32_t flags_of(const struct agent *a)
{
	return a->gave_up ? PS_TARGET_RESUME : a->link.target.flags;
}

static bool may_keep(const struct agent *a)
{
	return flags_of(a) & (PS_TARGET_TWIN | PS_TARGET_ZIP | PS_TARGET_SWAP);
}

/* What refused for a moment (a page that the kernel itself has in hand) is asked again. */
static bool is_suspended(const struct agent *a)
{
	return a->cold.suspended >= SUSPEND_ROUNDS;
}

/* Is anything to go out at all? */
static bool wants_out(const struct agent *a)
{
	uint32_t flags = flags_of(a);

	return flags & (PS_TARGET_STAGE | PS_TARGET_SUSPEND) && !(flags & PS_TARGET_RESUME) &&
	       may_keep(a);
}

/* Pages that are to be out, and are not nor on their way. */
static uint64_t wanting(struct agent *a)
{
	uint64_t there = cold_out(&a->cold) + a->cold.staged;

	if (!wants_out(a))
		return 0;
	if (flags_of(a) & PS_TARGET_SUSPEND)
		return is_suspended(a) ? 0 : UINT32_MAX;
	return a->link.target.out_pages > there ? a->link.target.out_pages - there : 0;
}

/* Staged pages that may go on now. */
static uint32_t ripening(struct agent *a)
{
	uint64_t out = cold_out(&a->cold), n;

	if (!wants_out(a))
		return 0;
	if (flags_of(a) & PS_TARGET_SUSPEND)
		return UINT32_MAX;
	n = a->link.target.out_pages > out ? a->link.target.out_pages - out : 0;
	return promote_allow(&a->cold.promote, (uint32_t)n);
}

static uint64_t pages_of_all(const struct agent *a)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		pages += a->region[i].life == REGION_MANAGED ? a->region[i].end : 0;
	return pages;
}

/* What a guest that idles touches all the time: so many pages come in and go out again. */
static uint64_t pages_of_idleness(const struct agent *a)
{
	return pages_of_all(a) / IDLE_PART;
}

/* ---- what keeps them ------------------------------------------------------------------------- */

static void make_zip(struct agent *a)
{
	uint64_t pages = pages_of_all(a);

	pages = pages < ZIP_PAGES_MAX / 2 ? pages * 2 : ZIP_PAGES_MAX; /* it may get more memory */
	if (pages && zip_new(&a->cold.zip, (uint32_t)pages))
		agent_say("no room for a compressed cache", ENOMEM);
}

/* The VM has one swap file for its life: pages may be in it. */
static void take_swap(struct agent *a)
{
	struct link *l = &a->link;
	int err;

	if (a->cold.swap) {
		swapfile_set_cap(a->cold.swap, l->swap_cap);
	} else {
		if (sys_inode(l->swap_fd, &a->cold.swap_inode))
			a->cold.swap_inode = 0;
		err = swapfile_new(&a->cold.swap, l->swap_fd, l->swap_cap, a->bell);
		if (!err) {
			a->cold.swap_fd = l->swap_fd;
			l->swap_fd = -1;
			return;
		}
		agent_say("the swap file cannot be used", -err);
		a->stats.swap_error = (uint64_t)-err;
	}
	close_fd(&l->swap_fd);
}

/* Memory that the cache has no use for any more is given back by and by; all the same a cache that
 * was emptied into the swap file is to be small within seconds. True if there is more of it. */
static bool pack(struct zip *z)
{
	uint32_t rounds = 0;

	while (rounds < PACK_ROUNDS && zip_pack(z, UPKEEP) >= UPKEEP)
		rounds++;
	return rounds == PACK_ROUNDS;
}

static void serve_stores(struct agent *a, uint64_t now)
{
	const struct ps_msg_target *t = &a->link.target;

	if (a->link.swap_fd >= 0)
		take_swap(a);
	if (now < a->cold.quiet_next)
		return;
	a->cold.quiet_next = now + QUIET_NS;
	promote_judge(&a->cold.promote, now / 1000000, a->cold.promotions, t->promote_max);
	if (!a->cold.zip && t->flags & PS_TARGET_ZIP)
		make_zip(a);
	if (!a->cold.zip)
		return;
	if (t->zip_max_pages)
		zip_set_cap(a->cold.zip, t->zip_max_pages);
	zip_set_now(a->cold.zip, (uint32_t)(now / 1000000000));
	zip_settle(a->cold.zip, ZIP_SETTLE_S, UPKEEP);
	if (pack(a->cold.zip))
		a->cold.quiet_next = now + QUIET_NS / 8;
}

/* May what is compressed go on to the swap file? */
static bool may_evict(const struct agent *a)
{
	return a->cold.zip && flags_of(a) & PS_TARGET_SWAP && a->cold.swap;
}

/* A VM that is put out, and of which nothing more is found, has its cache put out too. */
static bool evicts_all(const struct agent *a)
{
	return flags_of(a) & PS_TARGET_SUSPEND && is_suspended(a) && may_evict(a) &&
	       !a->stats.swap_error;
}

/* What has been compressed longest goes on when the cache is nearly full, or when too few pages are
 * found to go out: it is memory of the VM too. */
static void serve_zip(struct agent *a)
{
	struct zip_figures f;

	if (!may_evict(a))
		return;
	zip_count(a->cold.zip, &f);
	if (f.held > f.cap / 16 * ZIP_FULL_NUM || evicts_all(a) ||
	    (a->cold.idle >= IDLE_EVICTS && wanting(a))) {
		pthread_mutex_lock(&a->act);
		tier_evict(a, UPKEEP);
		pthread_mutex_unlock(&a->act);
	}
}

/* ---- staging --------------------------------------------------------------------------------- */

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

/* What was staged in one piece as a sample cannot go on as that: it goes out by the page, as all
 * others do, when it has been broken. Under act. */
static void bring_whole_back(struct agent *a, struct region *r, uint32_t block)
{
	if (a->link.config.flags & PS_CONFIG_MOVE_LOOPS)
		return;
	sample_is_cold(a, r, block);
	pagein_whole(a, r, block);
}

/* One block. Under act. */
static void stage_block(struct agent *a, struct region *r, uint32_t block, uint64_t now)
{
	uint32_t greed = flags_of(a) & PS_TARGET_SUSPEND ? GREED_ALL : a->cold.greed;
	uint64_t map[PS_BLOCK_PAGES / 64] = {0}, want = wanting(a);
	struct block *b = &r->block[block];
	uint32_t n;
	long staged;

	if (is_passed_over(a, b, greed))
		return;
	if (b->whole && greed >= GREED_MOST)
		bring_whole_back(a, r, block);
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
	if (flags_of(a) & PS_TARGET_SUSPEND)
		c->suspended = c->stage_found > pages_of_idleness(a) ? 0 : c->suspended + 1;
	else if (c->stage_found < c->stage_wanted)
		c->greed = c->greed < GREED_MOST ? c->greed + 1 : GREED_MOST;
	c->idle = c->stage_found || c->greed < GREED_MOST ? 0 : c->idle + 1;
	c->stage_found = 0;
	c->stage_wanted = wanting(a);
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
static uint64_t serve_staging(struct agent *a, uint64_t now)
{
	struct cold *c = &a->cold;

	if (!wanting(a)) {
		c->greed = 0;
		return UINT64_MAX;
	}
	if (now < c->stage_next)
		return c->stage_next - now;
	for (uint32_t i = 0; i < SLICE_BLOCKS && wanting(a); i++) {
		if (stage_next(a, now))
			continue;
		round_over(a);
		c->stage_next = now + rest_ns(c);
		return c->stage_next - now;
	}
	return 0;
}

/* ---- again: what a reader of all memory brought in ------------------------------------------- */

static void serve_again(struct agent *a, uint64_t now)
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

		if (!of || of->life != REGION_MANAGED || !wanting(a))
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
	uint64_t part = pages_of_all(a) / PACE_PART;

	return part > PACE_MIN ? part : PACE_MIN;
}

static void serve_pace(struct agent *a)
{
	struct cold *c = &a->cold;
	uint64_t waiting = atomic_load(&c->again_tail) - c->again_head;

	atomic_store(&c->pace, c->again_at && wants_out(a) && c->staged + waiting > staged_room(a));
}

/* ---- what has been staged for long enough ---------------------------------------------------- */

static uint32_t stage_ms(const struct agent *a)
{
	const struct ps_msg_config *c = &a->link.config;

	if (c->stage_ms < c->quarantine_ms || flags_of(a) & PS_TARGET_SUSPEND ||
	    a->link.target.state >= MEMSTATE_HARD || sys_now() - a->cold.again_at < AGAIN_LASTS_NS)
		return c->quarantine_ms;
	return c->stage_ms;
}

/* From `at`, ms, which may be a little later than now: readers look at the clock themselves. */
static uint32_t ms_since(uint32_t at, uint64_t now)
{
	int32_t age = (int32_t)((uint32_t)(now / 1000000) - at);

	return age > 0 ? (uint32_t)age : 0;
}

/* Are ripe pages hinted? */
static bool hints(const struct agent *a)
{
	uint32_t flags = a->link.config.flags;

	return flags_of(a) & PS_TARGET_TWIN && flags & PS_CONFIG_SHARE &&
	       !(flags & PS_CONFIG_ZERO_ONLY);
}

/* Staged pages are to be hinted, and there is no room for it. A daemon that takes no hints for
 * UNHEARD_NS does not keep them in memory. */
static bool waits_to_hint(struct agent *a, uint64_t now)
{
	uint64_t *unheard = &a->cold.unheard;

	if (tier_has_room(a) || !hints(a)) {
		*unheard = 0;
		return false;
	}
	if (!*unheard)
		*unheard = now;
	if (now - *unheard >= UNHEARD_NS)
		return false;
	a->cold.hints_wait = true;
	return true;
}

/* Returns true if there is more to do in it at once. */
static bool ripen_block(struct agent *a, struct region *r, uint32_t block, uint64_t now)
{
	struct block *b = &r->block[block];
	uint32_t may = ripening(a), went;

	if (!b->staged) {
		if (b->gated && !b->out &&
		    ms_since(__atomic_load_n(&b->stage_at, __ATOMIC_RELAXED), now) >= UNGATE_MS)
			region_ungate_block(a, r, block);
		return false;
	}
	if (!may)
		return false;
	if (b->whole) {
		if (ms_since(__atomic_load_n(&b->stage_at, __ATOMIC_RELAXED), now) >= stage_ms(a))
			bring_whole_back(a, r, block);
		return false;
	}
	if (ms_since(b->age_at, now) >= stage_ms(a) / 2 && !waits_to_hint(a, now)) {
		b->age_at = (uint32_t)(now / 1000000);
		if (tier_age(a, r, block, hints(a)))
			return false; /* answers come until ANSWER_MS have gone by */
	} else if (hints(a) && ms_since(b->age_at, now) < ANSWER_MS) {
		return false;
	}
	went = tier_ripen(a, r, block, may, flags_of(a));
	promote_out(&a->cold.promote, went);
	return went != 0;
}

static bool ripen_next(struct agent *a, uint64_t now, uint32_t *dealt, bool *choked)
{
	struct cold *c = &a->cold;
	bool more = false;

	pthread_mutex_lock(&a->act);
	for (; c->ripe_region < PS_REGIONS_MAX; c->ripe_region++, c->ripe_block = 0) {
		struct region *r = &a->region[c->ripe_region];

		if (r->life != REGION_MANAGED)
			continue;
		while (c->ripe_block < r->blocks && !r->block[c->ripe_block].gated)
			c->ripe_block++;
		if (c->ripe_block >= r->blocks)
			continue;
		*dealt += ripen_block(a, r, c->ripe_block, now);
		/* pages are found faster than the disk takes them: the hand stays where it is */
		if (tier_is_choked(a))
			*choked = true;
		else
			c->ripe_block++;
		more = true;
		break;
	}
	pthread_mutex_unlock(&a->act);
	return more;
}

static void flush(struct agent *a)
{
	pthread_mutex_lock(&a->act);
	tier_flush(a);
	pthread_mutex_unlock(&a->act);
}

static uint64_t serve_ripe(struct agent *a, uint64_t now)
{
	struct cold *c = &a->cold;
	uint32_t dealt = 0;
	bool choked = false;
	uint64_t wait;

	if (now < c->ripe_next)
		return c->ripe_next - now;
	/* blocks that have nothing to do cost little: all of them, but few that have */
	while (dealt < SLICE_BLOCKS && !choked)
		if (!ripen_next(a, now, &dealt, &choked)) {
			flush(a);
			wait = c->hints_wait ? ROOM_NS : RIPE_NS;
			c->hints_wait = false;
			c->ripe_region = c->ripe_block = 0;
			c->ripe_next = now + wait;
			return wait;
		}
	/* the end of a batch rings the bell */
	return choked ? TIER_CHOKED_NS / 4 : 0;
}

/* ---- twins of earlier stores ----------------------------------------------------------------- */

static void serve_untwin(struct agent *a)
{
	bool any = false;

	for (uint32_t i = 0; i < STORES_MAX; i++)
		any |= i != a->stores.current && a->stores.store[i].twins;
	if (!any)
		return;
	pthread_mutex_lock(&a->act);
	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		if (a->region[i].life == REGION_MANAGED)
			tier_untwin(a, &a->region[i], false);
	pthread_mutex_unlock(&a->act);
}

/* ---- suspend, resume ------------------------------------------------------------------------- */

/* The next pages that are out come back. Returns false if none is left. */
static bool resume_next(struct agent *a)
{
	struct cold *c = &a->cold;
	bool more = false;

	pthread_mutex_lock(&a->act);
	for (; c->move_region < PS_REGIONS_MAX; c->move_region++, c->move_block = 0) {
		struct region *r = &a->region[c->move_region];

		if (r->life != REGION_MANAGED)
			continue;
		while (c->move_block < r->blocks && !r->block[c->move_block].out)
			c->move_block++;
		if (c->move_block >= r->blocks)
			continue;
		pagein_range(a, r, region_first_of(r, c->move_block),
			     region_end_of(r, c->move_block) - region_first_of(r, c->move_block),
			     c->act_room);
		c->move_block++;
		more = true;
		break;
	}
	pthread_mutex_unlock(&a->act);
	return more;
}

static uint64_t size_of(const struct agent *a)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		for (uint32_t b = 0; a->region[i].life == REGION_MANAGED && b < a->region[i].blocks;
		     b++)
			pages += a->region[i].block[b].grant;
	return pages;
}

static uint64_t serve_moving(struct agent *a)
{
	struct cold *c = &a->cold;
	uint32_t now = flags_of(a) & (PS_TARGET_SUSPEND | PS_TARGET_RESUME);

	if (now & PS_TARGET_RESUME)
		now = PS_TARGET_RESUME;
	if (now != c->moving) {
		c->moving = now;
		c->move_region = c->move_block = 0;
		c->suspended = 0;
		c->moving_total = cold_out(c) + c->staged;
		if (now == PS_TARGET_SUSPEND)
			c->moving_total += size_of(a);
		c->stage_region = c->stage_block = 0;
		c->stage_found = 0;
	}
	if (now == PS_TARGET_RESUME && cold_out(c) + c->staged) {
		if (!resume_next(a)) {
			c->move_region = c->move_block = 0;
			return RIPE_NS;
		}
		return 0;
	}
	return UINT64_MAX;
}

/* Pages. A few come in and go out again all the time. */
static uint64_t suspend_todo(struct agent *a, uint64_t out)
{
	struct cold *c = &a->cold;
	uint64_t caches = evicts_all(a) && c->zipped >= UPKEEP ? c->zipped : 0;

	if (is_suspended(a) && c->staged <= pages_of_idleness(a))
		return caches;
	return (c->moving_total > out ? c->moving_total - out : c->staged) + caches;
}

static void progress(struct agent *a)
{
	struct cold *c = &a->cold;
	uint64_t out = cold_out(c);

	/* what the walk had not counted yet when it began */
	if (c->moving_total < out + c->staged)
		c->moving_total = out + c->staged;
	a->stats.moving_total = c->moving ? c->moving_total : 0;
	if (c->moving == PS_TARGET_RESUME)
		a->stats.moving_todo = out + c->staged;
	else if (c->moving == PS_TARGET_SUSPEND)
		a->stats.moving_todo = suspend_todo(a, out);
	else
		a->stats.moving_todo = 0;
}

/* ---------------------------------------------------------------------------------------------- */

static uint64_t least(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

uint64_t reclaim_step(struct agent *a, uint64_t now)
{
	uint64_t wait;
	bool writing;

	serve_stores(a, now);
	pthread_mutex_lock(&a->act);
	writing = tier_reap(a);
	pthread_mutex_unlock(&a->act);
	serve_untwin(a);
	wait = serve_moving(a);
	serve_again(a, now);
	serve_pace(a);
	wait = least(wait, serve_ripe(a, now));
	serve_zip(a);
	wait = least(wait, serve_staging(a, now));
	progress(a);
	/* the end of a batch rings the bell */
	return writing ? least(wait, QUIET_NS) : wait;
}
