/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* census: counts what the guest has, where the walk comes by too seldom to know. */
#ifndef PSHARE_AGENT_CENSUS_H
#define PSHARE_AGENT_CENSUS_H

#include <stdbool.h>
#include <stdint.h>

#define CENSUS_NS 3000000000ull /* one census after the other, at least so far apart ... */
#define CENSUS_REST 500u	/* ... and this many times what the last one took */
#define CENSUS_SLICE_BLOCKS 64u /* then the worker sees to its other duties */

struct agent;

struct census {
	bool under_way;
	uint32_t region; /* where it is: slot and block in it */
	uint32_t block;
	uint64_t next; /* ns: the next one may begin */
	uint64_t took; /* ns, of the one under way */
};

/* The next slice, if it is time. Returns the ns until it wants to go on, 0: at once. Worker, no
 * lock held. */
uint64_t census_step(struct agent *a, uint64_t now);

#endif
