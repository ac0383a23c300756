/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of reclaim do for each other. All of it is the worker's; a lock (a->act) is taken
 * where it is called for, and not held by the caller unless it says so. */
#ifndef PSHARE_AGENT_RECLAIM_INTERNAL_H
#define PSHARE_AGENT_RECLAIM_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

struct agent;
struct region;

#define QUIET_NS 1000000000ull /* from one look at what is rarely due to the next */
#define RIPE_NS 250000000ull   /* from one look at what is staged or moving to the next */
#define UPKEEP 64u	       /* pages of the cache that are moved at once */

/* ---- what is wanted (reclaim.c) ---- */

/* PS_TARGET_*; of an agent that has given up: everything is to come back. */
uint32_t reclaim_flags(const struct agent *a);
/* Is anything to go out at all? */
bool reclaim_wants_out(const struct agent *a);
/* Pages that are to be out, and are not nor on their way. */
uint64_t reclaim_wanting(struct agent *a);
/* Pages of all regions. */
uint64_t reclaim_pages(const struct agent *a);
/* What a guest that idles touches all the time: so many pages come in and go out again. */
uint64_t reclaim_idleness(const struct agent *a);
/* Has SUSPEND found all that it can? */
bool reclaim_is_suspended(const struct agent *a);

/* ---- the parts; what returns a number: ns until it wants to go on, 0 is at once ---- */

/* reclaim-keep.c */
void reclaim_serve_stores(struct agent *a, uint64_t now);
void reclaim_serve_zip(struct agent *a);
/* A VM that is put out, and of which nothing more is found, has its cache put out too. */
bool reclaim_evicts_all(const struct agent *a);

/* reclaim-stage.c */
uint64_t reclaim_serve_staging(struct agent *a, uint64_t now);
void reclaim_serve_again(struct agent *a, uint64_t now);
void reclaim_serve_pace(struct agent *a);
/* What was staged in one piece as a sample cannot go on as that: it goes out by the page, as all
 * others do, when it has been broken. Under act. */
void reclaim_bring_whole_back(struct agent *a, struct region *r, uint32_t block);

/* reclaim-ripe.c */
uint64_t reclaim_serve_ripe(struct agent *a, uint64_t now);

/* reclaim-move.c */
uint64_t reclaim_serve_moving(struct agent *a);
/* Puts how far it has come into the figures. */
void reclaim_progress(struct agent *a);

#endif
