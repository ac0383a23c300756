/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/process.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/inject.h"

pid_t sys_self_pid(void)
{
	return getpid();
}

int sys_pidfd_open(pid_t pid)
{
	int fd;

	SYS_INJECT();
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : fd;
}

int sys_set_undumpable(void)
{
	SYS_INJECT();
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int sys_become(uid_t uid, gid_t gid)
{
	SYS_INJECT();
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

int sys_set_no_new_privs(void)
{
	SYS_INJECT();
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

void sys_ignore_signal(int number)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	(void)sigaction(number, &ignore, NULL);
}

int sys_raise_fsize(void)
{
	struct rlimit rl;

	SYS_INJECT();
	if (getrlimit(RLIMIT_FSIZE, &rl) < 0)
		return -errno;
	rl.rlim_cur = rl.rlim_max;
	return setrlimit(RLIMIT_FSIZE, &rl) < 0 ? -errno : 0;
}

int sys_raise_nofile(unsigned long *limit)
{
	struct rlimit rl;

	SYS_INJECT();
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return -errno;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		return -errno;
	if (limit)
		*limit = rl.rlim_cur;
	return 0;
}
