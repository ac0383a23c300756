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
#define QUARANTINE_PIPES 64u
#define QUARANTINE_PIPE_PAGES 256u /* what an unprivileged process may have */

/* What a page was when it came: what it is compared with when it leaves. */
enum quarantine_was {
	QUARANTINE_NONE,  /* nothing is in this slot, or nobody asks for it any more */
	QUARANTINE_FRAME, /* equal to a frame */
	QUARANTINE_ZERO,  /* all zeros */
	QUARANTINE_COPY,  /* equal to what is in its slot */
};

struct quarantined {
	uint32_t page;	    /* in the VM */
	uint32_t frame;	    /* QUARANTINE_FRAME */
	uint32_t when;	    /* ms */
	uint8_t store;	    /* index of the frame's store */
	uint8_t was;	    /* enum quarantine_was */
	uint8_t pipe;	    /* 0: the page itself is in its slot; else it is kept in pipe - 1 */
	uint8_t superseded; /* the page came once more since: it stays marked */
};

struct quarantine_pipe {
	int fd[2];
	uint32_t room;
	uint32_t in; /* pages in it */
};

struct quarantine {
	char *slots; /* QUARANTINE_SLOTS pages */
	struct quarantined *entry;
	uint32_t head, tail; /* free-running; slots head..tail-1 are in use */
	uint32_t pages;	     /* entries in use */
	uint32_t limit;	     /* pages: so many may be in use, for the sake of the VMM's cgroup */
	struct quarantine_pipe pipe[QUARANTINE_PIPES];
	uint32_t filling;		     /* the pipe that is filled */
	_Alignas(8) char late[PS_PAGE_SIZE]; /* what came out of a pipe */
};

int quarantine_init(struct agent *a);
void quarantine_deinit(struct agent *a);

/* n slots in one piece, empty, or NULL if there is no room. They are nobody's until noted. */
char *quarantine_take(struct quarantine *q, uint32_t n);
/* Keeps references to the n guest pages at addr, which are about to be replaced, for the slots from
 * `slot` on, which were taken last. Returns for how many, from the first on, that was possible. */
uint32_t quarantine_keep(struct agent *a, const char *slot, const char *addr, uint32_t n);
/* Pages page..page+n-1 of r come in anew, while some of them are there already: their mark is for
 * the last time that they came. */
void quarantine_supersede(struct agent *a, const struct region *r, uint32_t page, uint32_t n);
/* The n pages in those slots, or kept for them, were pages page..page+n-1 of r, and were that (for
 * QUARANTINE_FRAME frames frame..frame+n-1 of store s). Their time begins now: they have been taken
 * out. */
void quarantine_note(struct agent *a, const char *slot, struct region *r, uint32_t page, uint32_t n,
		     enum quarantine_was was, struct store *s, uint32_t frame);
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
#endif
