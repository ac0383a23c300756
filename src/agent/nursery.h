/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_NURSERY_H
#define PSHARE_AGENT_NURSERY_H

#include <stdint.h>

#include "agent/region.h"

/* Makes the region's nursery if it has none. Worker, under act. 0 or -errno; -EBUSY: every page
 * that could be its first is pinned, or may not be moved on this kernel. */
int nursery_make(struct agent *a, struct region *r);
void nursery_free(struct region *r);
/* Gives back its page tables: it is empty. Under act; takes settle for moments. */
void nursery_tidy(struct agent *a, struct region *r);

static inline char *nursery_page(const struct region *r, uint32_t page)
{
	return r->nursery + (size_t)page * PS_PAGE_SIZE;
}

#endif
