/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_IDENTITY_H
#define PSHARE_AGENT_IDENTITY_H

#include "wire/wire.h"

struct agent;

/* Who this VM is: name, salt, runtime folder from the environment (pshare(1), ENVIRONMENT), and a
 * random uuid. The salt stays a descriptor: it never enters this process's memory. 0 or -errno. */
int identity_init(struct agent *a);

/* Why the agent cannot be set up, from the -errno that it met. */
enum ps_cause setup_cause(int err);

#endif
