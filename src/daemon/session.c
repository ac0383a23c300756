/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: the life of a session as wire.h has it, with a peer that may do anything at any time.
 *
 * Every message is received whole, checked for type and exact size, and allowed or not by the
 * state of the session. What is not allowed ends the session with one REFUSE line. That is always
 * safe: an agent keeps its mappings, and the daemon keeps their references.
 *
 * What is to be said to an agent is state (say_*, the configuration told last), not a queue: a
 * peer that never reads costs a few flags. What it may hold is bounded by user: connections,
 * connections before HELLO, and the time it has for HELLO.
 */
#include "daemon/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/domain.h"
#include "daemon/grant.h"
#include "daemon/match.h"
#include "daemon/rehome.h"
#include "daemon/vm-end.h"
#include "daemon/vm-region.h"
#include "daemon/vm-salt.h"
#include "daemon/vm.h"
#include "policy/rate.h"
#include "policy/reason.h"
#include "sys/cleanup.h"
#include "sys/events.h"
#include "sys/sock.h"

#define HANDSHAKE_NS (5 * SEC)
#define ACCEPT_SLICE 16u
#define CONFIGURE_NS (100 * MSEC) /* VMs that come, go and grow move the rates of all, so often */
#define ACCEPT_PAUSE (100 * MSEC) /* after running out of descriptors */
#define HALF_OPEN_PER_USER 32u
#define RING_SLICE 512u	     /* entries of one session in a turn */
#define BUSY_LOOK (1 * MSEC) /* how long entries gather in a ring that is in use */
#define MESSAGES_SLICE 16u
#define MESSAGES_MAX 256u /* before its ring has its turn: more than a region each */
#define RING_LIE "a ring counter is ahead of what is possible"

union message {
	struct ps_msg_head head;
	struct ps_msg_hello hello;
	struct ps_msg_leave leave;
	struct ps_msg_region region;
	uint8_t bytes[512];
};

static struct ps_msg_head head_of(enum ps_msg_type type)
{
	return (struct ps_msg_head){
		.magic = PS_WIRE_MAGIC,
		.type = (uint16_t)type,
		.size = (uint16_t)ps_msg_size(type),
	};
}

/* ---- beginning and end ---- */

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
	list_init(&s->grave);
	list_add_tail(&d->sessions, &s->link);
	d->nsessions++;
	s->user->sessions++;
	s->user->half_open++;
	daemon_wake_at(d, s->deadline);
	*out = TAKE_PTR(s);
	return 0;
}

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
	list_add_tail(&d->dead_sessions, &s->grave);
}

void session_free(struct session *s)
{
	list_del(&s->grave);
	ring_deinit(&s->ring);
	user_release(s->daemon, s->user);
	free(s);
}

void session_refuse(struct session *s, int error, const char *fmt, ...)
{
	struct ps_msg_refuse msg = {.head = head_of(PS_MSG_REFUSE), .error = error};
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

/* ---- what the daemon says ---- */

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

/* 0, -EAGAIN (blocked until its socket takes more), or the session has ended: -EPIPE. */
static int say(struct session *s, const void *msg, size_t len, const int *fds, unsigned int nfds)
{
	int r = sys_send_fds(s->fd, msg, len, fds, nfds);

	if (r == -EAGAIN) {
		s->blocked = true;
		(void)loop_change(&s->daemon->loop, &s->source, LOOP_READ | LOOP_WRITE);
		return r;
	}
	if (r < 0) {
		log_debug("session of process %d: %s", (int)s->pid, strerror(-r));
		session_end(s);
		return -EPIPE;
	}
	return 0;
}

static int say_welcome(struct session *s)
{
	struct ps_msg_welcome msg = {
		.head = head_of(PS_MSG_WELCOME),
		.version = PS_WIRE_VERSION,
		.ring_size = sizeof(struct ps_ring_map),
	};
	int fds[] = {s->ring.memfd, s->ring.bell_up, s->ring.bell_down};
	int r = say(s, &msg, sizeof(msg), fds, 3);

	if (r == 0)
		close_fd(&s->ring.memfd);
	return r;
}

static struct ps_msg_config config_for(const struct session *s)
{
	const struct daemon *d = s->daemon;
	const int64_t *value = d->settings.value;
	struct rate_input in = {
		.scan_time = (uint32_t)value[SETTING_SHARE_SCAN_TIME],
		.scan_ghz = (uint32_t)value[SETTING_SHARE_SCAN_GHZ],
		.rate_max = (uint32_t)value[SETTING_SHARE_RATE_MAX],
		.host_mhz = d->host.mhz,
		.pages = grant_of(s->vm),
	};
	struct ps_msg_config msg = {
		.head = head_of(PS_MSG_CONFIG),
		.pages_per_second = rate_pages_per_second(&in),
		.first_pages_per_second = (uint32_t)value[SETTING_SHARE_RATE_FIRST],
		.pass_seconds = rate_pass_seconds(in.scan_time),
		.quarantine_ms = (uint32_t)value[SETTING_SHARE_QUARANTINE_MS],
		.map_reserve = (uint32_t)(d->host.max_map_count *
					  (uint64_t)value[SETTING_SHARE_MAP_RESERVE] / 100),
	};

	if (s->vm->member && s->vm->member->crowded)
		msg.pages_per_second = 0;
	if (s->vm->enable && in.scan_ghz && in.rate_max)
		msg.flags |= PS_CONFIG_SHARE;
	if (value[SETTING_ALLOC_GUEST_LARGE_PAGE])
		msg.flags |= PS_CONFIG_LARGE;
	if (value[SETTING_SHARE_ZERO_ONLY])
		msg.flags |= PS_CONFIG_ZERO_ONLY;
	if (d->move_loops)
		msg.flags |= PS_CONFIG_MOVE_LOOPS;
	return msg;
}

static int say_config(struct session *s)
{
	struct ps_msg_config msg = config_for(s);
	int r = 0;

	if (memcmp(&msg, &s->config, sizeof(msg)) != 0)
		r = say(s, &msg, sizeof(msg), NULL, 0);
	if (r == 0)
		s->config = msg;
	return r;
}

static int say_domain(struct session *s)
{
	struct member *m = s->vm->member;
	_cleanup_close_ int store = -1;
	struct ps_msg_domain msg = {.head = head_of(PS_MSG_DOMAIN)};

	if (!m)
		return 0;
	store = domain_store_fd(m->domain);
	if (store < 0) {
		session_refuse(s, -store, "no descriptor for the store: %s", strerror(-store));
		return -EPIPE;
	}
	msg.generation = m->domain->generation;
	msg.seed = m->domain->seed;
	msg.frames = m->domain->window;
	return say(s, &msg, sizeof(msg), &store, 1);
}

static int say_rehint(struct session *s)
{
	struct ps_msg_plain msg = {.head = head_of(PS_MSG_REHINT)};

	return say(s, &msg, sizeof(msg), NULL, 0);
}

static int say_leave(struct session *s)
{
	struct ps_msg_leave msg = {
		.head = head_of(PS_MSG_LEAVE),
		.generation = s->vm->leave_generation,
	};

	return say(s, &msg, sizeof(msg), NULL, 0);
}

void session_flush(struct session *s)
{
	static const struct {
		size_t flag;
		int (*say)(struct session *s);
	} steps[] = {
		{offsetof(struct session, say_welcome), say_welcome},
		{offsetof(struct session, say_config), say_config},
		{offsetof(struct session, say_leave), say_leave},
		{offsetof(struct session, say_domain), say_domain},
		{offsetof(struct session, say_rehint), say_rehint},
	};

	list_del(&s->unsent);
	if (s->lied)
		session_refuse(s, EPROTO, RING_LIE);
	if (s->state != SESSION_RUNNING)
		return;
	for (unsigned int i = 0; i < sizeof(steps) / sizeof(steps[0]) && !s->blocked; i++) {
		bool *flag = (bool *)((char *)s + steps[i].flag);

		if (!*flag)
			continue;
		switch (steps[i].say(s)) {
		case 0:
			*flag = false;
			break;
		case -EPIPE:
			return;
		default:
			break;
		}
	}
	ring_flush(&s->ring);
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

/* ---- what an agent says ---- */

/* The VM that this HELLO is of: one that we know, back again, or a new one. */
static int find_vm(struct session *s, int *pidfd, const struct ps_msg_hello *hello, struct vm **out,
		   bool *is_new)
{
	struct daemon *d = s->daemon;
	struct vm *vm = vm_find(d, hello->uuid);
	char why[PS_REASON_MAX];
	int r;

	if (vm && vm->pid == s->pid && vm->user == s->user && !vm_process_ended(vm)) {
		if (vm->session)
			session_end(vm->session);
		/* that may have been its end, if it held nothing */
		vm = vm_find(d, hello->uuid);
	} else if (vm && !vm_process_ended(vm)) {
		session_refuse(s, EEXIST, "another process has this VM's uuid");
		return -EPIPE;
	} else {
		vm = NULL;
		if (!(hello->flags & PS_HELLO_HOLDS_OLD))
			vm_end_former(d, s->user, s->pid);
	}
	if (vm) {
		if (vm->member) {
			list_add_tail(&vm->old, &vm->member->link);
			vm->nold++;
			vm->member = NULL;
		}
	} else if (!vm_has_room(d, s->user, s->pid, why)) {
		session_refuse(s, EUSERS, "%s", why);
		return -EPIPE;
	} else {
		r = vm_new(d, s->user, s->pid, pidfd, hello, &vm);
		if (r < 0) {
			session_refuse(s, -r, "no room for another VM: %s", strerror(-r));
			return -EPIPE;
		}
		*is_new = true;
	}
	*out = vm;
	return 0;
}

static int take_salt(struct session *s, struct vm *vm, int fd)
{
	const char *why;
	void *secret;
	size_t len;
	int r = secret_read(fd, &secret, &len, &why);

	if (r < 0) {
		session_refuse(s, -r, "%s", why);
		return -EPIPE;
	}
	r = vm_set_salt(vm, secret, len);
	secret_free(secret);
	if (r == -EAGAIN)
		session_refuse(s, EAGAIN, "user %u names too many new salts in a short time",
			       s->user->uid);
	else if (r < 0)
		session_refuse(s, -r, "the salt could not be digested: %s", strerror(-r));
	return r < 0 ? -EPIPE : 0;
}

static int start_rings(struct session *s)
{
	struct daemon *d = s->daemon;
	int r = ring_init(&s->ring);

	if (r == 0)
		r = loop_watch(&d->loop, &s->bell, LOOP_BELL, s->ring.bell_up, LOOP_READ);
	if (r < 0) {
		session_refuse(s, -r, "no memory for the rings: %s", strerror(-r));
		return -EPIPE;
	}
	(void)ring_sleep(&s->ring);
	return 0;
}

/* s becomes the session of vm. */
static void attach(struct session *s, struct vm *vm, const struct ps_msg_hello *hello)
{
	struct daemon *d = s->daemon;

	s->user->half_open--;
	s->state = SESSION_RUNNING;
	s->vm = vm;
	s->deadline = 0;
	vm->session = s;
	vm->disobeys = false;
	vm->cause = (enum ps_cause)hello->cause;
	if ((hello->flags & PS_HELLO_HOLDS_OLD) && !vm->nold)
		vm->holds_unknown = true;
	s->say_welcome = s->say_config = true;
	session_mark(s);
	log_info("%s: process %d (%s) of user %u is here%s%s", vm->name, (int)vm->pid, vm->comm,
		 s->user->uid, vm->cause ? ", and cannot share: " : "", reason_text(vm->cause));
	sessions_configure_soon(d);
	rehome_vm(vm);
}

static void hello_message(struct session *s, const struct ps_msg_hello *hello, const int *fds,
			  unsigned int nfds)
{
	_cleanup_close_ int pidfd = sys_peer_pidfd(s->fd);
	bool salted = hello->flags & PS_HELLO_SALT, is_new = false;
	struct vm *vm;

	if (s->state != SESSION_HALF_OPEN) {
		session_refuse(s, EPROTO, "HELLO came twice");
		return;
	}
	if (pidfd < 0) {
		session_refuse(s, ESRCH, "the process that connected is gone");
		return;
	}
	if (hello->cause >= PS_CAUSE_END) {
		session_refuse(s, EPROTO, "HELLO: there is no cause %u", hello->cause);
		return;
	}
	if (hello->page_size != PS_PAGE_SIZE || ps_name_check(hello->name) < 0 ||
	    nfds != (salted ? 1u : 0u)) {
		session_refuse(s, EPROTO, "HELLO: %s",
			       hello->page_size != PS_PAGE_SIZE ? "the page size must be 4096" :
			       nfds != (salted ? 1u : 0u)	? "descriptors: one if there is a "
								  "salt, else none" :
								  "the name may have letters, "
								  "digits and ._:@- only");
		return;
	}
	if (start_rings(s) < 0 || find_vm(s, &pidfd, hello, &vm, &is_new) < 0)
		return;
	if (!salted && !vm->salt_set)
		vm_clear_salt(vm);
	if (salted && !vm->salt_set && take_salt(s, vm, fds[0]) < 0) {
		if (is_new)
			vm_remove(vm);
		return;
	}
	if (!vm->enable_set)
		vm->enable = !(hello->flags & PS_HELLO_NO_SHARE);
	attach(s, vm, hello);
}

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

static void running_message(struct session *s, const union message *msg)
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
		hello_message(s, &msg->hello, fds, nfds);
	else if (s->state == SESSION_HALF_OPEN)
		session_refuse(s, EPROTO, "the first message must be HELLO");
	else if (nfds)
		session_refuse(s, EPROTO, "only HELLO may carry a descriptor");
	else
		running_message(s, msg);
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
		session_refuse(s, EPROTO, RING_LIE);
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

void sessions_tick(struct daemon *d)
{
	if (d->accept_at && d->accept_at <= d->now) {
		d->accept_at = 0;
		(void)loop_change(&d->loop, &d->listen, LOOP_READ);
	}
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
		if (s->state != SESSION_HALF_OPEN)
			continue;
		if (s->deadline <= d->now)
			session_refuse(s, ETIMEDOUT, "no HELLO came in %u seconds",
				       (unsigned int)(HANDSHAKE_NS / SEC));
		else
			daemon_wake_at(d, s->deadline);
	}
}
