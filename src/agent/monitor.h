/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * monitor: the way to this VMM's own monitor (QMP), for the daemon. The agent connects, since it
 * alone may open what the VMM's user may; it hands the connection over and says nothing on it, but
 * for one case: a VM that stands still by order of a daemon that has gone.
 */
#ifndef PSHARE_AGENT_MONITOR_H
#define PSHARE_AGENT_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

#define MONITOR_PATH_MAX 108u

struct agent;

struct monitor {
	char path[MONITOR_PATH_MAX]; /* of its socket; "": none is known */
	bool held;		     /* the VM stands still by the daemon's order */
	uint32_t balloon; /* what the daemon, or one before it, asked of the balloon: pages + 1 */
	int fd;		  /* a connection that lets it go; -1: none */
	uint64_t next;	  /* when there is something to do; 0: nothing */
};

/* From the environment: PSHARE_QMP. */
void monitor_init(struct agent *a);
/* The daemon wants a connection: it gets one, or the errno. 0 or -errno of the link. Worker. */
int monitor_offer(struct agent *a);
/* The daemon says that it holds the VM, does not any more, or cannot let it go by itself. */
int monitor_take_held(struct agent *a, const struct ps_msg_qmp *msg);
/* The daemon is gone. */
void monitor_orphaned(struct agent *a, uint64_t now);
/* What is due; returns the ns until it is to be called again, UINT64_MAX: for now never. */
uint64_t monitor_service(struct agent *a, uint64_t now);

#endif
