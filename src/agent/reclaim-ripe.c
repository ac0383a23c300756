/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reclaim-ripe: what has been staged for long enough goes on.
 *
 * That is the time that the configuration says, or up to half as long again: a block's staged pages
 * are found older once in half of that time. When the host is very short, and while somebody reads
 * all memory (reclaim-stage.c), it is the quarantine's time and no less: a device may hold a plain
 * reference to what was taken out. Where they go: tier.c.
 *
 * A block's gate comes off some seconds after its last page has come back.
 */
#include "agent/agent.h"
#include "agent/reclaim-internal.h"
#include "agent/tier.h"
#include "policy/memstate.h"
#include "sys/proc.h"

#define SLICE_BLOCKS 8u
#define ANSWER_MS 200u
#define ROOM_NS 20000000ull /* the daemon takes what is in the ring in less */
#define UNHEARD_NS 2000000000ull
#define UNGATE_MS 5000u
#define AGAIN_LASTS_NS 5000000000ull

/* Staged pages that are on their way to the disk, or will be: they are out when they are there. */
static uint32_t on_their_way(const struct cold *c)
{
	uint32_t n = c->nrest;

	for (uint32_t i = 0; i < COLD_BATCHES; i++)
		if (c->batch[i].number)
			n += c->batch[i].n;
	return n - c->evicting;
}

/* Staged pages that may go on now. */
static uint32_t ripening(struct agent *a)
{
	uint64_t out = cold_out(&a->cold) + on_their_way(&a->cold), n;

	if (!reclaim_wants_out(a))
		return 0;
	if (reclaim_flags(a) & PS_TARGET_SUSPEND)
		return UINT32_MAX;
	n = a->link.target.out_pages > out ? a->link.target.out_pages - out : 0;
	return promote_allow(&a->cold.promote, (uint32_t)n);
}

static uint32_t stage_ms(const struct agent *a)
{
	const struct ps_msg_config *c = &a->link.config;

	if (c->stage_ms < c->quarantine_ms || reclaim_flags(a) & PS_TARGET_SUSPEND ||
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

	return reclaim_flags(a) & PS_TARGET_TWIN && flags & PS_CONFIG_SHARE &&
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
			reclaim_bring_whole_back(a, r, block);
		return false;
	}
	if (ms_since(b->age_at, now) >= stage_ms(a) / 2 && !waits_to_hint(a, now)) {
		b->age_at = (uint32_t)(now / 1000000);
		if (tier_age(a, r, block, hints(a)))
			return false; /* answers come until ANSWER_MS have gone by */
	} else if (hints(a) && ms_since(b->age_at, now) < ANSWER_MS) {
		return false;
	}
	went = tier_ripen(a, r, block, may, reclaim_flags(a));
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

uint64_t reclaim_serve_ripe(struct agent *a, uint64_t now)
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
