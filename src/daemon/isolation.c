/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a daemon that was taken over can do nothing but what it was doing.
 *
 *   1. start         not dumpable: no core, no ptrace by others of its user
 *   2. drop rights   sockets are bound, kernel probes are done: every capability goes, out of the
 *                    bounding set too where that is allowed; no exec can bring one back
 *   3. limit calls   only the system calls listed below; any other says ENOSYS
 *
 * Nothing of what the daemon does from the loop on needs a right: it writes memfds of its own,
 * reads world-readable files in /proc, talks on sockets it has. In particular it has no
 * CAP_SYS_PTRACE and never looks into a guest. As root without capabilities it still owns root's
 * files; so the unit that is shipped runs it as a user of its own, which also keeps VMs of root's
 * from opening a store anew for writing.
 *
 * A call that is not listed fails instead of killing: a library that tries something newer first
 * goes on with what it always did. Built with a sanitizer stage 3 is left out, for its run-time
 * needs calls of its own.
 *
 * What fails is said in the log. Root that cannot drop its rights does not run; a daemon without
 * rights to begin with goes on, and says what is missing.
 */
#include "daemon/isolation.h"

#include <cap-ng.h>
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "policy/reason.h"
#include "sys/process.h"
#include "sys/self.h"
#include "wire/wire.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ISOLATION_CALLS 0
#else
#define ISOLATION_CALLS 1
#endif

int isolation_start(void)
{
	int r = sys_set_undumpable();

	if (r < 0)
		log_warn("cannot forbid core dumps: %s", strerror(-r));
	sys_ignore_signal(SIGPIPE);
	sys_ignore_signal(SIGXFSZ);
	r = sys_raise_nofile(NULL);
	if (r < 0)
		log_warn("cannot raise the limit of open files: %s", strerror(-r));
	/* no store, nor even a VM's ring, could be made: nothing would ever be shared */
	(void)sys_raise_fsize();
	if (!sys_self_may_write(sizeof(struct ps_ring_map))) {
		log_error("RLIMIT_FSIZE allows files of less than %zu KiB: %s",
			  sizeof(struct ps_ring_map) >> 10, reason_mend(PS_CAUSE_RLIMIT_FSIZE));
		return -EFBIG;
	}
	return 0;
}

int isolation_drop_rights(void)
{
	int r = sys_set_no_new_privs();

	if (r < 0) {
		log_error("cannot forbid new privileges: %s", strerror(-r));
		return r;
	}
	capng_get_caps_process();
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP)) {
		capng_clear(CAPNG_SELECT_ALL);
		r = capng_apply(CAPNG_SELECT_ALL);
	} else {
		capng_clear(CAPNG_SELECT_CAPS);
		r = capng_apply(CAPNG_SELECT_CAPS);
	}
	if (r != 0) {
		log_error("cannot drop capabilities (step %d)", -r);
		return -EPERM;
	}
	if (sys_self_uid() == 0)
		log_warn("runs as root: VMs of root could open their store for writing; the unit "
			 "pshared.service runs it as a user of its own");
	return 0;
}

#if ISOLATION_CALLS
/* What each is for. */
static const int allowed[] = {
	/* the loop and the API: epoll, bells, timer, signals, pidfds */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_create1),
	SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(poll),
	SCMP_SYS(ppoll), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(pidfd_open),
	SCMP_SYS(signalfd4), SCMP_SYS(pipe2),
	/* sockets of agents and of the API, and the service manager's */
	SCMP_SYS(accept4), SCMP_SYS(accept), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(socket),
	SCMP_SYS(writev), SCMP_SYS(readv), SCMP_SYS(sendfile), SCMP_SYS(fcntl), SCMP_SYS(ioctl),
	/* stores, rings and salts */
	SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(fchmod), SCMP_SYS(pread64),
	SCMP_SYS(pwrite64), SCMP_SYS(fallocate), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	/* /proc, the policy file, the descriptor of a store */
	SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(access), SCMP_SYS(getdents64),
	/* memory */
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
	SCMP_SYS(brk), SCMP_SYS(mlock), SCMP_SYS(munlock), SCMP_SYS(futex),
	/* time, chance, and what the C library does by itself */
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
	SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid),
	SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(tgkill),
	SCMP_SYS(getrusage), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sysinfo),
	SCMP_SYS(uname), SCMP_SYS(prlimit64), SCMP_SYS(rseq), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
	SCMP_SYS(exit), SCMP_SYS(exit_group)};

static int load_filter(scmp_filter_ctx filter)
{
	for (unsigned int i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);

		if (r < 0)
			return r;
	}
	return seccomp_load(filter);
}
#endif

int isolation_limit_calls(void)
{
#if ISOLATION_CALLS
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = filter ? load_filter(filter) : -ENOMEM;

	seccomp_release(filter);
	if (r < 0)
		log_warn("cannot limit the system calls (%s): goes on without", strerror(-r));
#else
	log_info("built with a sanitizer: the system calls are not limited");
#endif
	return 0;
}
