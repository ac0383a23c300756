/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * quarantine: where a page taken out waits before its memory is given back.
 */
#ifndef PSHARE_AGENT_QUARANTINE_H
#define PSHARE_AGENT_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/region.h"
#include "agent/store.h"

/* A gigabyte of pages waiting: more than any rate takes out in the quarantine's time. The memory
 * was the guest's before; only 16 bytes for each slot ever used are new. */
#define QUARANTINE_SLOTS (1u << 18)
#define QUARANTINE_BATCH 64u /* looked at under one hold of `act` */

struct quarantined {
	uint32_t page;	/* in the VM */
	uint32_t frame; /* what it was equal to; PS_FRAME_NONE: all zeros */
	uint32_t when;	/* ms */
	uint16_t store; /* index of the frame's store */
	uint16_t used;	/* 0: nothing in this slot */
};

struct quarantine {
	char *slots; /* QUARANTINE_SLOTS pages and one more, the park */
	struct quarantined *entry;
	uint32_t head, tail; /* free-running; slots head..tail-1 are in use */
	uint32_t pages;	     /* entries in use */
};

int quarantine_init(struct agent *a);
void quarantine_deinit(struct agent *a);

/* n slots in one piece, empty, or NULL if there is no room. They are nobody's until noted. */
char *quarantine_take(struct quarantine *q, uint32_t n);
/* The page in that slot was page `page` of r and equal to frame of store s (NULL: zeros). */
void quarantine_note(struct agent *a, const char *slot, struct region *r, uint32_t page,
		     struct store *s, uint32_t frame, uint32_t now_ms);
/* For how many ms a page that came at `when` has been there. 0 if it came after now: a round of the
 * worker begins with a look at the clock, and pages come while it is under way. Both wrap around
 * every 49 days. */
static inline uint32_t quarantine_age(uint32_t when, uint32_t now)
{
	int32_t age = (int32_t)(now - when);

	return age > 0 ? (uint32_t)age : 0;
}

/* Looks at what has waited for wait_ms: gives it back, or its late content to the guest.
 * Returns the ms until the next one is due, UINT32_MAX if none. Worker, no lock held. */
uint32_t quarantine_run(struct agent *a, uint32_t now_ms, uint32_t wait_ms);
/* Gives back its page tables, if nothing is in it. Under act. */
void quarantine_tidy(struct quarantine *q);
/* The memory of those pages of the region goes, or is no longer what it was: whatever a device
 * writes late has no place there. Under act. */
void quarantine_forget(struct agent *a, struct region *r, uint32_t page, uint32_t n);
/* A page of scratch in the same mapping, for the worker's own moves. */
char *quarantine_park(struct quarantine *q);

#endif
