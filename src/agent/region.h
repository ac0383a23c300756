/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * region: one mapping of guest RAM that the VMM opted in, and the tables for its pages.
 */
#ifndef PSHARE_AGENT_REGION_H
#define PSHARE_AGENT_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/page.h"
#include "policy/large.h"
#include "wire/wire.h"

#define REGION_MIN_BYTES PS_BLOCK_SIZE /* smaller ones are not worth the tables */

struct agent;

enum region_life {
	REGION_FREE,	/* the slot is empty */
	REGION_OFFERED, /* the VMM opted it in; not looked at yet */
	REGION_REFUSED, /* cannot take part; cause says why. Looked at again when offered again */
	REGION_MANAGED, /* registered with the tracker; takes part */
	REGION_RETIRED, /* no frame is mapped, not registered; while pages of it are in quarantine,
			   late writes of devices still find their way into what is the VMM's
			   alone now; then the daemon is told */
};

struct block {
	uint16_t grant; /* pages present at the last look */
	uint16_t zero;	/* of them PAGE_ZERO */
	uint16_t large; /* of them in a huge page */
	uint16_t twin;	/* PAGE_TWIN */
	uint16_t shared;
	uint16_t borders;    /* between mappings in this block: what sharing costs */
	uint8_t untracked;   /* some page is not registered with the tracker; set by anyone */
	uint8_t unrefs;	     /* some page has PAGE_UNREF; set by anyone, cleared by the worker */
	uint8_t restless;    /* to be looked at even if nothing was written since the last look */
	uint8_t guarded;     /* its frames are write-protected for good: pins cannot be told */
	uint16_t broken;     /* pages in a store's mapping that are the guest's own */
	uint8_t hot;	     /* nearly all that was armed was written */
	uint8_t small;	     /* MADV_NOHUGEPAGE is set on it by us */
	uint8_t stays_small; /* the VMM itself wants no huge pages there */
	uint8_t was_large;   /* a huge page was seen here */
	uint8_t calm;	     /* visits in a row that found nothing to do; at most 255 */
	uint16_t unseen;     /* present, neither hashed nor found restless yet */
	uint16_t large_look; /* number of the look that hashes its parts; so far it came to ... */
	uint16_t large_next; /* ... this page of the block */
	uint16_t large_twin; /* PAGE_TWIN before that look: until the answers to it have come */
	uint8_t split;	     /* it was broken: not to be kept whole, whatever is still huge */
	struct large_still still;
	/* Pages that are out, and of them the staged ones. Changed by who has a page to himself,
	 * with atomic operations. */
	uint16_t out;
	uint16_t staged;
	uint8_t gated; /* all but what lies in a store's mapping is behind the gate. Under act */
	uint8_t whole; /* enum block_whole: it is staged in one piece, a huge page still */
	uint8_t whole_slot; /* where the agent remembers which of its parts had twins */
	uint8_t busy;	    /* how often of late a staged page came back; at most 255 */
	uint32_t stage_at;  /* ms: when a page was staged last, or came back */
	uint32_t age_at;    /* ms: when its staged pages were last found older */
};

/* A huge page that is staged as a whole comes back as a whole. */
enum block_whole {
	BLOCK_PARTS,
	BLOCK_WHOLE,	    /* all its pages are STAGED. Leaves to WHOLE_COMING */
	BLOCK_WHOLE_COMING, /* somebody is alone with it. Leaves to PARTS */
};

struct region {
	/* Readers look at these without a lock; what was opted in, in bytes. */
	enum region_life life;
	uintptr_t start;
	size_t len;

	bool announced; /* the present daemon knows it */
	bool huge;	/* the VMM asked for huge pages: given back when we let go */
	bool forks;	/* not MADV_DONTFORK: a child would map our frames */
	bool dumps;	/* not MADV_DONTDUMP: frames belong into a core dump too */
	bool forked;   /* a child was made: pages may count as shared with it, see region_reown() */
	uint8_t cause; /* enum ps_cause of a refusal */
	uint8_t told_cause;  /* the refusal that the present daemon shows; NONE: none */
	uint32_t changes;    /* another number after every call that may change what it is */
	uint64_t survey_at;  /* ns: not surveyed before then */
	uint64_t refused_at; /* ns */
	uint64_t look_at;    /* ns: is the cause still there? */
	uint32_t base;	     /* number of page 0 in the VM */
	uintptr_t origin;    /* address of page 0: start, rounded down to 2 MiB, so that a block of
			     pages is a huge page's place */
	uint32_t first;	     /* pages first..end-1 are guest RAM */
	uint32_t end;
	uint8_t *state;	     /* [end] */
	uint32_t *frame;     /* [end], of pages that have one */
	struct block *block; /* [blocks] */
	uint64_t *asked; /* bits: it was out, somebody touched it, and it was not put out since */
	uint32_t blocks;
	char *nursery;		/* counterpart of page 0: see nursery.c; NULL until first needed */
	uint32_t nursery_first; /* it begins with this page: those before it cannot be shared */
	char *shadow;		/* counterpart of page 0 in the holding area; see stage.c */
	char *nursery_park;	/* a page of the same kind, for one page's moment out */
	uint32_t quarantined;	/* pages of it that are in quarantine */
	uint32_t born; /* pages before this one came with an image: not sampled (likeness) yet */
	size_t table_bytes;
	size_t table_used; /* of them in memory, when it was last looked */
};

static inline char *region_page(const struct region *r, uint32_t page)
{
	return (char *)r->origin + (size_t)page * PS_PAGE_SIZE;
}

static inline bool region_asked(const struct region *r, uint32_t page)
{
	return __atomic_load_n(&r->asked[page / 64], __ATOMIC_RELAXED) >> page % 64 & 1;
}

static inline void region_set_asked(struct region *r, uint32_t page, bool asked)
{
	uint64_t bit = 1ull << page % 64;

	if (asked)
		__atomic_fetch_or(&r->asked[page / 64], bit, __ATOMIC_RELAXED);
	else if (region_asked(r, page))
		__atomic_fetch_and(&r->asked[page / 64], ~bit, __ATOMIC_RELAXED);
}

static inline struct block *region_block(const struct region *r, uint32_t page)
{
	return &r->block[page / PS_BLOCK_PAGES];
}

/* Is the block to be left whole, by the daemon's configuration? */
static inline bool block_is_kept(const struct block *b, uint32_t config)
{
	return b->large && !b->split && (config & PS_CONFIG_LARGE);
}

/* Parts of a huge page that are known to have a twin, or to be zeros: what breaking it gives. */
static inline uint32_t block_worth(const struct block *b)
{
	return b->twin > b->large_twin ? b->twin : b->large_twin;
}

/* The pages of a block that are guest RAM: from .. to .. - 1. */
static inline uint32_t region_first_of(const struct region *r, uint32_t block)
{
	uint32_t page = block * PS_BLOCK_PAGES;

	return page < r->first ? r->first : page;
}

static inline uint32_t region_end_of(const struct region *r, uint32_t block)
{
	uint32_t end = (block + 1) * PS_BLOCK_PAGES;

	return end > r->end ? r->end : end;
}

/* The region that has this address, and the page in it; NULL. Under act or settle. */
struct region *region_at(struct agent *a, uintptr_t addr, uint32_t *page);
/* The same by the page's number in the VM. */
struct region *region_of(struct agent *a, uint32_t vm_page, uint32_t *page);

/* Notes that the VMM opted in [addr, addr+len). Under act and settle. Returns false if the table
 * is full or the range overlaps a region that is already there. */
bool region_offer(struct agent *a, uintptr_t addr, size_t len);
/* Readers look at it without a lock. */
void region_set_life(struct region *r, enum region_life life);
/* REFUSED or OFFERED: to be looked at (again). Under act and settle. */
void region_offer_again(struct agent *a, struct region *r);
/* What is being found out of it may be so no more: to be asked again. Under act and settle. */
void region_survey_anew(struct agent *a, struct region *r);
/* OFFERED to MANAGED or REFUSED: makes the tables, registers the tracker. err and what: as
 * vmas_describe() says, of the memory as it is now. Worker, under act and settle. */
void region_adopt(struct agent *a, struct region *r, int err, unsigned int what);
/* RETIRED to FREE, nothing of it in quarantine, the daemon having been told. Worker, under act and
 * settle. */
void region_free(struct agent *a, struct region *r);
/* Huge pages off for one block, or for the whole region, before its pages are shared one by one:
 * an unshared page merges with its neighbours only where the nursery's flags are theirs. */
int region_make_small(struct agent *a, struct region *r, uint32_t page);
int region_make_all_small(struct agent *a, struct region *r);

/* Frames were mapped there: in core dumps and in forked children they are as the region is. Under
 * act. */
void region_mark_frames(struct region *r, uint32_t page, uint32_t n);
/* The kernel will not take out page page, the first of n. Was that for a child that has gone
 * meanwhile? Then the pages are the process's own again, and true is returned. Under act. */
bool region_reown(struct agent *a, struct region *r, uint32_t page, uint32_t n);

/* Makes the page OUT, its owner holding act; a reader that fills it as a hole is waited for.
 * Returns what it was. */
enum page_state region_take(struct region *r, uint32_t page);
/* The daemon's reference for that page is not needed any more. Any thread. */
void region_give_back(struct agent *a, struct region *r, uint32_t page);

/* The gate of a whole block, for as long as pages of it are out: all of it that does not lie in a
 * store's mapping. The pages to be taken out are OUT already, so that none of them becomes part of
 * a mapping that nobody has registered yet. Under act. 0 or -errno. */
int region_gate_block(struct agent *a, struct region *r, uint32_t block);
/* Off again, when no page of it is out. Under act. */
void region_ungate_block(struct agent *a, struct region *r, uint32_t block);

/* The gate: pages of the range that are not there wait for a wake instead of being filled. */
int region_gate(struct agent *a, struct region *r, uint32_t page, uint32_t n);
/* Off again, but in blocks that have one of their own; wakes whoever waits. All of the range must
 * be there, or be meant to be zeros. */
int region_ungate(struct agent *a, struct region *r, uint32_t page, uint32_t n);

#endif
