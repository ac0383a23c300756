/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * link: the agent's side of the connection to the daemon (src/wire/wire.h).
 */
#ifndef PSHARE_AGENT_LINK_H
#define PSHARE_AGENT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/uplink.h"
#include "wire/wire.h"

#define LINK_RETRY_MIN_NS 250000000ull	/* a daemon that is not there is looked for so often ... */
#define LINK_RETRY_MAX_NS 5000000000ull /* ... at first, and so often after a while */
#define LINK_LISTEN_NS 10000000ull
#define LINK_ROOM_NS 5000000000ull /* room for a store that did not fit is looked for so often */

struct agent;

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
