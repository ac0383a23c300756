/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * uplink: what the agent puts into the ring to the daemon, and what it knows of the daemon's
 * wishes. The parts that look and share use it; link.c makes and ends the connection.
 */
#ifndef PSHARE_AGENT_UPLINK_H
#define PSHARE_AGENT_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/order.h"
#include "wire/wire.h"

#define LINK_ORDERS_MAX 2048u

enum link_state {
	LINK_DOWN,    /* no daemon */
	LINK_GREETED, /* HELLO sent */
	LINK_UP,      /* WELCOME received: rings are there */
};

struct link {
	enum link_state state;
	int sock;
	int up_bell, down_bell;
	struct ps_ring_map *map;
	size_t map_size;	     /* bytes of it that are mapped */
	bool has_picture;	     /* the picture is among them */
	bool has_likeness;	     /* the sample too */
	uint32_t up_tail, down_head; /* our own counters: the shared ones are never believed */
	uint64_t next_try, retry;    /* ns */
	uint64_t listen_at;	     /* ns: the socket is looked at then, readable or not */
	bool configured;
	struct ps_msg_config config;
	struct ps_msg_target target; /* all 0: nothing is to go out */
	int swap_fd;		     /* a swap file that nobody has taken yet; -1: none */
	uint64_t swap_cap;	     /* bytes; as it was said last */
	size_t room;		     /* bytes of mappings that a store needs and that did not fit */
	uint64_t room_at;	     /* ns */
	uint64_t leaving;	     /* generation to leave; 0: none */
	bool holds_old;		     /* the present daemon still has to hear OLD_GONE */
	char path[108];		     /* of agent.sock */
	char name[PS_NAME_MAX];
	uint8_t uuid[16];
	int salt_fd; /* sealed memfd, -1: no salt */
	bool rung;   /* entries were added since the bell was last looked at */

	struct order order[LINK_ORDERS_MAX]; /* not carried out yet */
	uint32_t orders;
	uint32_t waiting; /* orders on broken pages that wait for a batch (reshare.h) */
};

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
