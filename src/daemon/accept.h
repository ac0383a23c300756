/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* accept: connections of agents, until their HELLO. */
#ifndef PSHARE_DAEMON_ACCEPT_H
#define PSHARE_DAEMON_ACCEPT_H

#include "daemon/daemon.h"

/* The listener is readable: some are accepted, the rest in the next turn. */
void sessions_accept(struct daemon *d);
/* Accepts again after a pause; ends who said no HELLO in time. */
void accept_tick(struct daemon *d);

#endif
