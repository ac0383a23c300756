/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a daemon that was taken over can do nothing but what it was doing.
 *
 *   1. start         not dumpable: no core, no ptrace by others of its user
 *   2. become        what takes root is done (kernel probes, the device of userfaultfds, folders
 *                    that are not there yet): from here on it is its own user, and all that it
 *                    makes or reads it makes and reads as that
 *   3. drop rights   sockets are bound: every capability goes, out of the bounding set too where
 *                    that is allowed; no exec can bring one back
 *   4. limit calls   only the system calls listed below; any other says ENOSYS
 *
 * Nothing of what the daemon does from the loop on needs a right: it writes memfds of its own,
 * reads world-readable files in /proc, talks on sockets it has. In particular it has no
 * CAP_SYS_PTRACE and never looks into a guest. As root without capabilities it would still own
 * root's files, and a VM of root's could open a store anew for writing: so it runs as root only
 * where there is no other user for it, or in a folder of somebody's own (a test, a first try).
 * The capabilities that stage 2 takes are CAP_SETUID, CAP_SETGID and CAP_SETPCAP; CAP_CHOWN too
 * where a folder has to be given away. The unit that is shipped leaves it those three.
 *
 * A call that is not listed fails instead of killing: a library that tries something newer first
 * goes on with what it always did. Built with a sanitizer stage 4 is left out, for its run-time
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "policy/reason.h"
#include "sys/file.h"
#include "sys/path.h"
#include "sys/process.h"
#include "sys/self.h"
#include "wire/wire.h"

#define RUNTIME_MODE 0755
#define SWAP_MODE 0700
#define LOG_MODE 0700
#define CONFIG_MODE 0755

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

/* A folder of the daemon's own user, made if it is not there. */
static int give_folder(const char *path, unsigned int mode, uid_t uid, gid_t gid)
{
	struct sys_file folder;
	int r;

	if (!path)
		return 0;
	r = sys_make_folder(path, mode);
	if (r == 0)
		r = sys_file_look(path, &folder);
	if (r == 0 && folder.uid != uid)
		r = sys_give(path, uid, gid);
	if (r < 0)
		log_error("cannot give the folder %s to user %u: %s", path, uid, strerror(-r));
	return r;
}

/* Only one that is not there yet: the folder may be one of the system's, like /var/tmp. */
static void give_swap_folder(const char *path, uid_t uid, gid_t gid)
{
	struct sys_file folder;

	if (*path && sys_file_look(path, &folder) == -ENOENT &&
	    sys_make_folders(path, SWAP_MODE) == 0)
		(void)sys_give(path, uid, gid);
}

/* What a daemon of root's that ran here before has left. */
static void give_lock(const char *folder, uid_t uid, gid_t gid)
{
	char path[OPTIONS_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/lock", folder);
	(void)sys_give(path, uid, gid);
}

/* 1: found; 0: there is none, and none was asked for. */
static int find_user(const struct options *options, uid_t *uid, gid_t *gid)
{
	uint32_t user, group;
	int r;

	if (sys_self_uid() != 0 || !options->user)
		return 0;
	r = sys_user_ids(options->user, &user, &group);
	if (r < 0 && !options->user_asked)
		return 0;
	if (r < 0) {
		log_error("--user %.40s: %s", options->user,
			  r == -ENOENT ? "there is no such user in /etc/passwd" : strerror(-r));
		return r;
	}
	*uid = user;
	*gid = group;
	return user != 0;
}

int isolation_become(const struct options *options)
{
	uid_t uid;
	gid_t gid;
	int r = find_user(options, &uid, &gid);

	/* now: later it is forbidden. Where it cannot be made, whoever sets something is told */
	if (r >= 0 && sys_self_uid() == 0 && options->config_dir)
		(void)sys_make_folders(options->config_dir, CONFIG_MODE);
	if (r <= 0)
		return r;
	r = give_folder(options->runtime_dir, RUNTIME_MODE, uid, gid);
	if (r == 0)
		r = give_folder(options->log_dir, LOG_MODE, uid, gid);
	if (r < 0)
		return r;
	if (options->config_dir)
		(void)give_folder(options->config_dir, CONFIG_MODE, uid, gid);
	give_swap_folder(options->swap_dir, uid, gid);
	give_lock(options->runtime_dir, uid, gid);
	capng_get_caps_process();
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP)) {
		capng_clear(CAPNG_SELECT_BOUNDS);
		r = capng_apply(CAPNG_SELECT_BOUNDS);
	}
	if (r == 0)
		r = sys_become(uid, gid);
	if (r == 0)
		r = sys_set_undumpable(); /* the kernel forgets it with the user */
	if (r < 0)
		log_error("cannot become user %s: %s", options->user, strerror(-r));
	return r;
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
		log_warn("runs as root: VMs of root could open their store for writing; make a "
			 "user pshare, or give --user");
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
	SCMP_SYS(shutdown), SCMP_SYS(socketpair), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	SCMP_SYS(socket), SCMP_SYS(writev), SCMP_SYS(readv), SCMP_SYS(sendfile), SCMP_SYS(fcntl),
	SCMP_SYS(ioctl),
	/* stores, rings and salts */
	SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(fchmod), SCMP_SYS(pread64),
	SCMP_SYS(pwrite64), SCMP_SYS(fallocate), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(lseek), SCMP_SYS(fstatfs),
	/* the audit log, and what 'set' keeps: written whole beside the file, then renamed */
	SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(fsync),
	SCMP_SYS(fchown),
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
