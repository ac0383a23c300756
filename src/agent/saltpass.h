/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* saltpass: the salt's descriptor, on its way from `pshare run` through a wrapper to the VMM. */
#ifndef PSHARE_AGENT_SALTPASS_H
#define PSHARE_AGENT_SALTPASS_H

#include <stdbool.h>

/* Was a salt's descriptor given to this process, or to the one that it comes from? */
bool saltpass_given(void);
/* The salt, as a sealed memfd that no program executed later has, or -errno: the caller's. The way
 * ends here: what was inherited is closed at the next exec, the environment says nothing of it. */
int saltpass_take(void);

#endif
