/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session is connected by its lists: to be read (ready), to be written (unsent). What anybody in
 * the daemon wants said to an agent is a flag (say_*) and session_mark(); session-say.c says it at
 * the end of the turn. So this file needs nothing of what acts on a session, and all may use it.
 */

#include "daemon/session.h"

#define CONFIGURE_NS (100 * MSEC) /* VMs that come, go and grow move the rates of all, so often */

struct ps_msg_head session_head(enum ps_msg_type type)
{
	return (struct ps_msg_head){
		.magic = PS_WIRE_MAGIC,
		.type = (uint16_t)type,
		.size = (uint16_t)ps_msg_size(type),
	};
}

void session_mark(struct session *s)
{
	if (s->state != SESSION_ENDED && list_empty(&s->unsent))
		list_add_tail(&s->daemon->unsent, &s->unsent);
}

void session_ready(struct session *s)
{
	if (s->state == SESSION_RUNNING && list_empty(&s->ready))
		list_add_tail(&s->daemon->ready, &s->ready);
}

void session_left(struct session *s)
{
	int full = ring_full(&s->ring);

	s->lied |= full < 0;
	s->stale = full < 0 ? 0 : (uint32_t)full;
}

bool session_drained(const struct session *s)
{
	return ring_space(&s->ring) == (int)PS_RING_ENTRIES;
}

void sessions_configure_soon(struct daemon *d)
{
	if (d->config_at)
		return;
	d->config_at = d->now + CONFIGURE_NS;
	daemon_wake_at(d, d->config_at);
}

void sessions_configure(struct daemon *d)
{
	d->config_at = 0;
	list_for_each(s, &d->sessions, struct session, link) {
		if (s->state != SESSION_RUNNING)
			continue;
		s->say_config = true;
		session_mark(s);
	}
}

void sessions_tick(struct daemon *d)
{
	if (d->config_at && d->config_at <= d->now)
		sessions_configure(d);
	else if (d->config_at)
		daemon_wake_at(d, d->config_at);
	list_for_each(s, &d->sessions, struct session, link) {
		if (s->look_at && s->look_at > d->now) {
			daemon_wake_at(d, s->look_at);
		} else if (s->look_at) {
			s->look_at = 0;
			session_ready(s);
		}
	}
}
