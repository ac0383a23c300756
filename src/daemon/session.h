/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* session: one connection of an agent, from accept() to its end. */
#ifndef PSHARE_DAEMON_SESSION_H
#define PSHARE_DAEMON_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/daemon.h"
#include "daemon/ring.h"
#include "daemon/user.h"
#include "wire/wire.h"

struct vm;

/*		may				may not			leaves to
 * HALF_OPEN	say HELLO, for HANDSHAKE_NS	anything else		RUNNING, ENDED
 * RUNNING	regions, rings, LEFT		HELLO			ENDED
 * ENDED	be freed after this turn	anything else
 */
enum session_state { SESSION_HALF_OPEN, SESSION_RUNNING, SESSION_ENDED };

struct session {
	struct list link;
	struct list ready;  /* daemon->ready */
	struct list unsent; /* daemon->unsent */
	struct list gone;
	struct daemon *daemon;
	struct user *user;
	struct vm *vm; /* RUNNING only */
	enum session_state state;
	struct loop_source source; /* the socket */
	struct loop_source bell;
	int fd;
	pid_t pid;
	struct ring ring;
	uint64_t since;	   /* when it was accepted */
	uint64_t deadline; /* HALF_OPEN: HELLO is due */

	/* what is still to be said: state, not a queue, so who does not read costs nothing */
	bool say_welcome, say_config, say_domain, say_leave, say_rehint, say_qmp, say_held,
		say_fork, say_image, say_target, say_swap;
	enum ps_fork_op fork_op;
	uint64_t fork_image;
	bool blocked;		     /* its socket takes no more; EPOLLOUT will tell */
	struct ps_msg_config config; /* as told */
	struct ps_msg_target target; /* as told */
	uint64_t target_breaks;	     /* blocks that its agent had broken by then */
	bool lied;		     /* about a ring counter: it ends */
	bool draws;		     /* its agent draws a picture */
	bool samples;		     /* and samples its pages */
	uint64_t look_at;	     /* the ring was busy: looked at again then, without a bell */
	uint32_t stale;		     /* entries yet to come of a domain that it has left: skipped */
};

#define SESSION_RING_LIE "a ring counter is ahead of what is possible"

/* There is work for session_ring_work() in the next turn. */
void session_ready(struct session *s);
/* Something is to be said, or a bell to be rung, at the end of this turn. */
void session_mark(struct session *s);
/* The head of a message to an agent. */
struct ps_msg_head session_head(enum ps_msg_type type);

/* LEFT has come: what the ring holds now is of the domain that was left. False: the order ring is
 * not empty yet, so no new domain may be told. */
void session_left(struct session *s);
bool session_drained(const struct session *s);

/* The settings or sizes changed: CONFIG for whom it is different now. */
void sessions_configure(struct daemon *d);
/* The same, once for all that changes within a tenth of a second. */
void sessions_configure_soon(struct daemon *d);
/* What is due by time: a CONFIG, a look at a ring that was busy. */
void sessions_tick(struct daemon *d);

#endif
