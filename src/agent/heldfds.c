/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * heldfds: a VMM closes what is not its own, userfaultfds among it.
 *
 * Goal: nobody reads zeros where a page is out, and nobody waits for ever.
 *
 * With the last reference to its file a userfaultfd lets all of its memory go, at once: what is
 * missing reads as zeros from then on. So a thread holds the files of both (sys/hold.h). Who reads
 * from a descriptor and finds it closed comes here. Pages are out: they cannot be brought back, and
 * the VMM is stopped. None is out: the files are let go, and whoever waits in them goes on; the VMM
 * is not shared any more, since nothing can be taken out.
 *
 * While a run of pages is on its way nothing is out by the figures. Whoever moves it has `act`, so
 * it is decided under `act`, which is not waited for: who has it may wait for the caller.
 *
 * Limits: where the files cannot be held (a seccomp filter, a debugger), the VMM is stopped as soon
 * as somebody who waits is heard of, and may have read zeros by then.
 */
#include "agent/heldfds.h"

#include <errno.h>

#include "agent/agent.h"
#include "agent/say.h"
#include "sys/hold.h"
#include "sys/unsafe.h"

#define READ_AGAIN_US 1000
#define LOST_US 60000000 /* nothing will come */

void heldfds_begin(struct agent *a)
{
	const int fds[] = {a->tracker, a->guard};
	int err = ps_without(DEFENCE_FDS_HELD) ? 0 : sys_hold(fds, 2);

	if (err && err != -EPERM)
		agent_say("userfaultfds are not held against a close() by the VMM", -err);
}

static bool any_out(struct agent *a)
{
	return cold_out(&a->cold) + a->cold.staged != 0;
}

/* True when the files are gone. */
static bool lost(struct agent *a)
{
	bool gone;

	if (any_out(a))
		agent_stop("pages are out, and the descriptor that tells of accesses to them was "
			   "closed");
	if (pthread_mutex_trylock(&a->act))
		return false;
	gone = !any_out(a);
	if (gone)
		sys_hold_end();
	pthread_mutex_unlock(&a->act);
	return gone;
}

long heldfds_failed(struct agent *a, int err)
{
	if (err == -EAGAIN || err == -EINTR)
		return READ_AGAIN_US;
	return lost(a) ? LOST_US : READ_AGAIN_US;
}
