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

/* MADV_MERGEABLE: the range may be shared. 0; or what the kernel would say: -EINVAL: not whole
 * pages; -ENOMEM: part of it is not mapped (and then none of it is offered). */
int offer_memory(void *addr, size_t len);
/* MADV_UNMERGEABLE: not any more. Returns when none of it maps a frame. */
int withdraw_memory(void *addr, size_t len);

/* The agent, both locks held, if the range may concern it; else NULL, without having waited for
 * anybody. */
struct agent *enter(const void *addr, size_t len);
/* The locks again, and the worker looks what there is. */
void leave(struct agent *a);
/* len, rounded up to pages as the kernel does. */
size_t whole_pages(size_t len);
/* Does the kernel look at the memory at all, or is the call void, or refused for its form? */
bool well_formed(const void *addr, size_t len);

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
/* What refused regions in the range may have gone: they are looked at again. Under both locks. */
void offer_refused(struct agent *a, const void *addr, size_t len);
/* MADV_DONTNEED and its like, from left to right as the kernel does it: up to what it refuses, and
 * past holes. Under both locks; settle is let go meanwhile. 0 or the kernel's -errno. */
int discard_memory(struct agent *a, void *addr, size_t len, int advice);
/* A flag that our own mappings must share, for a page born there to merge (MADV_DONTFORK ...).
 * Under both locks. */
void follow_advice(struct agent *a, void *addr, size_t len, int advice);
/* MADV_HUGEPAGE: what we made small stays small. Under both locks. 0 or -errno. */
int allow_huge(struct agent *a, void *addr, size_t len);
/* MADV_NOHUGEPAGE was done. Under both locks. */
void forbid_huge(struct agent *a, void *addr, size_t len);
/* The mapping moved: so did what a region left there. Under both locks. */
void moved_memory(struct agent *a, void *from, size_t len, void *to);

#endif
