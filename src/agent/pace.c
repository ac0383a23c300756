/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pace: the time from one look to the next, and the rate of hashing, from what the daemon says and
 * from whether the first pass is under way (policy/firstpass.h).
 *
 * The look period is a 60th of Mem.ShareScanTime, within a second and a minute. In a first pass it
 * is FIRST_PASS_LOOK_MS at most, and WALK_LOOK_SHORT_NS if the host is short of memory: a VM that
 * has just come takes more than it will have to. A quarter of all that where much of the memory is
 * new, which cannot be shared before the next look.
 */
#include "agent/pace.h"

#include "agent/agent.h"
#include "policy/memstate.h"
#include "sys/proc.h"

bool pace_is_first(const struct agent *a)
{
	return !a->walk.first.over && a->link.config.first_pages_per_second;
}

/* The look period: a 60th of Mem.ShareScanTime, within bounds, so that a pass's hashing can spread
 * over the whole time while two looks at a page stay near each other. */
uint64_t pace_look(const struct agent *a)
{
	uint64_t ns = a->link.config.pass_seconds * 1000000000ull / 60;

	if (a->link.config.flags & PS_CONFIG_HURRY)
		return WALK_LOOK_HURRY_NS;
	ns = ns < WALK_LOOK_MIN_NS ? WALK_LOOK_MIN_NS : ns;
	ns = ns > WALK_LOOK_MAX_NS ? WALK_LOOK_MAX_NS : ns;
	if (pace_is_first(a) && ns > WALK_LOOK_FIRST_NS)
		ns = WALK_LOOK_FIRST_NS;
	if (pace_is_first(a) && a->link.target.state > MEMSTATE_HIGH && ns > WALK_LOOK_SHORT_NS)
		ns = WALK_LOOK_SHORT_NS;
	return a->walk.soon ? ns / 4 : ns;
}

/* At the end of a look. Never twice in a row: a guest that writes to all of its memory all the
 * time is not to be looked at four times as often. */
void pace_judge_new(struct walk *w)
{
	w->soon = !w->soon && w->armed > w->present / WALK_NEW_PART;
}

bool pace_is_near(const struct agent *a, uint64_t now, uint64_t ns)
{
	bool walks = (a->link.config.flags & PS_CONFIG_SHARE) && !a->gave_up && a->walk.look;

	return walks && store_current((struct agent *)(uintptr_t)a) && pace_look(a) <= ns &&
	       now - a->walk.started <= ns;
}

void pace_set(struct agent *a, uint64_t now)
{
	const struct ps_msg_config *c = &a->link.config;
	uint32_t rate =
		first_pass_rate(&a->walk.first, c->pages_per_second, c->first_pages_per_second);

	if (rate != a->walk.bucket.rate)
		rate_set(&a->walk.bucket, rate, now);
}

void pace_first(struct agent *a)
{
	first_pass_begin(&a->walk.first, a->stats.scanned);
	pace_set(a, sys_now());
}
