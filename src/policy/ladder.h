/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ladder: by which means a VM is to give memory back, and how much by each, in each state. */
#ifndef PSHARE_POLICY_LADDER_H
#define PSHARE_POLICY_LADDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/memstate.h"

/* Why a means is not used for a VM; LADDER_USED: it is, or would be if the state called for it. */
enum ladder_why {
	LADDER_USED,
	LADDER_STATE,	    /* the state does not call for it */
	LADDER_SHARE_FIRST, /* there is still something to share */
	LADDER_ENOUGH,	    /* it has no more than its target */
	LADDER_NO_DEVICE,   /* no balloon that answers; no tier to put pages into */
	LADDER_AT_MAX,	    /* it gave all that it may */
	LADDER_WHY_END
};

/* Pages. */
struct ladder_vm {
	uint64_t has;	  /* takes of the host now */
	uint64_t target;  /* is to have */
	uint64_t limit;	  /* sched.mem.max; UINT64_MAX: none */
	uint64_t guest;	  /* of has: the guest's own pages, which can be taken out */
	uint64_t out;	  /* taken out now: twin, zipped, swapped */
	bool can_out;	  /* there is a tier to put pages into */
	bool can_balloon; /* there is one that answers */
	uint64_t balloon; /* its size now */
	uint64_t balloon_max;
	uint64_t push; /* by command: so many pages are to go, whatever the state */
};

struct ladder_plan {
	bool may_break;	  /* large blocks */
	bool may_out;	  /* pages, staged first */
	uint64_t out;	  /* so many pages are to be out */
	uint64_t balloon; /* so large is the balloon to be */
	enum ladder_why why_balloon, why_out;
};

/* share_first: there is still something to share, and time for it. */
struct ladder_plan ladder_plan(enum memstate state, const struct ladder_vm *vm, bool share_first);

/* What is to be free after all have come down to their targets: bytes of minFree. */
uint64_t ladder_goal(enum memstate state, uint64_t min_free, const struct memstate_levels *levels);

const char *ladder_why_name(enum ladder_why why); /* "share-first"; never NULL */
const char *ladder_why_text(enum ladder_why why); /* half a sentence */

/* ---- who is held back in state low --------------------------------------------------------- */

struct ladder_held {
	uint64_t has, target;
	bool can_hold;
	bool held;
	uint64_t held_ms;   /* for so long now */
	uint64_t rested_ms; /* since it was let go; UINT64_MAX: never held */
};

#define HOLD_MAX_MS 10000u     /* then another's turn comes */
#define HOLD_REST_MS 10000u    /* so long a VM that was let go comes after the others ... */
#define HOLD_REST_MIN_MS 5000u /* ... and so long it is left alone in any case */
#define HOLD_STEP_MS 3000u     /* between one that is held and the next */
#define HOLD_NONE SIZE_MAX

/* The VM to hold back next, or HOLD_NONE: the one furthest above its target. since_ms: since the
 * last one was held. One VM at least is always left to run, if there are two. */
size_t ladder_hold(const struct ladder_held *vm, size_t n, uint64_t since_ms);
/* Has it been held long enough, or come down to its target? */
bool ladder_let_go(enum memstate state, const struct ladder_held *vm);

/* ---- who breaks how many large blocks ------------------------------------------------------- */

#define BREAK_WORTH 16u /* pages of a block of 512 that must be shareable for it to be broken */

struct ladder_large {
	uint64_t blocks;      /* in huge pages */
	uint64_t worth;	      /* COWH: pages in them whose twin is known */
	uint64_t has, active; /* pages: the cold ones first */
	uint64_t breaks;      /* the result: so many of them now */
};

/* Is there a block worth breaking, as far as an average can say? */
bool ladder_worth_breaking(const struct ladder_large *vm);
/* Orders blocks broken in the VMs that have most to give and are coldest, until `pages` pages are
 * to be had of them; UINT64_MAX: all that are worth it. At most `most` blocks. */
void ladder_break(struct ladder_large *vm, size_t n, uint64_t pages, uint64_t most);

#endif
