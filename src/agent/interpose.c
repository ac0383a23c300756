/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * interpose: the libc calls by which a VMM changes its memory, as the preloaded library defines
 * them. Each one does what libc's does, by the kernel's own call, after the agent has made sure
 * that the kernel finds what the VMM believes to be there.
 *
 *   madvise    MERGEABLE opts in and never reaches KSM; UNMERGEABLE undoes it.
 *              DONTNEED, FREE, REMOVE: a frame's mapping would come back with its old content
 *              instead of zeros, so shared pages are made plain holes first.
 *              HUGEPAGE: blocks that are shared page by page stay small.
 *   munmap, mmap(MAP_FIXED), mremap, mprotect, mlock: the region is given up first (a moved one is
 *              offered again at its new place).
 *   ioctl      UFFDIO_REGISTER by the VMM itself (postcopy, background snapshot): we step aside.
 *
 * While the kernel does the call, `act` is held: the worker has no page of it out, and takes none.
 *
 * Limits: a system call made by number passes us by. So does process_madvise(). VMMs use neither
 * for guest RAM.
 */
/* With 64-bit offsets by macro the name mmap means mmap64, and one of the two could not be
 * defined. */
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/offer.h"
#include "agent/say.h"
#include "sys/events.h"
#include "sys/mapping.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"

/* Of <sys/ioctl.h>, which only src/sys may include. */
int ioctl(int fd, unsigned long request, ...);

#define PUBLIC __attribute__((visibility("default")))

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

static int result(long r)
{
	if (r >= 0)
		return (int)r;
	errno = (int)-r;
	return -1;
}

static bool is_error(long r)
{
	return r < 0 && r >= -4095;
}

static void *pointer(long r)
{
	if (!is_error(r))
		return (void *)r;
	errno = (int)-r;
	return MAP_FAILED;
}

/* The agent, both locks held, if the range concerns it by one of those; else NULL. */
static struct agent *enter_if(bool (*concerns)(struct agent *, const void *, size_t),
			      const void *addr, size_t len)
{
	struct agent *a = agent_alive();

	if (!a)
		return NULL;
	agent_lock(a);
	if (concerns(a, addr, len))
		return a;
	agent_unlock(a);
	return NULL;
}

static struct agent *enter(const void *addr, size_t len)
{
	return enter_if(touches, addr, len);
}

/* For calls after which a late write of a device has no place in the range. */
static struct agent *enter_to_drop(const void *addr, size_t len)
{
	return enter_if(touches_any, addr, len);
}

static void leave(struct agent *a)
{
	agent_unlock(a);
	sys_eventfd_ring(a->bell);
}

/* ---- madvise ------------------------------------------------------------------------------ */

static int discard(void *addr, size_t len, int advice)
{
	struct agent *a = enter_to_drop(addr, len);
	int r;

	if (!a)
		return result(map_advise(addr, len, advice));
	pthread_mutex_unlock(&a->settle); /* the guest's faults need not wait for a large discard */
	r = discard_memory(a, addr, len);
	if (!r)
		r = advise_rest(a, addr, len, advice);
	pthread_mutex_lock(&a->settle);
	leave(a);
	return result(r);
}

static int flag(void *addr, size_t len, int advice)
{
	struct agent *a = enter(addr, len);
	int r = map_advise(addr, len, advice);

	if (a) {
		if (!r)
			follow_advice(a, addr, len, advice);
		leave(a);
	}
	return result(r);
}

static int huge(void *addr, size_t len)
{
	struct agent *a = enter(addr, len);
	int r;

	if (!a)
		return result(map_advise(addr, len, MADV_HUGEPAGE));
	r = allow_huge(a, addr, len);
	leave(a);
	return result(r);
}

PUBLIC int madvise(void *addr, size_t len, int advice)
{
	switch (advice) {
	case MADV_MERGEABLE:
		return result(offer_memory(addr, len));
	case MADV_UNMERGEABLE:
		withdraw_memory(addr, len);
		return result(map_advise(addr, len, advice));
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_REMOVE:
		return discard(addr, len, advice);
	case MADV_HUGEPAGE:
		return huge(addr, len);
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
		return flag(addr, len, advice);
	default:
		return result(map_advise(addr, len, advice));
	}
}

/* ---- mappings that come and go -------------------------------------------------------------- */

PUBLIC int munmap(void *addr, size_t len)
{
	struct agent *a = ps_unsafe("no-remap") ? NULL : enter_to_drop(addr, len);
	int r;

	if (!a)
		return result(map_munmap(addr, len));
	unmapping_memory(a, addr, len);
	r = map_munmap(addr, len);
	unmapped_memory(a, addr, len, r);
	leave(a);
	return result(r);
}

static void *map(void *addr, size_t len, int prot, int flags, int fd, long offset)
{
	struct agent *a = flags & MAP_FIXED ? enter_to_drop(addr, len) : NULL;
	long r;

	if (a)
		unmapping_memory(a, addr, len);
	r = map_mmap(addr, len, prot, flags, fd, offset);
	if (a) {
		unmapped_memory(a, addr, len, is_error(r) ? (int)r : 0);
		leave(a);
	}
	return pointer(r);
}

PUBLIC void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return map(addr, len, prot, flags, fd, offset);
}

PUBLIC void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
	return map(addr, len, prot, flags, fd, offset);
}

/* Where a mapping is to be moved: whatever is there goes, if the kernel does not refuse. */
static void make_room(void *addr, size_t len)
{
	struct agent *a = enter_to_drop(addr, len);

	if (!a)
		return;
	give_up_memory(a, addr, len);
	forget_late(a, addr, len);
	leave(a);
}

PUBLIC void *mremap(void *old, size_t old_len, size_t new_len, int flags, ...)
{
	struct agent *a;
	bool whole = false;
	void *target = NULL;
	va_list list;
	long r;

	if (flags & MREMAP_FIXED) {
		va_start(list, flags);
		target = va_arg(list, void *);
		va_end(list);
		if (new_len)
			make_room(target, new_len);
	}
	a = ps_unsafe("no-remap") ? NULL : enter_to_drop(old, old_len ? old_len : 1);
	if (!a)
		return pointer(map_mremap(old, old_len, new_len, flags, target));
	whole = offered_whole(a, old, old_len);
	give_up_memory(a, old, old_len ? old_len : 1);
	forget_late(a, old, old_len ? old_len : 1);
	r = map_mremap(old, old_len, new_len, flags, target);
	leave(a);
	if (whole) /* as VM_MERGEABLE stays with a mapping that moves */
		offer_memory(is_error(r) ? old : (void *)r, is_error(r) ? old_len : new_len);
	return pointer(r);
}

PUBLIC int mprotect(void *addr, size_t len, int prot)
{
	struct agent *a = enter(addr, len);
	int r;

	if (a)
		give_up_memory(a, addr, len);
	r = map_mprotect(addr, len, prot);
	if (a)
		leave(a);
	return result(r);
}

/* ---- locked memory ------------------------------------------------------------------------ */

static int lock(const void *addr, size_t len, unsigned int flags)
{
	struct agent *a = enter(addr, len);
	int r;

	if (!a)
		return result(map_lock(addr, len, flags));
	offer_anew(a, addr, len);
	r = map_lock(addr, len, flags);
	leave(a);
	return result(r);
}

PUBLIC int mlock(const void *addr, size_t len)
{
	return lock(addr, len, 0);
}

PUBLIC int mlock2(const void *addr, size_t len, unsigned int flags)
{
	return lock(addr, len, flags);
}

/* Locking everything faults in every page for writing: of a window, that would be a copy of the
 * whole store. So this is the end of sharing in this process. */
PUBLIC int mlockall(int flags)
{
	struct agent *a = agent_alive();
	int r;

	if (!a)
		return result(map_lock_all(flags));
	agent_lock(a);
	offer_anew(a, NULL, SIZE_MAX / 2);
	agent_give_up(a, "the VMM locks its memory: not shared any more", 0);
	store_leave(a);
	pthread_mutex_unlock(&a->settle);
	r = map_lock_all(flags);
	pthread_mutex_lock(&a->settle);
	leave(a);
	return result(r);
}

/* ---- somebody else's userfaultfd ------------------------------------------------------------ */

PUBLIC int ioctl(int fd, unsigned long request, ...)
{
	struct agent *a = NULL;
	va_list list;
	void *arg;
	int r;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	if (request == UFFDIO_REGISTER && arg) {
		const struct uffdio_register *reg = arg;

		a = enter_to_drop((void *)(uintptr_t)reg->range.start, reg->range.len);
		if (a) {
			give_up_memory(a, (void *)(uintptr_t)reg->range.start, reg->range.len);
			/* a fault there may wait for the VMM, and we may not */
			forget_late(a, (void *)(uintptr_t)reg->range.start, reg->range.len);
		}
	}
	r = sys_ioctl_as_it_came(fd, request, arg);
	if (a)
		leave(a);
	return result(r);
}
