/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * large: which huge page is to be broken first: most to give and coldest (ESX's COWH, and what it
 * calls idle).
 *
 * Nothing tells writes to a huge page that is left whole: to arm it would split its mapping at the
 * first write. But its parts are hashed now and then, as hints; so what changed between two looks
 * shows in their hashes. They are folded into one number for each eighth of the block: 16 bytes,
 * where the hash of each part would take 2 KiB. An eighth that is the same at two looks is still.
 * Reads do not show.
 */
#ifndef PSHARE_POLICY_LARGE_H
#define PSHARE_POLICY_LARGE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

#define LARGE_STRETCHES 8u
#define LARGE_STRETCH_PAGES (PS_BLOCK_PAGES / LARGE_STRETCHES)
/* Parts with a twin for which breaking is worthwhile: below that a huge page is worth more whole
 * (a thirtieth of it). */
#define LARGE_WORTH 16u

struct large_still {
	uint16_t digest[LARGE_STRETCHES]; /* of the last look; 0: there was none */
	uint16_t run;			  /* of the stretch under way */
	uint8_t counting;		  /* still ones in the look under way */
	uint8_t still;			  /* stretches that were the same at the last two looks */
};

/* The hash of part `part` (0 to PS_BLOCK_PAGES - 1) in this look; parts come in order. */
void large_still_add(struct large_still *s, uint32_t part, uint64_t hash);

/* How soon a block is to be broken, the larger the sooner; 0: not at all. twins: parts that are
 * known to have a twin, or to be zeros. any: blocks with nothing to share are wanted too, for their
 * cold pages are to go out. */
uint32_t large_score(uint32_t twins, const struct large_still *s, bool any);

#endif
