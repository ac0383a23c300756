/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memstate: the host's memory: minFree, and the states high, clear, soft, hard, low.
 */
#ifndef PSHARE_POLICY_MEMSTATE_H
#define PSHARE_POLICY_MEMSTATE_H

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

/* Percent of minFree below which the state is entered from the one above it. HIGH: the percentage
 * at which CLEAR is left for it. */
uint32_t memstate_threshold(enum memstate state);

/* The next state: one step at most from the one before. Both in bytes. */
enum memstate memstate_step(enum memstate state, uint64_t free, uint64_t min_free);

const char *memstate_name(enum memstate state); /* "high" ... "low"; never NULL */

#endif
