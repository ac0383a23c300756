/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reclaim: the worker's part in pages going out and coming back.
 *
 * A target says how many pages are to be out (TARGET, wire.h). In each step a slice of all that is
 * due is done:
 *
 *	reclaim-stage.c	what looks cold is staged
 *	reclaim-ripe.c	what has been staged for long enough goes on, by tier.c
 *	reclaim-move.c	SUSPEND and RESUME: everything goes out, or comes back
 *	reclaim-keep.c	what keeps them: the cache of compressed pages, the swap file
 *
 * Reclaim slows down where it hurts: policy/promote.h.
 */
#include "agent/reclaim.h"

#include <errno.h>

#include "agent/agent.h"
#include "agent/pagein.h"
#include "agent/reclaim-internal.h"
#include "agent/tier.h"
#include "sys/mapping.h"

#define SUSPEND_ROUNDS 8u
#define IDLE_PART 256u /* of a VM */

int reclaim_init(struct agent *a)
{
	a->cold.room = map_anon(NULL, COLD_ROOM * PS_PAGE_SIZE);
	a->cold.act_room = map_anon(NULL, PAGEIN_ROOM * PS_PAGE_SIZE);
	return a->cold.room && a->cold.act_room ? 0 : -ENOMEM;
}

uint32_t reclaim_flags(const struct agent *a)
{
	return a->gave_up ? PS_TARGET_RESUME : a->link.target.flags;
}

static bool may_keep(const struct agent *a)
{
	return reclaim_flags(a) & (PS_TARGET_TWIN | PS_TARGET_ZIP | PS_TARGET_SWAP);
}

/* What refused for a moment (a page that the kernel itself has in hand) is asked again. */
bool reclaim_is_suspended(const struct agent *a)
{
	return a->cold.suspended >= SUSPEND_ROUNDS;
}

bool reclaim_wants_out(const struct agent *a)
{
	uint32_t flags = reclaim_flags(a);

	return flags & (PS_TARGET_STAGE | PS_TARGET_SUSPEND) && !(flags & PS_TARGET_RESUME) &&
	       may_keep(a);
}

uint64_t reclaim_wanting(struct agent *a)
{
	uint64_t there = cold_out(&a->cold) + a->cold.staged;

	if (!reclaim_wants_out(a))
		return 0;
	if (reclaim_flags(a) & PS_TARGET_SUSPEND)
		return reclaim_is_suspended(a) ? 0 : UINT32_MAX;
	return a->link.target.out_pages > there ? a->link.target.out_pages - there : 0;
}

uint64_t reclaim_pages(const struct agent *a)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		pages += a->region[i].life == REGION_MANAGED ? a->region[i].end : 0;
	return pages;
}

uint64_t reclaim_idleness(const struct agent *a)
{
	return reclaim_pages(a) / IDLE_PART;
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
			tier_untwin(a, &a->region[i], a->region[i].first, a->region[i].end, false);
	pthread_mutex_unlock(&a->act);
}

/* ---- a step ---------------------------------------------------------------------------------- */

static uint64_t least(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

uint64_t reclaim_step(struct agent *a, uint64_t now)
{
	uint64_t wait;
	bool writing;

	reclaim_serve_stores(a, now);
	pthread_mutex_lock(&a->act);
	writing = tier_reap(a);
	pthread_mutex_unlock(&a->act);
	serve_untwin(a);
	wait = reclaim_serve_moving(a);
	reclaim_serve_again(a, now);
	reclaim_serve_pace(a);
	wait = least(wait, reclaim_serve_ripe(a, now));
	reclaim_serve_zip(a);
	wait = least(wait, reclaim_serve_staging(a, now));
	reclaim_progress(a);
	/* the end of a batch rings the bell */
	return writing ? least(wait, QUIET_NS) : wait;
}
