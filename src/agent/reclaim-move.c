/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reclaim-move: all of a VM goes out, or comes back.
 *
 * SUSPEND takes everything, cold or not, large blocks too. RESUME brings back all that is out,
 * region by region, ahead of use; nothing goes out meanwhile. When the agent has given up, it does
 * the same, for good. How far it has come is counted in pages, for who waits for it.
 */
#include "agent/agent.h"
#include "agent/pagein.h"
#include "agent/reclaim-internal.h"

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

uint64_t reclaim_serve_moving(struct agent *a)
{
	struct cold *c = &a->cold;
	uint32_t now = reclaim_flags(a) & (PS_TARGET_SUSPEND | PS_TARGET_RESUME);

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
	uint64_t caches = reclaim_evicts_all(a) && c->zipped >= UPKEEP ? c->zipped : 0;

	if (reclaim_is_suspended(a) && c->staged <= reclaim_idleness(a))
		return caches;
	return (c->moving_total > out ? c->moving_total - out : c->staged) + caches;
}

void reclaim_progress(struct agent *a)
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
