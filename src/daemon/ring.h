/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ring: the daemon's side of the shared memory of one session. What the agent wrote is copied out
 * once and judged as a copy; the daemon's own counters are kept here, never read back from there.
 */
#ifndef PSHARE_DAEMON_RING_H
#define PSHARE_DAEMON_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

struct ring {
	struct ps_ring_map *map;
	int memfd;     /* until it was handed over; -1 afterwards */
	int bell_up;   /* the agent rings it */
	int bell_down; /* the daemon rings it */
	uint32_t up_head;
	uint32_t down_tail;
	bool unrung;		/* entries were put that no bell told of */
	uint64_t content_until; /* ns: then the contents' memory is given back; 0: there is none */
};

/* Makes the memfd, sealed in size so that the agent cannot take it away from under us; the bells.
 * 0 or -errno. */
int ring_init(struct ring *ring);
void ring_deinit(struct ring *ring); /* idempotent */

/* Entries that are in it now, or -EPROTO: the counter lies. */
int ring_full(const struct ring *ring);
/* Copies up to max entries out and takes them. Their number, or -EPROTO: the counter lies. */
int ring_take(struct ring *ring, struct ps_entry *entries, uint32_t max);

/* Says that the daemon is about to wait for the bell. False: entries came meanwhile, it is not. */
bool ring_sleep(struct ring *ring);
/* The bell has rung, or there is work anyhow. */
void ring_awake(struct ring *ring);

/* Free entries in the ring to the agent, or -EPROTO. */
int ring_space(const struct ring *ring);
/* Puts one entry: 0, -EAGAIN (full), -EPROTO. ring_flush() tells the agent. */
int ring_put(struct ring *ring, const struct ps_entry *entry);
void ring_flush(struct ring *ring);

void ring_content(const struct ring *ring, uint32_t slot, uint8_t page[PS_PAGE_SIZE]);
/* Gives the memory of all content slots back, as far as the kernel does it: they read as zeros. */
void ring_forget_content(struct ring *ring);
void ring_stats(const struct ring *ring, struct ps_agent_stats *stats);
void ring_times(const struct ring *ring, struct ps_agent_times *times);
/* The picture as it is now, unchecked; and the agent is to keep it fresh until then (ns). */
void ring_picture(const struct ring *ring, uint64_t until, struct ps_picture *picture);
/* The sample of pages, copied whole; 0, or -EAGAIN: the agent is writing it, or claims to. */
int ring_likeness(const struct ring *ring, struct ps_likeness *likeness);

#endif
