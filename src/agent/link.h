/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link: the agent's side of the connection to the daemon (src/wire/wire.h).
 */
#ifndef PSHARE_AGENT_LINK_H
#define PSHARE_AGENT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

#define LINK_RETRY_MIN_NS 250000000ull	/* a daemon that is not there is looked for so often ... */
#define LINK_RETRY_MAX_NS 5000000000ull /* ... at first, and so often after a while */
#define LINK_LISTEN_NS 10000000ull
#define LINK_ROOM_NS 5000000000ull /* room for a store that did not fit is looked for so often */
#define LINK_ORDERS_MAX 2048u

struct agent;

enum link_state {
	LINK_DOWN,    /* no daemon */
	LINK_GREETED, /* HELLO sent */
	LINK_UP,      /* WELCOME received: rings are there */
};

struct link_order {
	uint32_t page; /* in the VM */
	uint32_t frame;
};

struct link {
	enum link_state state;
	int sock;
	int up_bell, down_bell;
	struct ps_ring_map *map;
	uint32_t up_tail, down_head; /* our own counters: the shared ones are never believed */
	uint64_t next_try, retry;    /* ns */
	uint64_t listen_at;	     /* ns: the socket is looked at then, readable or not */
	bool configured;
	struct ps_msg_config config;
	size_t room;	  /* bytes of mappings that a store needs and that did not fit */
	uint64_t room_at; /* ns */
	uint64_t leaving; /* generation to leave; 0: none */
	bool holds_old;	  /* the present daemon still has to hear OLD_GONE */
	char path[108];	  /* of agent.sock */
	char name[PS_NAME_MAX];
	uint8_t uuid[16];
	int salt_fd; /* sealed memfd, -1: no salt */
	bool rung;   /* entries were added since the bell was last looked at */

	struct link_order order[LINK_ORDERS_MAX]; /* not carried out yet */
	uint32_t orders;
	uint32_t waiting; /* orders on broken pages that wait for a batch (reshare.h) */
};

void link_init(struct agent *a);
/* Connects if it is time, takes what came: control messages, WANT answered, SHARE into order[].
 * heard: the socket is readable; rung: the bell is. Returns the ns until it wants to be called
 * again for its own sake. Worker, no lock held. */
uint64_t link_service(struct agent *a, uint64_t now, bool heard, bool rung);
/* The daemon is gone, or does not keep to the protocol. Frames become OLD. */
void link_drop(struct agent *a, const char *why);

/* Does no page map a frame of an earlier store, nor wait in quarantine for one? Worker, no lock
 * held. */
bool link_no_old(struct agent *a);

/* Sends REGION_ADD, REGION_DEL, REGION_REFUSED. 0 or -errno. */
int link_region(struct link *l, enum ps_msg_type type, uint32_t base, uint32_t npages,
		uint32_t cause);
int link_plain(struct link *l, enum ps_msg_type type, uint64_t generation);

#endif
