/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe: does UFFDIO_MOVE loop?
 *
 * In some kernels the move of a part of a large folio that has any extra reference is tried again
 * for ever inside the kernel, with the locks of two mappings held; the first who then wants to
 * change the address space freezes the process. No version tells (fixes were ported back, and
 * not everywhere), so it is tried: a child makes a huge page, takes a reference of one of its
 * pages by vmsplice() to a pipe, and moves that page. A kernel that is well says EBUSY at once. In
 * one that loops the child is killed, which a fatal signal always can.
 *
 * What cannot be tried (no huge page to be had, no right to a userfaultfd) is unknown, and the
 * caller takes the safe side. The child holds nothing but memory of its own, and touches no lock:
 * it is forked before there is a second thread, and before the daemon has a secret.
 */
#include "sys/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/pagemap.h"
#include "sys/process.h"
#include "sys/uapi.h"
#include "sys/uffd.h"
#include "wire/wire.h"

#define LOOK_MS 20

/* exit codes of the child */
enum {
	CHILD_FINE,
	CHILD_NO_UFFD = 10,
	CHILD_NO_LOOK,
	CHILD_NO_HUGE,
	CHILD_NO_REFERENCE,
	CHILD_FAILED,
};

#define PROBE_PAGE 5 /* some page inside of the block */

/* A block of 2 MiB, aligned to its size, of memory with or without huge pages. */
static char *block_new(int advice)
{
	char *at = mmap(NULL, 2 * PS_BLOCK_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	at += PS_BLOCK_SIZE - (uintptr_t)at % PS_BLOCK_SIZE;
	(void)madvise(at, PS_BLOCK_SIZE, advice);
	return at;
}

static bool is_huge(int pagemap, char *block)
{
	struct page_region region;
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = (uintptr_t)block,
		.end = (uintptr_t)block + PS_BLOCK_SIZE,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_mask = PAGE_IS_HUGE,
		.return_mask = PAGE_IS_HUGE,
	};

	return ioctl(pagemap, PAGEMAP_SCAN, &arg) == 1;
}

static int child(void)
{
	char *from = block_new(MADV_HUGEPAGE), *to = block_new(MADV_NOHUGEPAGE);
	struct iovec iov;
	int ends[2], uffd, pagemap;

	/* Of a process that is not dumpable, as pshared, /proc/self belongs to root, and any other
	 * user's daemon would see no page map. */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	pagemap = pagemap_open();
	if (pagemap < 0)
		return CHILD_NO_LOOK;
	if (!from || !to || pipe2(ends, O_CLOEXEC) < 0)
		return CHILD_FAILED;
	uffd = uffd_open(UFFD_FEATURE_MOVE);
	if (uffd < 0)
		return CHILD_NO_UFFD;
	memset(from, 1, PS_BLOCK_SIZE);
	if (!is_huge(pagemap, from))
		return CHILD_NO_HUGE;
	iov.iov_base = from + (size_t)PROBE_PAGE * PS_PAGE_SIZE;
	iov.iov_len = PS_PAGE_SIZE;
	if (vmsplice(ends[1], &iov, 1, SPLICE_F_NONBLOCK) != (ssize_t)PS_PAGE_SIZE)
		return CHILD_NO_REFERENCE;
	if (uffd_register(uffd, to, PS_BLOCK_SIZE, UFFDIO_REGISTER_MODE_MISSING) < 0)
		return CHILD_FAILED;
	(void)uffd_move(uffd, to, iov.iov_base, PS_PAGE_SIZE, UFFDIO_MOVE_MODE_DONTWAKE);
	return CHILD_FINE;
}

/* CPU time that a child has used, ms. */
static uint64_t cpu_ms(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used) < 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

/* Waits for the child to end. If it does not it is killed: 1 if it had its time of a CPU, else 0.
 * What counts is CPU time: on a busy host who does nothing wrong ends late. */
static int child_loops(pid_t pid, int *status)
{
	_cleanup_close_ int pidfd = sys_pidfd_open(pid);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	bool ended = false, had_time = false;

	for (unsigned int ms = 0; pidfd >= 0 && !ended && !had_time && ms < SYS_PROBE_WAIT_MS;
	     ms += LOOK_MS) {
		ended = poll(&p, 1, LOOK_MS) == 1;
		had_time = !ended && cpu_ms(pid) >= SYS_PROBE_CPU_MS;
	}
	if (!ended)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return had_time;
}

static enum sys_probe unknown(const char **why, const char *text)
{
	*why = text;
	return SYS_PROBE_UNKNOWN;
}

enum sys_probe sys_probe_move_loops(const char **why)
{
	int status = 0;
	pid_t pid;

	if (ps_inject_sys(__func__))
		return unknown(why, "no child could be made");
	pid = fork();
	if (pid < 0)
		return unknown(why, "no child could be made");
	if (pid == 0)
		_exit(child());
	if (child_loops(pid, &status)) {
		*why = "a move of part of a huge page did not end";
		return SYS_PROBE_LOOPS;
	}
	if (!WIFEXITED(status))
		return unknown(why, "the experiment crashed, or took too long");
	switch (WEXITSTATUS(status)) {
	case CHILD_FINE:
		*why = "a move of part of a huge page ends";
		return SYS_PROBE_FINE;
	case CHILD_NO_UFFD:
		return unknown(why, "no right to a userfaultfd, or a kernel without UFFDIO_MOVE");
	case CHILD_NO_LOOK:
		return unknown(why, "the page map could not be opened");
	case CHILD_NO_HUGE:
		return unknown(why, "no huge page to be had");
	case CHILD_NO_REFERENCE:
		return unknown(why, "no reference to be had by vmsplice");
	default:
		return unknown(why, "the experiment failed");
	}
}
