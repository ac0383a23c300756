/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reclaim: how much of the VM is to be out, and what is done about it, a slice at a time.
 */
#ifndef PSHARE_AGENT_RECLAIM_H
#define PSHARE_AGENT_RECLAIM_H

#include <stdint.h>

struct agent;

/* Room for contents. 0 or -ENOMEM. */
int reclaim_init(struct agent *a);
/* A slice of whatever is due. Returns the ns until it wants to go on; 0: at once. Worker, no lock
 * held. */
uint64_t reclaim_step(struct agent *a, uint64_t now);

#endif
