/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_BIRTH_H
#define PSHARE_AGENT_BIRTH_H

#include "wire/wire.h"

struct agent;

/* Who this VM is: name, salt, runtime folder from the environment (pshare(1), ENVIRONMENT), and a
 * random uuid. The salt stays a descriptor: it never enters this process's memory. 0 or -errno. */
int birth_identity(struct agent *a);

/* What kept the agent from being born, from the -errno that it met. */
enum ps_cause birth_cause(int err);

#endif
