/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * interpose: the libc calls by which a VMM changes its memory, as the preloaded library defines
 * them. Each one does what libc's does, by the kernel's own call, after the agent has made sure
 * that the kernel finds what the VMM believes to be there.
 *
 *   madvise    advice.c has the table of what is done for each advice.
 *   munmap, mmap(MAP_FIXED), mremap, mprotect, pkey_mprotect, mlock: the region is given up first,
 *              and offered again at its place, or its new one: what it has become is then looked
 *              at, and shown if it cannot be shared.
 *   mlockall   locked.c. munlock and its like: what was refused is looked at again.
 *   mmap(MAP_SHARED) of a RAM file  forkram.c: private memory in its place.
 *   ioctl      foreign.c: the VMM's own userfaultfd.
 *   _Fork, clone  child.c (and fork() by its handlers).
 *
 * While the kernel does the call, `act` is held: the worker has no page of it out, and takes none.
 *
 * Manners: what does not concern us takes no lock (spans.h). What the kernel refuses for its form
 * changes nothing with us either. A thread that has the locks runs no signal handler and is not
 * cancelled; errno is what the kernel said, and untouched where it said nothing.
 *
 * Limits: a system call made by number passes us by. So does process_madvise(). VMMs use neither
 * for guest RAM. The call that opts in the very first region makes threads: not for a signal
 * handler.
 */
/* With 64-bit offsets by macro the name mmap means mmap64, and one of the two could not be
 * defined. */
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/advice.h"
#include "agent/agent.h"
#include "agent/child.h"
#include "agent/foreign.h"
#include "agent/forkram.h"
#include "agent/leftover.h"
#include "agent/locked.h"
#include "agent/offer.h"
#include "sys/libc.h"
#include "sys/mapping.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"

/* Of <sys/ioctl.h>, which only src/sys may include. */
int ioctl(int fd, unsigned long request, ...);

#define PUBLIC __attribute__((visibility("default")))

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

/* ---- madvise ------------------------------------------------------------------------------ */

static int discard(void *addr, size_t len, int advice)
{
	struct agent *a = enter(addr, len);
	int r;

	if (!a) {
		r = map_advise(addr, len, advice);
		/* offered meanwhile by another thread? With a hole in it, the rest is discarded */
		a = r && r != -ENOMEM ? NULL : enter(addr, len);
		if (!a)
			return r;
	}
	r = discard_memory(a, addr, len, advice);
	leave(a);
	return r;
}

static int advise_flag(void *addr, size_t len, int advice)
{
	struct agent *a = enter(addr, len);
	int r = map_advise(addr, len, advice);

	if (a) {
		if (!r)
			follow_advice(a, addr, len, advice);
		leave(a);
	}
	return r;
}

static int advise_huge(void *addr, size_t len)
{
	struct agent *a = enter(addr, len);
	int r;

	if (!a)
		return map_advise(addr, len, MADV_HUGEPAGE);
	r = allow_huge(a, addr, len);
	leave(a);
	return r;
}

static int advise_small(void *addr, size_t len)
{
	struct agent *a = enter(addr, len);
	int r = map_advise(addr, len, MADV_NOHUGEPAGE);

	if (a) {
		if (!r)
			forbid_huge(a, addr, len);
		leave(a);
	}
	return r;
}

static int advise_anew(void *addr, size_t len, int advice)
{
	struct agent *a;
	int r = map_advise(addr, 0, advice); /* does the kernel know it? */

	if (r)
		return r;
	a = enter(addr, len);
	if (!a)
		return map_advise(addr, len, advice);
	offer_anew(a, addr, len);
	pthread_mutex_unlock(&a->settle); /* faults need not wait while huge pages are made */
	r = map_advise(addr, len, advice);
	pthread_mutex_lock(&a->settle);
	leave(a);
	return r;
}

static int advise(void *addr, size_t len, int advice)
{
	switch (advice_kind(advice)) {
	case ADVICE_DISCARD:
	case ADVICE_REMOVE:
		return discard(addr, len, advice);
	case ADVICE_FLAG:
		return advise_flag(addr, len, advice);
	case ADVICE_HUGE:
		return advise_huge(addr, len);
	case ADVICE_SMALL:
		return advise_small(addr, len);
	case ADVICE_ANEW:
		return advise_anew(addr, len, advice);
	case ADVICE_WITHDRAW:
		withdraw_memory(addr, len);
		return map_advise(addr, len, advice);
	default:
		return map_advise(addr, len, advice);
	}
}

PUBLIC int madvise(void *addr, size_t len, int advice)
{
	if (advice_kind(advice) == ADVICE_OFFER)
		return result(offer_memory(addr, len));
	if (!well_formed(addr, len))
		return result(map_advise(addr, len, advice));
	return result(advise(addr, len, advice));
}

/* ---- mappings that come and go ------------------------------------------------------------ */

PUBLIC int munmap(void *addr, size_t len)
{
	struct agent *a = NULL;
	int r;

	if (well_formed(addr, len) && !ps_without(DEFENCE_REMAP))
		a = enter(addr, len);
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
	struct agent *a = flags & MAP_FIXED && well_formed(addr, len) ? enter(addr, len) : NULL;
	int ram = flags & MAP_SHARED && fd >= 0 && !offset ? forkram_of(fd) : -1;
	long r;

	if (a)
		unmapping_memory(a, addr, len);
	if (ram >= 0)
		r = map_mmap(addr, len, prot,
			     (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_NORESERVE)) |
				     MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	else
		r = map_mmap(addr, len, prot, flags, fd, offset);
	if (ram >= 0 && !is_error(r))
		forkram_mapped(ram, (void *)r, len);
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

/* A mapping moves from old to new, or grows or shrinks in place: what is where now? */
static void remapped(struct agent *a, char *old, size_t old_len, char *new, size_t new_len,
		     int flags)
{
	bool whole = old_len && offered_whole(a, old, old_len);
	size_t kept = new_len < old_len ? new_len : old_len;

	if (new == old) {
		if (new_len < old_len)
			unmapped_memory(a, old + new_len, old_len - new_len, 0);
	} else {
		unmapped_memory(a, new, new_len, 0); /* what was there before */
		moved_memory(a, old, kept, new);
		if (!(flags & MREMAP_DONTUNMAP) && old_len)
			unmapped_memory(a, old, old_len, 0);
		forget_late(a, old, old_len);
	}
	if (whole && (new != old || new_len != old_len)) /* as VM_MERGEABLE stays with a mapping */
		region_offer(a, (uintptr_t) new, new_len);
}

PUBLIC void *mremap(void *old, size_t old_len, size_t new_len, int flags, ...)
{
	size_t from = whole_pages(old_len), to = whole_pages(new_len);
	struct agent *a = NULL;
	void *target = NULL;
	va_list list;
	long r;

	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_start(list, flags);
		target = va_arg(list, void *);
		va_end(list);
	}
	if (well_formed(old, from ? from : 1) && !ps_without(DEFENCE_REMAP)) {
		a = enter(old, from ? from : 1);
		if (!a && flags & MREMAP_FIXED && well_formed(target, to))
			a = enter(target, to);
	}
	if (!a)
		return pointer(map_mremap(old, old_len, new_len, flags, target));
	offer_anew(a, old, from ? from : 1);
	if (flags & MREMAP_FIXED && well_formed(target, to))
		offer_anew(a, target, to);
	r = map_mremap(old, old_len, new_len, flags, target);
	if (!is_error(r))
		remapped(a, old, from, (char *)r, to, flags);
	leave(a);
	return pointer(r);
}

static int protect(void *addr, size_t len, int prot, int pkey)
{
	struct agent *a = well_formed(addr, len) ? enter(addr, len) : NULL;
	int r;

	if (a)
		offer_anew(a, addr, len);
	r = pkey == -1 ? map_mprotect(addr, len, prot) : map_pkey_mprotect(addr, len, prot, pkey);
	if (a) {
		if (!r)
			leftover_protect(a, (uintptr_t)addr, (uintptr_t)addr + whole_pages(len),
					 prot);
		leave(a);
	}
	return result(r);
}

PUBLIC int mprotect(void *addr, size_t len, int prot)
{
	return protect(addr, len, prot, -1);
}

PUBLIC int pkey_mprotect(void *addr, size_t len, int prot, int pkey)
{
	return protect(addr, len, prot, pkey);
}

/* ---- locked memory ------------------------------------------------------------------------ */

/* mlock() and its like take any address, and round it down. */
static struct agent *enter_lock(const void *addr, size_t *len)
{
	uintptr_t start = (uintptr_t)addr & ~(uintptr_t)(PS_PAGE_SIZE - 1);

	*len += (uintptr_t)addr - start;
	return well_formed((void *)start, *len) ? enter((void *)start, *len) : NULL;
}

static int lock(const void *addr, size_t len, unsigned int flags)
{
	size_t touched = len;
	struct agent *a = enter_lock(addr, &touched);
	int r;

	if (!a)
		return result(map_lock(addr, len, flags));
	offer_anew(a, addr, touched);
	pthread_mutex_unlock(&a->settle);
	r = map_lock(addr, len, flags);
	pthread_mutex_lock(&a->settle);
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

PUBLIC int munlock(const void *addr, size_t len)
{
	int r = map_unlock(addr, len);
	struct agent *a = r ? NULL : enter_lock(addr, &len);

	if (a) {
		offer_refused(a, addr, len);
		leave(a);
	}
	return result(r);
}

PUBLIC int mlockall(int flags)
{
	return result(locked_all(flags));
}

PUBLIC int munlockall(void)
{
	return result(locked_none());
}

/* ---- userfaultfds of the VMM's own -------------------------------------------------------- */

PUBLIC int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	return result(foreign_request(request) ? foreign_ioctl(fd, request, arg) :
						 sys_ioctl_as_it_came(fd, request, arg));
}

/* ---- children ----------------------------------------------------------------------------- */

PUBLIC pid_t _Fork(void)
{
	struct agent *a = agent_alive();
	pid_t pid;

	if (a)
		child_before(a);
	pid = libc_fork();
	if (a && pid) {
		int error = errno;

		child_in_parent(a);
		if (pid < 0)
			errno = error;
	}
	if (a && !pid)
		child_in_child(a, false);
	return pid;
}

struct beginning {
	struct agent *a;
	int (*fn)(void *);
	void *arg;
	bool shares_files;
};

static int begin(void *arg)
{
	struct beginning b = *(struct beginning *)arg;

	child_in_child(b.a, b.shares_files);
	return b.fn(b.arg);
}

PUBLIC int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	struct agent *a = flags & CLONE_VM ? NULL : agent_alive();
	struct beginning b = {a, fn, arg, flags & CLONE_FILES};
	struct libc_clone_rest rest;
	va_list list;
	int pid, error;

	va_start(list, arg);
	rest.parent_tid = va_arg(list, void *);
	rest.tls = va_arg(list, void *);
	rest.child_tid = va_arg(list, void *);
	va_end(list);
	if (!a || !fn || !stack)
		return libc_clone(fn, stack, flags, arg, &rest);
	child_before(a);
	pid = libc_clone(begin, stack, flags, &b, &rest);
	error = errno;
	child_in_parent(a);
	if (pid < 0)
		errno = error;
	return pid;
}
