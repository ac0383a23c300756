/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of a session is always safe: its agent keeps its mappings, and the daemon keeps their
 * references (vm-end.c). So whoever breaks the protocol gets one REFUSE line and is cut off.
 *
 * A session that has ended is out of every list and watches nothing; it is freed at the end of the
 * turn, since whoever ended it may still hold a pointer.
 */

#include "daemon/session-end.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/vm-end.h"
#include "sys/cleanup.h"
#include "sys/sock.h"

void session_end(struct session *s)
{
	struct daemon *d = s->daemon;

	if (s->state == SESSION_ENDED)
		return;
	if (s->state == SESSION_HALF_OPEN)
		s->user->half_open--;
	s->state = SESSION_ENDED;
	s->user->sessions--;
	d->nsessions--;
	loop_unwatch(&d->loop, &s->source);
	loop_unwatch(&d->loop, &s->bell);
	close_fd(&s->fd);
	if (s->vm)
		vm_detach(s->vm);
	s->vm = NULL;
	list_del(&s->ready);
	list_del(&s->unsent);
	list_del(&s->link);
	list_add_tail(&d->gone_sessions, &s->gone);
}

void session_free(struct session *s)
{
	list_del(&s->gone);
	ring_deinit(&s->ring);
	user_release(s->daemon, s->user);
	free(s);
}

void session_refuse(struct session *s, int error, const char *fmt, ...)
{
	struct ps_msg_refuse msg = {.head = session_head(PS_MSG_REFUSE), .error = error};
	struct daemon *d = s->daemon;
	va_list args;

	if (s->state == SESSION_ENDED)
		return;
	va_start(args, fmt);
	vsnprintf(msg.reason, sizeof(msg.reason), fmt, args);
	va_end(args);
	(void)sys_send_fds(s->fd, &msg, sizeof(msg), NULL, 0);
	d->count.sessions_refused++;
	if (log_gate_pass(&s->user->gate, d->now))
		log_warn("%s, process %d of user %u, refused: %s", s->vm ? s->vm->name : "an agent",
			 (int)s->pid, s->user->uid, msg.reason);
	session_end(s);
}
