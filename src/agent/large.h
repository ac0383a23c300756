/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * large: huge pages are broken for the daemon's target, and made again when memory is plentiful.
 */
#ifndef PSHARE_AGENT_LARGE_H
#define PSHARE_AGENT_LARGE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/region.h"

struct agent;

#define LARGE_CHOSEN 32u

struct large {
	/* Blocks to be broken next, the best last; chosen anew when none is left. */
	struct large_choice {
		uint8_t region;
		uint32_t block;
		uint32_t score;
	} chosen[LARGE_CHOSEN];
	uint32_t n;
	uint64_t choose_at; /* ns: there was none; not looked again before */
	/* Where the search for blocks to be made huge is. */
	uint32_t region;
	uint32_t block;
	uint64_t collapse_at; /* ns */
};

/* Breaks and makes a few blocks, if that is wanted. ns until it wants to go on; UINT64_MAX: not
 * before something else happens. Worker, no lock held. */
uint64_t large_step(struct agent *a, uint64_t now);

#endif
