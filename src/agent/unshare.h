/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unshare: a page that maps a frame becomes the guest's own again. All under `settle`; every caller
 * but the settler holds `act` too.
 */
#ifndef PSHARE_AGENT_UNSHARE_H
#define PSHARE_AGENT_UNSHARE_H

#include <stdint.h>

#include "agent/region.h"

#define UNSHARE_AHEAD 16u /* at most so many for one write fault */
#define UNSHARE_PAGES 64u /* unshared in one go: the settler waits no longer than this takes */

/* Pages page..page+n-1 all map frames: gives each a copy of its own. 0; or -errno, and then they
 * are as they were, or STUCK. */
int unshare_run(struct agent *a, struct region *r, uint32_t page, uint32_t n);
/* The same for one page, which gets this content instead of the frame's. */
int unshare_with(struct agent *a, struct region *r, uint32_t page, const char *content);
/* A write fault came on the page: settles it, whatever its state. The settler. */
void unshare_fault(struct agent *a, struct region *r, uint32_t page);
/* The same whether it can be done or not: without a mapping to be had they are stuck, and right. */
void unshare_give_up(struct agent *a, struct region *r, uint32_t page, uint32_t n);
/* Every page of the region that maps a frame. Drops and retakes nothing; long for a large region:
 * the guest's write faults wait. For regions that are about to go. */
void unshare_all(struct agent *a, struct region *r);
/* The VMM discards pages page..page+n-1: those that map a frame, or are stuck, become nothing (an
 * access gives zeros), and what is in quarantine for them is forgotten. */
int unshare_discard(struct agent *a, struct region *r, uint32_t page, uint32_t n);

/* Lets the walk see again what was unshared since the last call. The worker, under act alone. */
void unshare_track(struct agent *a);

#endif
