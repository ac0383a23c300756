/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* picture: draws what the VM's memory is in, cell by cell, for whoever looks. */
#ifndef PSHARE_AGENT_PICTURE_H
#define PSHARE_AGENT_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

#define PICTURE_SEEN_NS 1000000000ull /* between two drawings while somebody looks ... */
#define PICTURE_SEEN_REST 100u	      /* ... and this many times what the last one took */
#define PICTURE_NS 600000000000ull    /* the same while nobody does */
#define PICTURE_REST 1000u
#define PICTURE_SLICE_BLOCKS 64u /* then the worker sees to its other duties */

struct agent;

struct picture {
	bool under_way;
	uint32_t cell_pages;
	uint32_t n; /* places of regions that are drawn */
	struct ps_picture_region region[PS_REGIONS_MAX];
	uint8_t slot[PS_REGIONS_MAX]; /* of the agent's regions */
	uint32_t at, block;	      /* where it is: a place, a block in it */
	uint32_t cell;		      /* that is being counted, and its pages so far */
	uint32_t pages[PS_PICTURE_STATES];
	uint64_t ended; /* ns: the last one was whole */
	uint64_t took;	/* ns, of the one under way, or of the last */
};

/* The next slice, if it is time. Returns the ns until it wants to go on, 0: at once. Worker, no
 * lock held. */
uint64_t picture_step(struct agent *a, uint64_t now);

#endif
