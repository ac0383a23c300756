/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * start: the agent starts when the process opts in its first region, not when the library is
 * loaded: a shell or a wrapper that is preloaded too, and then executes the VMM, stays what it was.
 * From then on it has threads of its own (agent.h), all signals blocked, for as long as the process
 * lives.
 */

#include "agent/start.h"

#include <pthread.h>

#include "agent/agent.h"
#include "agent/child.h"
#include "agent/device.h"
#include "agent/heldfds.h"
#include "agent/identity.h"
#include "agent/monitor.h"
#include "agent/reclaim.h"
#include "agent/say.h"
#include "agent/worker.h"
#include "policy/reason.h"
#include "sys/cleanup.h"
#include "sys/events.h"
#include "sys/mapping.h"
#include "sys/pagemap.h"
#include "sys/sigblock.h"
#include "sys/thread.h"
#include "sys/uffd.h"

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;

/* By this process's own right, or else by the device that the daemon gives away. */
static int open_uffd(struct agent *a, int *device, uint64_t features)
{
	int fd = *device < 0 ? uffd_open(features) : -EPERM;

	if (fd != -EPERM)
		return fd;
	if (*device < 0)
		*device = device_ask(a->link.path);
	return *device < 0 ? -EPERM : uffd_open_by(*device, features);
}

static int open_fds(struct agent *a)
{
	_cleanup_close_ int device = -1;

	/* WP_UNPOPULATED is what makes anonymous memory trackable at all; no hole is ever armed. */
	a->tracker = open_uffd(a, &device,
			       UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED |
				       UFFD_FEATURE_MOVE | UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	if (a->tracker < 0)
		return a->tracker;
	a->guard = open_uffd(a, &device,
			     UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
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
	for (uint32_t i = 0; !err && i < READERS; i++)
		err = sys_thread_start(&a->readers.thread[i], reader_main, a, "pshare-reader",
				       AGENT_STACK_BYTES);
	if (!err)
		err = sys_thread_start(&a->worker, worker_main, a, "pshare-worker",
				       AGENT_STACK_BYTES);
	return err;
}

/* What stands against sharing in this process; NONE: nothing. */
static enum ps_cause prepare(struct agent *a)
{
	int err = identity_init(a);

	if (err)
		return PS_CAUSE_NO_SALT;
	err = open_fds(a);
	if (err)
		return setup_cause(err);
	heldfds_begin(a);
	err = quarantine_init(a);
	if (!err)
		err = readers_init(a);
	if (!err)
		err = reclaim_init(a);
	return err ? setup_cause(err) : PS_CAUSE_NONE;
}

/* The threads are started, or in their place one that tells the daemon why they are not. What was
 * opened stays so if the settler runs: it looks at the descriptors. */
static int start(struct agent *a)
{
	int err;

	link_init(a);
	monitor_init(a);
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

struct agent *agent_get(void)
{
	struct agent *a = agent_of_process();
	struct sigblock blocked;

	sigblock_save(&blocked);
	pthread_mutex_lock(&start_lock);
	if (a->life == AGENT_NOT_STARTED && !a->dead) {
		int err = start(a);

		if (!err)
			child_init();
		a->life = err ? AGENT_FAILED : a->cause ? AGENT_MUTE : AGENT_RUNS;
	}
	pthread_mutex_unlock(&start_lock);
	sigblock_restore(&blocked);
	return agent_alive();
}
