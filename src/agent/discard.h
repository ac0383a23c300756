/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_DISCARD_H
#define PSHARE_AGENT_DISCARD_H

#include <stdint.h>

#include "agent/region.h"

/* The VMM discards pages page..page+n-1: those that lie in a store's mapping become nothing (an
 * access gives zeros), and what is in quarantine for them is forgotten. 0; or -errno, and then some
 * may be as they were. Under act, not settle. */
int discard_pages(struct agent *a, struct region *r, uint32_t page, uint32_t n);

#endif
