/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bringback: pages that lie in a store's mapping, frames and broken ones, come back into the
 * guest's anonymous memory.
 */
#ifndef PSHARE_AGENT_BRINGBACK_H
#define PSHARE_AGENT_BRINGBACK_H

#include <stdint.h>

#include "agent/pins.h"
#include "agent/region.h"

#define BRING_BACK_PAGES 2048u /* closed at once: at most CLOSED_MAX */

/* Claims and closes pages page..page+n-1 of the region that lie in a store's mapping, notes them in
 * c (room for n), says which are broken, and tests those for pins. Those that cannot be closed are
 * left out. Returns how many. Under act, not settle. */
uint32_t close_pages(struct agent *a, struct region *r, uint32_t page, uint32_t n,
		     struct closed *c);
/* The first half of that, for callers that gather more pages before they test for pins. */
uint32_t close_untested(struct agent *a, struct region *r, uint32_t page, uint32_t n,
			struct closed *c);
/* Closed pages that were not replaced: they are what they were, or, written since, BROKEN. */
void open_pages(struct agent *a, struct closed *c, uint32_t n);

/* Brings back what can be of n closed pages, sorted, of one region, and opens the rest. Returns how
 * many stay in the store's mapping. Under act, not settle. */
uint32_t bring_back_closed(struct agent *a, struct closed *c, uint32_t n);
/* The same for every page of page..page+n-1 that lies in a store's mapping. What cannot be brought
 * back (pinned, no mapping to be had) is BROKEN at least: it needs no frame any more. */
uint32_t bring_back(struct agent *a, struct region *r, uint32_t page, uint32_t n);
/* The same for a whole region. Writes wait for BRING_BACK_PAGES at most. */
uint32_t bring_back_all(struct agent *a, struct region *r);

/* A page of a store's mapping is found to be, or became, the guest's own: BROKEN, its reference to
 * be given back. Under act (and settle, where frames are guarded). */
void note_broken(struct agent *a, struct region *r, uint32_t page, enum page_state was);
/* The page is in anonymous memory again, from the state `was`: NEW. */
void note_own(struct agent *a, struct region *r, uint32_t page, enum page_state was);

#endif
