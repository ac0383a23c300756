/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * place: guest memory is replaced, and stays right when that fails.
 *
 * mmap() and mremap() with a fixed address first take away what is there, and then do what may
 * fail. (mmap() puts it back since Linux 6.12; mremap() does not.) When it fails there, the guest's
 * memory is gone: a hole, in which any thread of the VMM may get a mapping of its own, and in which
 * the guest's next access kills the VMM. What can fail after the memory was taken away:
 *  - the process is over its RLIMIT_AS or RLIMIT_DATA (somebody lowered them): looked at before,
 *    and then the call is not made at all;
 *  - the kernel has no memory for the mapping (or, with vm.overcommit_memory=2, no commit charge).
 * What fails before it (vm.max_map_count) leaves the destination as it was.
 *
 * So after a failure the kernel is asked what is there. Our own mapping: nothing happened. A hole:
 * it is held at once by a mapping of ours that replaces nothing (MAP_FIXED_NOREPLACE), first
 * inaccessible, then behind the gate, so that who comes there waits; then the call is tried again,
 * for what was to be placed is still where it was. Anything else is a mapping that another thread
 * got in the hole: then the guest's memory cannot be made right, and the VMM is stopped with a
 * message. It never runs on with wrong bytes.
 */
#include "agent/place.h"

#include <errno.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/move.h"
#include "agent/say.h"
#include "agent/store.h"
#include "sys/mapping.h"
#include "sys/thread.h"
#include "sys/uffd.h"
#include "sys/vmas.h"

#define PLACE_TRIES 100000u
#define PLACE_TRIES_FINAL 16u /* of what no second try should mend */

struct placing {
	char *dst;
	size_t len;
	char *src; /* NULL: frames of s */
	const struct store *s;
	uint32_t frame;
};

static int try_once(const struct placing *p)
{
	if (p->src)
		return map_over(p->dst, p->src, p->len);
	return map_file_over(p->dst, p->s->fd, p->frame, p->len);
}

/* Is what the kernel says of the range a mapping of ours: registered, or a store's, and no hole? */
static bool is_ours(const struct placing *p)
{
	unsigned int what = 0;

	if (vmas_describe((uintptr_t)p->dst, p->len, &what))
		agent_stop("guest memory was taken away, and cannot be looked at");
	if (what & VMAS_HOLE)
		return false;
	if (!(what & (VMAS_UFFD | VMAS_STORE)))
		agent_stop("guest memory was taken away, and another thread has a mapping there");
	return true;
}

/* Fills the hole with memory that nobody reads before it is right. */
static void hold_range(struct agent *a, const struct placing *p)
{
	int err = map_hold(p->dst, p->len);

	if (!err)
		err = uffd_register(a->tracker, p->dst, p->len,
				    UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MISSING);
	if (!err)
		err = map_mprotect(p->dst, p->len, PROT_READ | PROT_WRITE);
	if (err)
		agent_stop("guest memory was taken away, and its place cannot be held");
}

static int place(struct agent *a, const struct placing *p)
{
	bool held = false;
	int err = map_room();

	if (err)
		return err;
	for (unsigned int tries = 0; tries < PLACE_TRIES; tries++) {
		err = try_once(p);
		if (!err)
			return 0;
		if (is_ours(p)) {
			if (!held)
				return err;
		} else {
			hold_range(a, p);
			held = true;
			agent_say("guest memory could not be mapped at once", -err);
		}
		sys_yield();
	}
	agent_stop("guest memory was taken away, and cannot be mapped again");
}

int place_frames(struct agent *a, const struct store *s, char *dst, uint32_t frame, uint32_t n)
{
	struct placing p = {
		.dst = dst,
		.len = (size_t)n * PS_PAGE_SIZE,
		.s = s,
		.frame = frame,
	};

	if (!store_fd_is_good(s))
		return -EBADF;
	return place(a, &p);
}

int place_pages(struct agent *a, char *dst, char *src, size_t len)
{
	struct placing p = {.dst = dst, .len = len, .src = src};

	return place(a, &p);
}

static bool may_pass(long err)
{
	return err == -EAGAIN || err == -EBUSY || err == -ENOMEM || err == -EINTR;
}

void place_back(struct agent *a, char *dst, char *src, size_t len)
{
	long moved = 0;
	size_t done = 0;
	unsigned int final = 0;

	for (unsigned int tries = 0; done < len && tries < PLACE_TRIES; tries++) {
		moved = move_pages(a, dst + done, src + done, len - done, 0);
		if (moved > 0)
			done += (size_t)moved;
		else if (!may_pass(moved) && ++final == PLACE_TRIES_FINAL)
			break;
		else
			sys_yield();
	}
	if (done < len)
		agent_stop("pages that were taken out cannot be put back");
}
