/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memstate: the host's memory: minFree, and the states high, clear, soft, hard, low.
 */
#ifndef PSHARE_POLICY_MEMSTATE_H
#define PSHARE_POLICY_MEMSTATE_H

#include <stdbool.h>
#include <stdint.h>

enum memstate {
	MEMSTATE_HIGH,
	MEMSTATE_CLEAR,
	MEMSTATE_SOFT,
	MEMSTATE_HARD,
	MEMSTATE_LOW,
	MEMSTATE_END
};

#define MEMSTATE_MIN_FREE_PCT_MAX 50u /* Mem.MemMinFreePct */

/* minFree in bytes of so many managed bytes. pct: Mem.MemMinFreePct; 0: the sliding scale. */
uint64_t memstate_min_free(uint64_t managed, uint32_t pct);

/* Percent of minFree below which the state is entered from the one above it, by default. HIGH: the
 * percentage at which CLEAR is left for it. */
uint32_t memstate_threshold(enum memstate state);

/* Thresholds as they are set: Mem.StateHighPct and its like. */
struct memstate_levels {
	uint32_t pct[MEMSTATE_END];
};

void memstate_levels_default(struct memstate_levels *levels);
/* Does each state begin below the one above it? Else the first that does not, else MEMSTATE_END. */
enum memstate memstate_levels_wrong(const struct memstate_levels *levels);
/* Bytes of so many percent of minFree. */
uint64_t memstate_part(uint64_t min_free, uint32_t pct);

/* What is free, and what a step goes by. Bytes. */
struct memstate_input {
	uint64_t free, min_free;
	bool brake; /* tasks stall for memory (PSI): no better state is believed */
};

/* The next state: one step at most from the one before. */
enum memstate memstate_step(enum memstate state, const struct memstate_input *in,
			    const struct memstate_levels *levels);

const char *memstate_name(enum memstate state); /* "high" ... "low"; never NULL */

#endif
