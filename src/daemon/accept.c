/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: nobody keeps others from connecting.
 *
 * What connections may hold is bounded by user: their number, those before HELLO, and the time that
 * HELLO has. When descriptors run out, accepting pauses.
 */

#include "daemon/accept.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/session-end.h"
#include "daemon/session.h"
#include "sys/cleanup.h"
#include "sys/sock.h"

#define HANDSHAKE_NS (5 * SEC)
#define ACCEPT_SLICE 16u
#define ACCEPT_PAUSE (100 * MSEC) /* after running out of descriptors */
#define HALF_OPEN_PER_USER 32u

static int session_new(struct daemon *d, int *fd, struct session **out)
{
	_cleanup_free_ struct session *s = calloc(1, sizeof(*s));
	gid_t gid;
	uid_t uid;
	int r;

	if (!s)
		return -ENOMEM;
	s->daemon = d;
	s->source.fd = s->bell.fd = -1;
	s->ring = (struct ring){.memfd = -1, .bell_up = -1, .bell_down = -1};
	s->since = d->now;
	s->deadline = d->now + HANDSHAKE_NS;
	r = sys_peer_cred(*fd, &s->pid, &uid, &gid);
	if (r < 0)
		return r;
	s->user = user_hold(d, uid);
	if (!s->user)
		return -ENOMEM;
	r = loop_watch(&d->loop, &s->source, LOOP_SESSION, *fd, LOOP_READ);
	if (r < 0) {
		user_release(s->daemon, s->user);
		return r;
	}
	s->fd = TAKE_FD(*fd);
	list_init(&s->ready);
	list_init(&s->unsent);
	list_init(&s->gone);
	list_add_tail(&d->sessions, &s->link);
	d->nsessions++;
	s->user->sessions++;
	s->user->half_open++;
	daemon_wake_at(d, s->deadline);
	*out = TAKE_PTR(s);
	return 0;
}

static void accept_one(struct daemon *d, int fd)
{
	_cleanup_close_ int owned = fd;
	struct session *s;

	if (session_new(d, &owned, &s) < 0)
		return;
	d->count.sessions++;
	if (s->user->sessions > user_part(d, d->nsessions, s->user->sessions))
		session_refuse(s, EUSERS, "user %u has %u sessions, no more are allowed",
			       s->user->uid, s->user->sessions - 1);
	else if (s->user->half_open > HALF_OPEN_PER_USER)
		session_refuse(s, EUSERS, "user %u has %u connections without a HELLO",
			       s->user->uid, HALF_OPEN_PER_USER);
}

void sessions_accept(struct daemon *d)
{
	for (unsigned int i = 0; i < ACCEPT_SLICE; i++) {
		int fd = sys_unix_accept(d->agent_fd);

		if (fd >= 0) {
			accept_one(d, fd);
		} else if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
			(void)loop_change(&d->loop, &d->listen, 0);
			d->accept_at = d->now + ACCEPT_PAUSE;
			daemon_wake_at(d, d->accept_at);
			return;
		} else {
			return;
		}
	}
}

void accept_tick(struct daemon *d)
{
	if (d->accept_at && d->accept_at <= d->now) {
		d->accept_at = 0;
		(void)loop_change(&d->loop, &d->listen, LOOP_READ);
	}
	list_for_each(s, &d->sessions, struct session, link) {
		if (s->state != SESSION_HALF_OPEN)
			continue;
		if (s->deadline <= d->now)
			session_refuse(s, ETIMEDOUT, "no HELLO came in %u seconds",
				       (unsigned int)(HANDSHAKE_NS / SEC));
		else
			daemon_wake_at(d, s->deadline);
	}
}
