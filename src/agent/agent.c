/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * agent: birth and death of the one agent of a process, and its locks.
 *
 * The agent is born when the process opts in its first region, not when the library is loaded: a
 * shell or a wrapper that is preloaded too, and then executes the VMM, stays what it was. From
 * then on it has three threads, all signals blocked, for as long as the process lives.
 *
 * There is one agent a process and it is static: the calls that it interposes have no argument in
 * which it could be passed.
 */
#include "agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/birth.h"
#include "agent/child.h"
#include "agent/say.h"
#include "agent/worker.h"
#include "policy/reason.h"
#include "sys/cleanup.h"
#include "sys/events.h"
#include "sys/mapping.h"
#include "sys/pagemap.h"
#include "sys/thread.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"

static struct agent the_agent = {
	.act = PTHREAD_MUTEX_INITIALIZER,
	.settle = PTHREAD_MUTEX_INITIALIZER,
	.tracker = -1,
	.guard = -1,
	.pagemap = -1,
	.bell = -1,
	.link = {.sock = -1, .up_bell = -1, .down_bell = -1, .salt_fd = -1},
};
static pthread_mutex_t birth_lock = PTHREAD_MUTEX_INITIALIZER;
/* MUTE: it cannot share, and says why to whoever asks its daemon; every call passes through. */
static enum { UNBORN, ALIVE, MUTE, STILLBORN } life;

/* ---- birth -------------------------------------------------------------------------------- */

static int open_fds(struct agent *a)
{
	/* WP_UNPOPULATED is what makes anonymous memory trackable at all; no hole is ever armed. */
	a->tracker = uffd_open(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED |
			       UFFD_FEATURE_MOVE | UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	if (a->tracker < 0)
		return a->tracker;
	a->guard = uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
	if (a->guard < 0)
		return a->guard;
	a->pagemap = pagemap_open();
	if (a->pagemap < 0)
		return a->pagemap;
	a->bell = sys_eventfd_new();
	return a->bell < 0 ? a->bell : 0;
}

static int start_threads(struct agent *a)
{
	int err =
		sys_thread_start(&a->settler, settler_main, a, "pshare-settler", AGENT_STACK_BYTES);
	if (!err)
		err = sys_thread_start(&a->gatekeeper, gatekeeper_main, a, "pshare-gate",
				       AGENT_STACK_BYTES);
	if (!err)
		err = sys_thread_start(&a->worker, worker_main, a, "pshare-worker",
				       AGENT_STACK_BYTES);
	return err;
}

/* What stands against sharing in this process; NONE: nothing. */
static enum ps_cause prepare(struct agent *a)
{
	int err = birth_identity(a);

	if (err)
		return PS_CAUSE_NO_SALT;
	err = open_fds(a);
	if (err)
		return birth_cause(err);
	err = quarantine_init(a);
	return err ? birth_cause(err) : PS_CAUSE_NONE;
}

/* The threads are started, or in their place one that tells the daemon why they are not. What was
 * opened stays so if the settler runs: it looks at the descriptors. */
static int give_birth(struct agent *a)
{
	int err;

	link_init(a);
	a->locks_future = map_future_is_locked();
	a->cause = prepare(a);
	if (a->cause) {
		agent_say(reason_text(a->cause), 0);
		err = sys_thread_start(&a->worker, worker_tell_why, a, "pshare-worker",
				       AGENT_STACK_BYTES);
	} else {
		err = start_threads(a);
	}
	if (err)
		agent_say("memory of this process is not shared (see pshare doctor)", -err);
	return err;
}

void agent_note_stack(struct agent *a, enum agent_thread thread, char *top)
{
	__atomic_store_n(&a->stack[thread], top, __ATOMIC_RELEASE);
}

void agent_lock(struct agent *a)
{
	struct sigblock blocked;

	sigblock_save(&blocked);
	pthread_mutex_lock(&a->act);
	pthread_mutex_lock(&a->settle);
	a->blocked = blocked;
}

void agent_unlock(struct agent *a)
{
	struct sigblock blocked = a->blocked;

	pthread_mutex_unlock(&a->settle);
	pthread_mutex_unlock(&a->act);
	sigblock_restore(&blocked);
}

struct agent *agent_alive(void)
{
	return __atomic_load_n(&life, __ATOMIC_ACQUIRE) == ALIVE && !the_agent.dead ? &the_agent :
										      NULL;
}

struct agent *agent_get(void)
{
	struct sigblock blocked;
	struct agent *a;

	sigblock_save(&blocked);
	pthread_mutex_lock(&birth_lock);
	if (life == UNBORN && !the_agent.dead) {
		int err = give_birth(&the_agent);

		if (!err)
			child_init();
		__atomic_store_n(&life,
				 err		 ? STILLBORN :
				 the_agent.cause ? MUTE :
						   ALIVE,
				 __ATOMIC_RELEASE);
	}
	a = agent_alive();
	pthread_mutex_unlock(&birth_lock);
	sigblock_restore(&blocked);
	return a;
}
