/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * uplink: what the agent puts into the ring to the daemon, and what it knows of the daemon's wishes.
 * The parts that look and share use it; link.c makes and ends the connection.
 */
#ifndef PSHARE_AGENT_UPLINK_H
#define PSHARE_AGENT_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

struct link;

/* Room in the up ring; 0 when there is no daemon. */
uint32_t link_up_room(const struct link *l);
/* Is there no room to answer even one order? Then none is taken. */
bool link_is_full(const struct link *l);
/* Room for the answers to orders taken so far, and to one more, whatever it asks. */
bool link_may_answer(const struct link *l);
/* One entry; without room, or without a daemon, it is dropped and false returned. */
bool link_up(struct link *l, enum ps_up op, uint8_t cause, uint16_t slot, uint32_t page,
	     uint64_t arg);
/* Lets the daemon know of new entries, if it sleeps. */
void link_ring(struct link *l);
/* Tells the daemon that we are about to sleep; true: do not, something came meanwhile. */
bool link_sleep(struct link *l, bool sleeping);

#endif
