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

/* Is free at least that percentage of min_free? In 1/100, so that nothing overflows. */
static bool at_least(uint64_t free, uint64_t min_free, enum memstate state)
{
	return free >= min_free / 100 * states[state].threshold;
}

enum memstate memstate_step(enum memstate state, uint64_t free, uint64_t min_free)
{
	if ((unsigned int)state >= MEMSTATE_END)
		return MEMSTATE_HIGH;
	if (state != MEMSTATE_LOW && !at_least(free, min_free, state + 1))
		return state + 1;
	if (state != MEMSTATE_HIGH && at_least(free, min_free, state - 1))
		return state - 1;
	return state;
}

const char *memstate_name(enum memstate state)
{
	return (unsigned int)state < MEMSTATE_END ? states[state].name : "unknown";
}
