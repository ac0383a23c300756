/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* session-hear: what an agent says, by its socket and its ring. */
#ifndef PSHARE_DAEMON_SESSION_HEAR_H
#define PSHARE_DAEMON_SESSION_HEAR_H

#include "daemon/session.h"

/* Its socket is ready: LOOP_READ, LOOP_WRITE. */
void session_event(struct session *s, unsigned int events);
void session_bell(struct session *s);
/* A slice of what its ring holds, and of its hints that wait. */
void session_ring_work(struct session *s);

#endif
