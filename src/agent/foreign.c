/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * foreign: the VMM has a userfaultfd of its own (QEMU: background snapshot, postcopy), and memory
 * can be registered with one only. The VMM comes first.
 *
 *   UFFDIO_REGISTER    of a range that we manage: the region is given up, then the kernel does it,
 *                      then the region is offered again: it is refused as FOREIGN, shown so, and
 *                      managed again when the other one has gone (adopt.c). QEMU asks in this way
 *                      whether its memory can be registered at all, so the answer must be yes.
 *   UFFDIO_UNREGISTER  that moment may have come.
 *   UFFDIO_MOVE        out of a range that we manage: it takes no page out of a frame's mapping,
 *                      so the region is given up first, and offered again.
 * All others need a registration, so the range is not ours.
 *
 * A registration that would fail for itself (not a userfaultfd, impossible modes) is to change
 * nothing. That is tried first, on a page that is registered with our tracker for good: the kernel
 * says "busy" if that is all that there is against it.
 */
#include "agent/foreign.h"

#include <errno.h>

#include "agent/agent.h"
#include "agent/offer.h"
#include "sys/proc.h"
#include "sys/uffd.h"

static void *address(uint64_t at)
{
	return (void *)(uintptr_t)at;
}

static int do_register(int fd, struct uffdio_register *arg)
{
	struct uffdio_range range = {0};
	struct agent *a = NULL;
	uint64_t mode = 0;
	int r;

	if (!sys_read_own(&range, &arg->range, sizeof(range)) &&
	    !sys_read_own(&mode, &arg->mode, sizeof(mode)) && range.len % PS_PAGE_SIZE == 0)
		a = enter(address(range.start), range.len);
	if (a && uffd_register(fd, a->quarantine.slots, PS_PAGE_SIZE, mode) == -EBUSY) {
		offer_anew(a, address(range.start), range.len);
		/* a fault there may wait for the VMM, and we may not */
		forget_late(a, address(range.start), range.len);
	}
	r = sys_ioctl_as_it_came(fd, UFFDIO_REGISTER, arg);
	if (a)
		leave(a);
	return r;
}

static int do_unregister(int fd, struct uffdio_range *arg)
{
	int r = sys_ioctl_as_it_came(fd, UFFDIO_UNREGISTER, arg);
	struct agent *a = r ? NULL : enter(address(arg->start), arg->len);

	if (a) {
		offer_refused(a, address(arg->start), arg->len);
		leave(a);
	}
	return r;
}

static int do_move(int fd, struct uffdio_move *arg)
{
	struct uffdio_move move;
	struct agent *a = NULL;
	int r;

	if (!sys_read_own(&move, arg, sizeof(move)) && move.src % PS_PAGE_SIZE == 0)
		a = enter(address(move.src), move.len);
	if (a)
		offer_anew(a, address(move.src), move.len);
	r = sys_ioctl_as_it_came(fd, UFFDIO_MOVE, arg);
	if (a)
		leave(a);
	return r;
}

bool foreign_request(unsigned long request)
{
	return request == UFFDIO_REGISTER || request == UFFDIO_UNREGISTER || request == UFFDIO_MOVE;
}

int foreign_ioctl(int fd, unsigned long request, void *arg)
{
	if (request == UFFDIO_REGISTER)
		return do_register(fd, arg);
	if (request == UFFDIO_UNREGISTER)
		return do_unregister(fd, arg);
	return do_move(fd, arg);
}
