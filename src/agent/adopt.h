/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * adopt: what was offered is looked at, taken or refused, told to the daemon, and looked at again.
 */
#ifndef PSHARE_AGENT_ADOPT_H
#define PSHARE_AGENT_ADOPT_H

#include <stdint.h>

struct agent;

/* One round of it. Worker, no lock held. */
void adopt_regions(struct agent *a, uint64_t now);

#endif
