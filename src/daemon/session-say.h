/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* session-say: what the daemon says to an agent. */
#ifndef PSHARE_DAEMON_SESSION_SAY_H
#define PSHARE_DAEMON_SESSION_SAY_H

#include "daemon/session.h"

/* Says what is to be said, rings the bell. */
void session_flush(struct session *s);

#endif
