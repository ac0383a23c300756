/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a QEMU that takes a worker over has gained nothing. A worker has two
 * sockets: one to that QEMU, one to pshared, which believes it nothing but that
 * VM's figures. It opens nothing, connects to nothing, starts nothing, signals
 * nobody, and has a bounded memory.
 *
 * Signals: a Ctrl-C in pshared's terminal, or a stop of the service, reaches
 * all its processes. A worker that died of it could leave a VM standing still;
 * so they end when pshared's end of their socket is closed, and no earlier.
 *
 * A call that is not listed fails instead of killing, as in pshared
 * (daemon/isolation.c).
 */
#include "balloon/confine.h"

#include <cap-ng.h>
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "sys/process.h"

#define MEMORY_MAX (64ul << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINE_CALLS 0
#else
#define CONFINE_CALLS 1
#endif

int confine_keeper(void)
{
	static const int ignored[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD};
	int r = sys_set_undumpable();

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sys_ignore_signal(ignored[i]); /* SIGCHLD: nobody waits for workers */
	if (r == 0)
		r = sys_set_no_new_privs();
	if (r < 0)
		return r;
	capng_get_caps_process();
	capng_clear(capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) ? CAPNG_SELECT_ALL :
									  CAPNG_SELECT_CAPS);
	return capng_apply(CAPNG_SELECT_ALL) ? -EPERM : 0;
}

#if CONFINE_CALLS
static const int allowed[] = {
	/* the two sockets, and the log */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto),
	SCMP_SYS(sendmsg), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(close), SCMP_SYS(writev),
	/* memory */
	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(futex),
	/* time, and what the C library does by itself */
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall), SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(exit), SCMP_SYS(exit_group)};

static int load(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);

		if (r < 0)
			return r;
	}
	return seccomp_load(filter);
}
#endif

void confine_worker(void)
{
#if CONFINE_CALLS
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = filter ? load(filter) : -ENOMEM;

	seccomp_release(filter);
	if (r < 0)
		fprintf(stderr, "pshare-balloon: cannot limit the system calls (%s): goes on\n",
			strerror(-r));
#endif
}
