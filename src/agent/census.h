/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* census: how much memory the guest has, and how much the agent's own tables take. */
#ifndef PSHARE_AGENT_CENSUS_H
#define PSHARE_AGENT_CENSUS_H

#include <stdint.h>

struct agent;

struct census {
	uint64_t next;	 /* ns: the next one begins then */
	uint32_t region; /* where it is: slot and block in it */
	uint32_t block;
};

/* A slice of it, if it is time. Worker, under act. */
void census_step(struct agent *a, uint64_t now);

#endif
