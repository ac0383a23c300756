/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * walk: looks at all memory again and again, finds what became stable, hashes and hints it.
 */
#ifndef PSHARE_AGENT_WALK_H
#define PSHARE_AGENT_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/firstpass.h"
#include "policy/rate.h"
#include "wire/wire.h"

#define WALK_LOOK_MIN_NS 1000000000ull /* two looks are so far apart, or a quarter of it */
#define WALK_LOOK_MAX_NS 60000000000ull
#define WALK_LOOK_FIRST_NS \
	(FIRST_PASS_LOOK_MS * 1000000ull) /* the most, while the first pass is under way */
#define WALK_LOOK_SHORT_NS 500000000ull	  /* the same, and the host is short of memory */
#define WALK_LOOK_HURRY_NS 200000000ull	  /* while the VM is about to be forked */
#define WALK_NEW_PART 4u /* so much of it armed in one look: most of the memory is new */
#define WALK_OLD_MIN_NS \
	20000000000ull		/* frames of earlier stores wait for twins at least so long */
#define WALK_SLICE_BLOCKS 64u	/* then the worker sees to its other duties */
#define WALK_LARGE_LOOKS 16u	/* parts of huge pages are hashed in every 16th look */
#define WALK_FULL_LOOKS 16u	/* a quiet block is counted anew in every 16th look */
#define WALK_REST_SHIFT 3u	/* a block at rest is visited in every 8th look at least */
#define WALK_REST_VISITS 2u	/* quiet visits until it is passed over once; twice as many: ... */
#define WALK_TIDY_LOOKS 4u	/* mappings without a frame are looked for so often */
#define WALK_HOT_PAGES 32u	/* so many armed pages of a block say how it is written; ... */
#define WALK_HOT_PART 8u	/* ... of them all but an eighth found written: it is hot ... */
#define WALK_HOT_LOOKS 4u	/* ... and looked at in every 4th look ... */
#define WALK_HOT_SAMPLE 8u	/* ... by one page of 8 */
#define WALK_CROWDED_LOOKS 256u /* a multiple of WALK_FULL_LOOKS: where mappings are few */
#define WALK_STARVED_PAGES \
	(PS_BLOCK_PAGES / 2) /* tokens and room in the ring for so many: a starved look goes on */
#define WALK_STARVED_NS 5000000ull /* looked for so often, where nobody knows better */
#define WALK_RANGES 600		   /* of one PAGEMAP_SCAN: a block never needs more */

struct agent;

struct walk {
	struct rate_bucket bucket;
	struct first_pass first;
	uint32_t region; /* where the look is: slot and block in it */
	uint32_t block;
	uint32_t next_own;   /* in that block: pages before it were hashed in this look, ... */
	uint32_t next_store; /* ... and those in stores' mappings before this one */
	bool under_way;
	bool crowded;	/* mappings are so few that a lone page is refused */
	bool starved;	/* the look under way stopped for want of tokens, or of room in the ring */
	bool soon;	/* the next look comes sooner */
	uint64_t armed; /* pages, in this look */
	uint64_t present;   /* pages, in the blocks visited in this look */
	bool drop_old;	    /* frames of earlier stores are copied out in this look */
	uint64_t old_since; /* ns: end of the first look; 0: not yet */
	uint64_t look;	    /* number of the look */
	uint64_t started;   /* ns */
};

/* The next slice of the walk, if it is time. Returns the ns until it wants to go on, 0: at once,
 * UINT64_MAX: not before something else happens. Worker, no lock held. */
uint64_t walk_step(struct agent *a, uint64_t now);
/* Every page is to be hashed and hinted anew: another domain, another daemon. Under act. */
void walk_restart(struct agent *a);

#endif
