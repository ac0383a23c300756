/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * minFree is what a host should keep free: 6 % of its first 4 GB, 4 % of the next 8, 2 % of the
 * next 16, 1 % of the rest (as vSphere 5 brought it), or a fixed percentage if somebody set one.
 *
 * States compare what is free with minFree. Sources name one threshold for each state: high 400 %,
 * clear 100, soft 64, hard 32, low 16, and say that entering and leaving differ. Read so:
 * a state is entered from above when free memory falls under its threshold, and left upwards when
 * free memory reaches the threshold of the state above.
 *
 *		entered below	left upwards at
 *	clear	100 %		400 %
 *	soft	 64 %		100 %
 *	hard	 32 %		 64 %
 *	low	 16 %		 32 %
 *
 * That is the one reading under which both public screens are right: "high" at 186 % of minFree
 * (on the way down) and "clear" at 255 % (on the way up). It leaves a factor of 1.5 to 4 between
 * up and down, so a host that hovers does not break and rebuild large pages in turn.
 *
 * One step at a time: each state's means get their turn before the next one's are used.
 *
 * The thresholds are settings, since sources differ about the first (400 or 300 %). They have to
 * fall from state to state, or one could be entered and left at the same time.
 *
 * The brake: MemAvailable is the kernel's estimate of what it could free. While tasks stall for
 * memory it was too high; then no state is left upwards. It does not push downwards: a busy disk
 * stalls tasks too, and would break huge pages on a host with plenty.
 */
#include "policy/memstate.h"

#include <stdbool.h>
#include <stddef.h>

#define MB (1024ull * 1024)

/* The sliding scale: pct percent of each piece of managed memory. */
static const struct {
	uint64_t mb;
	uint32_t pct;
} scale[] = {
	{4096, 6},
	{8192, 4},
	{16384, 2},
	{UINT64_MAX / MB, 1},
};

static const struct {
	const char *name;
	uint32_t threshold;
} states[MEMSTATE_END] = {
	[MEMSTATE_HIGH] = {"high", 400}, [MEMSTATE_CLEAR] = {"clear", 100},
	[MEMSTATE_SOFT] = {"soft", 64},	 [MEMSTATE_HARD] = {"hard", 32},
	[MEMSTATE_LOW] = {"low", 16},
};

uint64_t memstate_min_free(uint64_t managed, uint32_t pct)
{
	uint64_t sum = 0;

	if (pct)
		return managed / 100 *
		       (pct < MEMSTATE_MIN_FREE_PCT_MAX ? pct : MEMSTATE_MIN_FREE_PCT_MAX);
	for (size_t i = 0; i < sizeof(scale) / sizeof(scale[0]); i++) {
		uint64_t piece = managed < scale[i].mb * MB ? managed : scale[i].mb * MB;

		sum += piece / 100 * scale[i].pct;
		managed -= piece;
	}
	return sum;
}

uint32_t memstate_threshold(enum memstate state)
{
	return (unsigned int)state < MEMSTATE_END ? states[state].threshold : 0;
}

void memstate_levels_default(struct memstate_levels *levels)
{
	for (unsigned int i = 0; i < MEMSTATE_END; i++)
		levels->pct[i] = states[i].threshold;
}

enum memstate memstate_levels_wrong(const struct memstate_levels *levels)
{
	for (enum memstate i = MEMSTATE_CLEAR; i < MEMSTATE_END; i++)
		if (levels->pct[i] >= levels->pct[i - 1])
			return i;
	return MEMSTATE_END;
}

uint64_t memstate_part(uint64_t min_free, uint32_t pct)
{
	return (uint64_t)((unsigned __int128)min_free * pct / 100);
}

static bool at_least(const struct memstate_input *in, const struct memstate_levels *levels,
		     enum memstate state)
{
	return in->free >= memstate_part(in->min_free, levels->pct[state]);
}

enum memstate memstate_step(enum memstate state, const struct memstate_input *in,
			    const struct memstate_levels *levels)
{
	if ((unsigned int)state >= MEMSTATE_END)
		return MEMSTATE_HIGH;
	if (state != MEMSTATE_LOW && !at_least(in, levels, state + 1))
		return state + 1;
	if (state != MEMSTATE_HIGH && !in->brake && at_least(in, levels, state - 1))
		return state - 1;
	return state;
}

const char *memstate_name(enum memstate state)
{
	return (unsigned int)state < MEMSTATE_END ? states[state].name : "unknown";
}
