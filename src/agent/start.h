/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_START_H
#define PSHARE_AGENT_START_H

struct agent;

/* The agent of this process, started if need be. NULL: it cannot share, or is a fork's child. */
struct agent *agent_get(void);

#endif
