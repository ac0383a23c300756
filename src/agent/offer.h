/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * offer: what the VMM does to its memory, as the agent has to understand it. Called by the
 * interposed functions and by the calls of include/pshare-agent.h, in the VMM's own threads.
 */
#ifndef PSHARE_AGENT_OFFER_H
#define PSHARE_AGENT_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent;

/* MADV_MERGEABLE: the range may be shared. 0; -EINVAL: not whole pages; -ENOMEM: no more
 * regions. */
int offer_memory(void *addr, size_t len);
/* MADV_UNMERGEABLE: not any more. Returns when none of it maps a frame. */
int withdraw_memory(void *addr, size_t len);

/* Does the range touch memory that we manage, or were offered? */
bool touches(struct agent *a, const void *addr, size_t len);
/* Or such that was withdrawn, and whose pages are still in quarantine? */
bool touches_any(struct agent *a, const void *addr, size_t len);
/* Is the range exactly one region? Under both locks. */
bool offered_whole(struct agent *a, const void *addr, size_t len);
/* The range is about to be changed in a way that we cannot follow (protected, moved, registered by
 * somebody else): regions in it are given up. Under both locks. */
void give_up_memory(struct agent *a, const void *addr, size_t len);
/* The range is about to be unmapped, or mapped over: regions that reach beyond it are given up.
 * Under both locks, which are held until unmapped_memory(). */
void unmapping_memory(struct agent *a, const void *addr, size_t len);
/* That was done, or was not: err is 0 or -errno. Regions in it are gone, if it is. */
void unmapped_memory(struct agent *a, const void *addr, size_t len, int err);
/* Devices' late writes have no place in the range any more. Under act. */
void forget_late(struct agent *a, const void *addr, size_t len);
/* The range is about to become something that may not be shareable: the regions in it are given up,
 * and offered anew; what they are is looked at when the lock `act` is free again, and shown. Under
 * both locks. */
void offer_anew(struct agent *a, const void *addr, size_t len);
/* The range is about to be discarded. Under both locks. 0 or -errno. */
int discard_memory(struct agent *a, void *addr, size_t len);
/* The kernel's own discard, after discard_memory(), for all that is not a frame's mapping still: a
 * page that is stuck there was zeroed in place, and would come back with the frame's content.
 * Under act. 0 or -errno. */
int advise_rest(struct agent *a, void *addr, size_t len, int advice);
/* A flag that our own mappings must share, for a page born there to merge (MADV_DONTFORK ...).
 * Under both locks. */
void follow_advice(struct agent *a, void *addr, size_t len, int advice);
/* MADV_HUGEPAGE: what we made small stays small. Under both locks. 0 or -errno. */
int allow_huge(struct agent *a, void *addr, size_t len);

#endif
