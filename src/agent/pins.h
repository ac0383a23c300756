/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pins: which of the guest's own pages in a store's mapping does a device hold, to write into them
 * later?
 */
#ifndef PSHARE_AGENT_PINS_H
#define PSHARE_AGENT_PINS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/region.h"

/* A page that was closed, or is to be. */
#define CLOSED_MAX 8192u /* closed at once: for their sake writes of the guest wait */

struct closed {
	struct region *r;
	uint32_t page;
	uint8_t was;  /* its enum page_state before */
	bool broken;  /* the guest's own page; else a frame */
	bool ask;     /* is it pinned? For broken ones alone */
	bool pinned;  /* or it cannot be told, or was not asked */
	uint8_t done; /* for whoever closed it */
};

/* How pins are told in this process, looked at anew: enum ps_pins. */
unsigned int pins_way(void);
/* Sets .pinned of the broken ones among n closed pages, sorted: of those that .ask is set for, as
 * it is; of the others, and where it cannot be told, true. Under act, the pages being closed. */
void pins_test(struct agent *a, struct closed *c, uint32_t n);

#endif
