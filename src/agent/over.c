/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * over: the one call that replaces guest memory, made safe against its own failure.
 *
 * mremap() with MREMAP_FIXED first unmaps what is at the destination and then does what may fail.
 * When it fails there, the guest's memory is gone: a hole, and the next access kills the VMM. What
 * can fail after the unmapping:
 *  - the process is over its RLIMIT_AS or RLIMIT_DATA (somebody lowered them): looked at before,
 *  and then the call is not made at all;
 *  - the kernel has no memory for the mapping (or, with vm.overcommit_memory=2, no commit charge):
 *    it is tried again until it succeeds; the source still holds the content.
 * What fails before it (vm.max_map_count) leaves the destination as it was; one look tells which.
 */
#include "agent/over.h"

#include <errno.h>

#include "agent/agent.h"
#include "agent/say.h"
#include "sys/mapping.h"
#include "sys/thread.h"
#include "sys/uffd.h"

#define OVER_TRIES 100000u
#define OVER_TRIES_FINAL 16u /* of what no second try should mend: who waits is told soon */

int over_map(struct agent *a, void *dst, void *src, size_t len)
{
	int err = map_room();

	if (err)
		return err;
	for (unsigned int tries = 0; tries < OVER_TRIES; tries++) {
		err = map_over(dst, src, len);
		if (!err || map_whole(dst, len))
			return err;
		agent_say("guest memory could not be mapped at once", -err);
		sys_yield();
	}
	agent_give_up(a, "guest memory could not be mapped again", -err);
	return err;
}

static bool may_pass(long err)
{
	return err == -EAGAIN || err == -EBUSY || err == -ENOMEM || err == -EINTR;
}

void over_put_back(struct agent *a, char *dst, char *src, size_t len)
{
	long moved = 0;
	size_t done = 0;
	unsigned int final = 0;

	for (unsigned int tries = 0; done < len && tries < OVER_TRIES; tries++) {
		moved = uffd_move(a->tracker, dst + done, src + done, len - done, 0);
		if (moved > 0)
			done += (size_t)moved;
		else if (!may_pass(moved) && ++final == OVER_TRIES_FINAL)
			break;
		else
			sys_yield();
	}
	if (done < len)
		agent_give_up(a, "pages taken out cannot be put back", (int)-moved);
}
