/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stage: pages are taken out of the guest, whole, into the region's holding area. Worker, under
 * act.
 */
#ifndef PSHARE_AGENT_STAGE_H
#define PSHARE_AGENT_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/region.h"

/* Stages those pages of the block whose bit is set in map[PS_BLOCK_PAGES / 64]; pages of the
 * guest's own, in memory. Returns how many could be; -errno if none can be, and why. */
long stage_pages(struct agent *a, struct region *r, uint32_t block, const uint64_t *map);
/* Stages a block that is one huge page, as that. 0 or -errno. */
int stage_whole(struct agent *a, struct region *r, uint32_t block);
/* May that page be taken out at all, whatever it is (quarantine, references)? */
bool stage_may(const struct region *r, uint32_t page);
/* The memory of staged pages page..page+n-1 that are in the caller's hands, or have left. */
void stage_give_back(struct region *r, uint32_t page, uint32_t n);
/* The region's holding area, empty, goes. */
void stage_free(struct region *r);

/* Where a staged page is. */
static inline char *stage_page(const struct region *r, uint32_t page)
{
	return r->shadow + (size_t)page * PS_PAGE_SIZE;
}

#endif
