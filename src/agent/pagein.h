/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pagein: a page that is out comes back into the guest, or is dropped because the guest has
 * discarded it.
 */
#ifndef PSHARE_AGENT_PAGEIN_H
#define PSHARE_AGENT_PAGEIN_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/region.h"

#define PAGEIN_ROOM 16u	 /* pages of room for contents that a caller brings along */
#define PAGEIN_WINDOW 8u /* pages of the swap file that are read with one that is touched */

enum pagein {
	PAGEIN_DONE, /* it is there; who waited was woken */
	PAGEIN_BUSY, /* somebody else has it, and wakes */
	PAGEIN_NOT,  /* it is not out */
	PAGEIN_GONE, /* the guest's mapping is not there: the page is what it was */
};

/* What came of pagein_page(). */
struct pagein_report {
	enum page_state was;
	uint32_t n; /* pages that came, with neighbours */
};

/* Brings back one page, and what comes with it. room: PAGEIN_ROOM pages, aligned. Needs no lock,
 * but the region must stay (reader.h), or act be held. May wait for the disk if the page is
 * SWAPPED, for nobody else. A page that cannot be read any more stops the VMM. */
enum pagein pagein_page(struct agent *a, struct region *r, uint32_t page, char *room,
			struct pagein_report *report);
/* The same for all of page..page+n-1 that is out; waits for readers that have some of them. Under
 * act, not settle, or as pagein_page(). Returns false if the mapping is not there. */
bool pagein_range(struct agent *a, struct region *r, uint32_t page, uint32_t n, char *room);
/* The content of all of page..page+n-1 that is out counts for nothing any more: holes, NEW. Waits
 * for readers as well. Under act. */
void pagein_drop(struct agent *a, struct region *r, uint32_t page, uint32_t n);

/* A staged block that is in one piece comes back as that, before something is done to a part of it.
 * Under act, not settle. */
void pagein_whole(struct agent *a, struct region *r, uint32_t block);

/* ---- for who changes where a page is --------------------------------------------------------- */

/* A page in somebody's hands. */
struct holding {
	struct region *r;
	uint32_t page;
	enum page_state was;
	uint32_t wanted;
};

/* Takes a page that is out into the caller's hands, if it is in that state. Not of a block that is
 * in one piece. */
bool holding_take(struct agent *a, struct region *r, uint32_t page, enum page_state state,
		  struct holding *h);
/* Lets it go, as `to`, which is what it was or another tier (counted); wakes who waits for it. */
void holding_let_go(struct agent *a, const struct holding *h, enum page_state to);
/* Lets it go as NEW: a hole, zeros. Its content is dropped already. */
void holding_drop(struct agent *a, const struct holding *h);
/* Gives up what a page of that state, with that entry in the frame table, was kept by. Of a staged
 * one, the memory in the holding area. */
void holding_release(struct agent *a, const struct holding *h, enum page_state state,
		     uint32_t entry);

#endif
