/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: the life of a session as wire.h has it, with a peer that may do anything at any time.
 *
 * Every message is received whole, checked for type and exact size, and allowed or not by the
 * state of the session. What is not allowed ends the session (session-end.c).
 */

#include "daemon/session-hear.h"

#include <errno.h>

#include "daemon/balloon.h"
#include "daemon/image.h"
#include "daemon/match.h"
#include "daemon/member.h"
#include "daemon/rehome.h"
#include "daemon/session-end.h"
#include "daemon/session-hello.h"
#include "daemon/vm-region.h"
#include "daemon/vm.h"
#include "sys/cleanup.h"
#include "sys/events.h"
#include "sys/self.h"
#include "sys/sock.h"

#define RING_SLICE 512u	     /* entries of one session in a turn */
#define BUSY_LOOK (1 * MSEC) /* how long entries gather in a ring that is in use */
#define MESSAGES_SLICE 16u
#define MESSAGES_MAX 256u /* before its ring has its turn: more than a region each */

union message {
	struct ps_msg_head head;
	struct ps_msg_hello hello;
	struct ps_msg_leave leave;
	struct ps_msg_region region;
	struct ps_msg_qmp qmp;
	struct ps_msg_frozen frozen;
	struct ps_msg_child child;
	uint8_t bytes[512];
};

static void region_message(struct session *s, const struct ps_msg_region *msg)
{
	const char *why;
	int r;

	if (msg->head.type == PS_MSG_REGION_ADD)
		r = vm_region_add(s->vm, msg, &why);
	else if (msg->head.type == PS_MSG_REGION_DEL)
		r = vm_region_del(s->vm, msg, &why);
	else
		r = vm_region_refused(s->vm, msg, &why);
	if (r < 0)
		session_refuse(s, -r, "%s", why);
}

static void fork_message(struct session *s, const union message *msg, const int *fds,
			 unsigned int nfds)
{
	const char *why;
	int r;

	if (msg->head.type == PS_MSG_FROZEN)
		r = image_frozen(s->vm, &msg->frozen, fds, nfds, &why);
	else if (msg->head.type == PS_MSG_CHILD)
		r = image_child(s->vm, &msg->child, &why);
	else
		r = image_born(s->vm, &msg->child, &why);
	if (r < 0)
		session_refuse(s, -r, "%s", why);
}

/* The descriptor stays the caller's. */
static void qmp_message(struct session *s, const struct ps_msg_qmp *msg, const int *fds,
			unsigned int nfds)
{
	if (nfds != (msg->error ? 0u : 1u))
		session_refuse(s, EPROTO, "QMP: one descriptor, or an error");
	else
		balloon_connected(s->vm, msg->error, nfds ? sys_duplicate(fds[0]) : -1, msg->held);
}

static void running_message(struct session *s, const union message *msg, const int *fds,
			    unsigned int nfds)
{
	switch (msg->head.type) {
	case PS_MSG_REGION_ADD:
	case PS_MSG_REGION_DEL:
	case PS_MSG_REGION_REFUSED:
		region_message(s, &msg->region);
		break;
	case PS_MSG_LEFT:
		if (rehome_left(s->vm, msg->leave.generation) < 0)
			session_refuse(s, EPROTO, "LEFT, but there was no such order to leave");
		break;
	case PS_MSG_FROZEN:
	case PS_MSG_CHILD:
	case PS_MSG_BORN:
		fork_message(s, msg, fds, nfds);
		break;
	case PS_MSG_QMP:
		qmp_message(s, &msg->qmp, fds, nfds);
		break;
	case PS_MSG_OLD_GONE:
		rehome_old_gone(s->vm);
		break;
	default:
		session_refuse(s, EPROTO, "message type %u is not for an agent to send",
			       msg->head.type);
	}
}

static void message(struct session *s, const union message *msg, size_t len, const int *fds,
		    unsigned int nfds)
{
	int type = ps_msg_check(msg, (uint32_t)len);

	if (type < 0)
		session_refuse(s, -type,
			       type == -EPROTONOSUPPORT ? "protocol version %u is not spoken here" :
							  "a message of %u bytes is malformed",
			       type == -EPROTONOSUPPORT ? msg->hello.version : (unsigned int)len);
	else if (type == PS_MSG_HELLO)
		session_hello(s, &msg->hello, fds, nfds);
	else if (s->state == SESSION_HALF_OPEN)
		session_refuse(s, EPROTO, "the first message must be HELLO");
	else if (nfds && type != PS_MSG_FROZEN && type != PS_MSG_QMP)
		session_refuse(s, EPROTO, "only HELLO and FROZEN may carry a descriptor");
	else
		running_message(s, msg, fds, nfds);
}

/* One message, if there is one. False: no more for now. */
static bool receive(struct session *s)
{
	union message msg = {.bytes = {0}};
	int fds[SYS_FDS_MAX];
	unsigned int nfds = 0;
	size_t len;
	int r = sys_recv_fds(s->fd, &msg, sizeof(msg), &len, fds, &nfds);

	if (r == -EAGAIN)
		return false;
	if (r == -EMSGSIZE) {
		session_refuse(s, EMSGSIZE, "a message is too long, or has too many descriptors");
		return false;
	}
	if (r < 0 || len == 0) {
		while (nfds)
			close_fd(&fds[--nfds]);
		session_end(s);
		return false;
	}
	message(s, &msg, len, fds, nfds);
	while (nfds)
		close_fd(&fds[--nfds]);
	return s->state != SESSION_ENDED;
}

void session_event(struct session *s, unsigned int events)
{
	if (events & LOOP_WRITE) {
		s->blocked = false;
		(void)loop_change(&s->daemon->loop, &s->source, LOOP_READ);
		session_mark(s);
	}
	if (!(events & LOOP_READ))
		return;
	for (unsigned int i = 0; i < MESSAGES_SLICE && receive(s); i++)
		;
}

/* ---- its ring ---- */

void session_bell(struct session *s)
{
	(void)sys_eventfd_clear(s->ring.bell_up);
	ring_awake(&s->ring);
	session_ready(s);
}

/* One slice of entries that were in the ring before the socket was last read. */
static void take_entries(struct session *s, uint32_t max)
{
	struct ps_entry entries[RING_SLICE];
	int n = ring_take(&s->ring, entries, max);

	s->lied |= n < 0;
	for (int i = 0; i < n; i++) {
		struct member *m = s->vm->member;

		if (m)
			match_expect(m, &entries[i], (uint32_t)(n - i));
		if (s->stale)
			s->stale--;
		else if (m)
			match_entry(m, &entries[i]);
		else
			COUNT(s->vm, bogus);
	}
}

/*
 * Socket and ring are two ways, and an agent may say REGION_ADD by the one and hint a page of that
 * region by the other at once. So what the socket has is dealt with between the look at how much
 * the ring holds and the taking of it: whatever is taken was said after what was heard. (Without
 * that hints were lost now and then, and an agent hints a page that does not change but once.)
 */
void session_ring_work(struct session *s)
{
	int full = ring_full(&s->ring);
	struct member *m;

	list_del(&s->ready);
	s->lied |= full < 0;
	for (unsigned int i = 0; receive(s); i++) {
		if (i == MESSAGES_MAX) {
			session_ready(s);
			return;
		}
	}
	if (s->state != SESSION_RUNNING)
		return;
	if (full > 0)
		take_entries(s, full < (int)RING_SLICE ? (uint32_t)full : RING_SLICE);
	if (s->lied) {
		session_refuse(s, EPROTO, SESSION_RING_LIE);
		return;
	}
	m = s->vm->member; // NOLINT(clang-analyzer-core.NullDereference): it is RUNNING
	if (m && m->parked_count)
		match_retry(m);
	if (full > (int)RING_SLICE) {
		session_ready(s);
	} else if (full > 0) {
		/* more will come: the agent need not ring, and we take it in one piece */
		s->look_at = s->daemon->now + BUSY_LOOK;
		daemon_wake_at(s->daemon, s->look_at);
	} else if (!ring_sleep(&s->ring)) {
		session_ready(s);
	}
}
