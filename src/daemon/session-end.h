/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* session-end: a connection is refused, or over. */
#ifndef PSHARE_DAEMON_SESSION_END_H
#define PSHARE_DAEMON_SESSION_END_H

#include "daemon/session.h"

/* Refuses with one line and ends it. error: a positive errno. */
void session_refuse(struct session *s, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void session_end(struct session *s);
/* At the end of the turn in which it ended. */
void session_free(struct session *s);

#endif
