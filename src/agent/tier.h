/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tier: where a staged page goes on to: a frame, the compressed cache, the swap file. Worker, under
 * act, all of it.
 */
#ifndef PSHARE_AGENT_TIER_H
#define PSHARE_AGENT_TIER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/region.h"
#include "agent/store.h"
#include "wire/wire.h"

/* The staged pages of a block are found there once more. hint: those that are ripe by that are
 * hinted, so that one that is equal to a frame is answered with an order. Returns how many were. */
uint32_t tier_age(struct agent *a, struct region *r, uint32_t block, bool hint);
/* Is there room for the hints of a block? */
bool tier_has_room(const struct agent *a);
/* At most `may` ripe pages of the block go on, by what flags (PS_TARGET_...) allow. Returns how
 * many did, or are being written. */
uint32_t tier_ripen(struct agent *a, struct region *r, uint32_t block, uint32_t may,
		    uint32_t flags);
/* Pages that were found to be for the swap file begin to be written. */
void tier_flush(struct agent *a);
/* Are all batches on their way to the disk, and have not been for long? Then it is worth waiting
 * for one. A disk that stands still is not waited for. */
#define TIER_CHOKED_NS 100000000ull
bool tier_is_choked(const struct agent *a);
/* The n pages that have been longest in the compressed cache are written to the swap file. Returns
 * how many are being so. */
uint32_t tier_evict(struct agent *a, uint32_t n);
/* What has been written is SWAPPED. Returns true if batches are under way still. */
bool tier_reap(struct agent *a);

/* An order to share a page that is out: equal to that frame, it becomes a cold twin. NONE, or why
 * not. */
enum ps_cause tier_twin(struct agent *a, struct region *r, uint32_t page, struct store *s,
			uint32_t frame);
/* The content of a page that is out, for the daemon; NONE, or why not. The swap file is not read
 * for it. */
enum ps_cause tier_content(struct agent *a, struct region *r, uint32_t page, void *out);
/* Cold twins of stores that are to go, all or those of earlier ones, in pages [first, end), are
 * compressed, or come back. */
void tier_untwin(struct agent *a, struct region *r, uint32_t first, uint32_t end, bool all);

#endif
