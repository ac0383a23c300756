/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is to be said to an agent is state (say_*, the configuration told last), not a queue: a peer
 * that never reads costs a few flags. All of it is said at the end of the turn, in the order that
 * the protocol needs; where the socket takes no more, the rest waits until it does.
 */

#include "daemon/session-say.h"

#include <errno.h>
#include <string.h>

#include "daemon/grant.h"
#include "daemon/image.h"
#include "daemon/member.h"
#include "daemon/session-end.h"
#include "daemon/swapdir.h"
#include "daemon/vm.h"
#include "policy/rate.h"
#include "sys/cleanup.h"
#include "sys/sock.h"

#define PUBLISH_RATE (1u << 22) /* pages a second, of a VM that is about to be forked */

/* 0, -EAGAIN (blocked until its socket takes more), or the session has ended: -EPIPE. */
static int send_message(struct session *s, const void *msg, size_t len, const int *fds,
			unsigned int nfds)
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
		.head = session_head(PS_MSG_WELCOME),
		.version = PS_WIRE_VERSION,
		.ring_size = s->samples ? PS_RING_SIZE_LIKENESS :
			     s->draws	? PS_RING_SIZE_PICTURE :
					  PS_RING_SIZE_PLAIN,
	};
	int fds[] = {s->ring.memfd, s->ring.bell_up, s->ring.bell_down};
	int r = send_message(s, &msg, sizeof(msg), fds, 3);

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
		.head = session_head(PS_MSG_CONFIG),
		.pages_per_second = rate_pages_per_second(&in),
		.first_pages_per_second = (uint32_t)value[SETTING_SHARE_RATE_FIRST],
		.pass_seconds = rate_pass_seconds(in.scan_time),
		.quarantine_ms = (uint32_t)value[SETTING_SHARE_QUARANTINE_MS],
		.map_reserve = (uint32_t)(d->host.max_map_count *
					  (uint64_t)value[SETTING_SHARE_MAP_RESERVE] / 100),
		.sample_pages = value[SETTING_SAMPLE_PERIOD] ? PS_SAMPLE_PAGES : 0,
		.sample_ms = (uint32_t)value[SETTING_SAMPLE_PERIOD] * 1000,
		.stage_ms = PS_STAGE_MS >>
			    (d->memstate > MEMSTATE_SOFT ? d->memstate - MEMSTATE_SOFT : 0),
	};

	if (s->vm->publishing) {
		msg.pages_per_second = msg.first_pages_per_second = PUBLISH_RATE;
		msg.flags |= PS_CONFIG_HURRY;
	}
	/* the shorter of memory the host is, the less a page has to prove that it is cold */
	if (msg.stage_ms < msg.quarantine_ms)
		msg.stage_ms = msg.quarantine_ms;

	if (s->vm->member && s->vm->member->crowded)
		msg.pages_per_second = 0;
	if (s->vm->enable && in.scan_ghz && in.rate_max)
		msg.flags |= PS_CONFIG_SHARE;
	if (value[SETTING_ALLOC_GUEST_LARGE_PAGE] && !s->vm->publishing)
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
		r = send_message(s, &msg, sizeof(msg), NULL, 0);
	if (r == 0)
		s->config = msg;
	return r;
}

static int say_domain(struct session *s)
{
	struct member *m = s->vm->member;
	_cleanup_close_ int store = -1;
	struct ps_msg_domain msg = {.head = session_head(PS_MSG_DOMAIN)};

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
	return send_message(s, &msg, sizeof(msg), &store, 1);
}

static int say_rehint(struct session *s)
{
	struct ps_msg_plain msg = {.head = session_head(PS_MSG_REHINT)};

	return send_message(s, &msg, sizeof(msg), NULL, 0);
}

static int say_fork(struct session *s)
{
	struct ps_msg_fork msg = {
		.head = session_head(PS_MSG_FORK),
		.id = s->fork_image,
		.op = s->fork_op,
	};

	return send_message(s, &msg, sizeof(msg), NULL, 0);
}

static int say_one_image(struct session *s, uint32_t ram, struct vm_birth *birth)
{
	const struct image *image = image_find(s->daemon, birth->image);
	struct ps_msg_child msg = {
		.head = session_head(PS_MSG_IMAGE),
		.id = birth->image,
		.ram = ram,
		.page = birth->page,
		.npages = birth->npages,
		.error = image ? birth->error : ENOENT,
		.offset = birth->offset,
		.generation = image && !birth->copies ? image->domain->generation : 0,
	};
	const int *fd = birth->copies ? &birth->pages : image ? &image->manifest : NULL;
	int r = send_message(s, &msg, sizeof(msg), fd, msg.error ? 0 : 1);

	if (r == 0)
		birth->state = msg.error ? VM_BIRTH_BORN : VM_BIRTH_SAID;
	if (r == 0) {
		birth->error = msg.error;
		close_fd(&birth->pages);
	}
	return r;
}

static int say_image(struct session *s)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < PS_FORK_RAMS_MAX; i++)
		if (s->vm->birth[i].state == VM_BIRTH_SAY)
			r = say_one_image(s, i, &s->vm->birth[i]);
	return r;
}

static int say_leave(struct session *s)
{
	struct ps_msg_leave msg = {
		.head = session_head(PS_MSG_LEAVE),
		.generation = s->vm->leave_generation,
	};

	return send_message(s, &msg, sizeof(msg), NULL, 0);
}

static int say_qmp(struct session *s)
{
	struct ps_msg_plain msg = {.head = session_head(PS_MSG_QMP_WANT)};

	return send_message(s, &msg, sizeof(msg), NULL, 0);
}

static int say_held(struct session *s)
{
	struct ps_msg_qmp msg = {.head = session_head(PS_MSG_HELD)};

	if (s->vm->balloon.told_held)
		msg.held = s->daemon->balloon_fd < 0 ? PS_QMP_LET_GO : PS_QMP_HELD;
	return send_message(s, &msg, sizeof(msg), NULL, 0);
}

/* A file, or another cap for the one that it has. None can be made: it is tried again later. */
static int say_swap(struct session *s)
{
	struct ps_msg_swap msg = {.head = session_head(PS_MSG_SWAP)};
	_cleanup_close_ int fd = swapdir_open(s->vm, &msg.cap);
	int r;

	if (fd < 0)
		return 0;
	r = send_message(s, &msg, sizeof(msg), &fd, 1);
	if (r == 0)
		s->vm->memory.swap_cap = msg.cap;
	return r;
}

/* When it differs from what was said; and when blocks have been broken since, for then as many as
 * before are so many more. */
static int say_target(struct session *s)
{
	struct ps_msg_target msg = s->vm->memory.order;
	struct ps_agent_stats stats;
	int r = 0;

	vm_stats(s->vm, &stats);
	msg.head = session_head(PS_MSG_TARGET);
	if (memcmp(&msg, &s->target, sizeof(msg)) != 0 ||
	    (msg.break_blocks && stats.breaks != s->target_breaks))
		r = send_message(s, &msg, sizeof(msg), NULL, 0);
	if (r == 0) {
		s->target = msg;
		s->target_breaks = stats.breaks;
	}
	return r;
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
		{offsetof(struct session, say_qmp), say_qmp},
		{offsetof(struct session, say_held), say_held},
		{offsetof(struct session, say_fork), say_fork},
		{offsetof(struct session, say_image), say_image},
		{offsetof(struct session, say_swap), say_swap},
		{offsetof(struct session, say_target), say_target},
	};

	list_del(&s->unsent);
	if (s->lied)
		session_refuse(s, EPROTO, SESSION_RING_LIE);
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
