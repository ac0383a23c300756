/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* session-hello: the first message of an agent. */
#ifndef PSHARE_DAEMON_SESSION_HELLO_H
#define PSHARE_DAEMON_SESSION_HELLO_H

#include "daemon/session.h"
#include "wire/wire.h"

/* A HELLO of the right size, and the descriptors that came with it: the caller's. The session is
 * RUNNING afterwards, or ENDED. */
void session_hello(struct session *s, const struct ps_msg_hello *hello, const int *fds,
		   unsigned int nfds);

#endif
