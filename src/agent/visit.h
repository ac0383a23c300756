/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * visit: the walk's visit of one block, as the parts that look at its pages share it.
 */
#ifndef PSHARE_AGENT_VISIT_H
#define PSHARE_AGENT_VISIT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/region.h"
#include "agent/store.h"

/* One visit of a block. */
struct visit {
	struct agent *a;
	struct region *r;
	struct block *b;
	struct store *s;
	uint32_t first, end;		     /* pages */
	uint64_t zeros[PS_BLOCK_PAGES / 64]; /* pages of the block that look like zeros */
	bool any_zeros;
	uint32_t armed, written;		   /* found armed: of them, written */
	uint64_t mapped_zero[PS_BLOCK_PAGES / 64]; /* pages that map the zero page */
	bool starved;				   /* no tokens, or no room in the ring */
	bool restless; /* some page waits for the next look, written or not */
};

/* The visit of a block of r, in which nothing was seen yet. */
struct visit visit_of(struct agent *a, struct region *r, uint32_t block);
/* Blocks take turns, so that what rests does not all come back in one look. */
uint64_t visit_turn(const struct visit *v);
/* Is a page in that state, written again and again or not, to be looked at in this look? */
bool visit_is_due(const struct visit *v, uint8_t state);
/* A token for one page, and room for its hint. *next: the first page of this block that this look
 * has not hashed yet, of the guest's own or of those in a store's mapping; kept by the walk. False:
 * the look is starved, or had the page before it starved. */
bool visit_may_hash(struct visit *v, uint32_t page, uint32_t *next);

#endif
