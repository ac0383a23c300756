/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * share: taking pages out, and mapping frames, or the zero page, in their place. Worker, under act.
 */
#ifndef PSHARE_AGENT_SHARE_H
#define PSHARE_AGENT_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/region.h"
#include "policy/runs.h"

/* The daemon's orders for one block of r: pages of the region, sorted, none twice. Every order is
 * answered in the up ring (SHARED or REFUSED), so there must be room for n answers. */
void share_block(struct agent *a, struct region *r, const struct run_order *orders, uint32_t n);

/* The pages of the block that begins with page `first` whose bit is set in map[PS_BLOCK_PAGES / 64]
 * looked like zeros: takes them out and, where they are, puts the kernel's zero page in their
 * place. */
void share_zero(struct agent *a, struct region *r, uint32_t first, const uint64_t *map);

#endif
