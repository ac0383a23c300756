/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

#define KEEP_PAUSE_S 1u

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

bool sys_signal_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
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

int sys_fork(void)
{
	pid_t pid;

	SYS_INJECT();
	pid = fork();
	return pid < 0 ? -errno : (int)pid;
}

void sys_exit_child(int status)
{
	_exit(status);
}

int sys_limit_data(unsigned long bytes)
{
	struct rlimit rl = {bytes, bytes};

	SYS_INJECT();
	return setrlimit(RLIMIT_DATA, &rl) < 0 ? -errno : 0;
}

void sys_close_others(const int *kept, unsigned int n)
{
	unsigned int from = STDERR_FILENO + 1;

	for (;;) {
		unsigned int next = ~0u;

		for (unsigned int i = 0; i < n; i++)
			if (kept[i] >= (int)from && (unsigned int)kept[i] < next)
				next = (unsigned int)kept[i];
		if (next > from)
			(void)close_range(from, next == ~0u ? ~0u : next - 1, 0);
		if (next == ~0u)
			return;
		from = next + 1;
	}
}

static void become(const char *path, const char *const argv[], int fd, int as_fd)
{
	static const int defaults[] = {SIGINT, SIGTERM, SIGHUP};
	static char *const nothing[] = {NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (unsigned int i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		(void)signal(defaults[i], SIG_DFL);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || (fd != as_fd && dup2(fd, as_fd) < 0) ||
	    (fd == as_fd && fcntl(fd, F_SETFD, 0) < 0))
		_exit(127);
	sys_close_others(&as_fd, 1);
	execve(path, (char *const *)(uintptr_t)argv, nothing); /* which are not written to */
	_exit(127);
}

/* Signals of a terminal are for the one that is kept for. */
static _Noreturn void keep(const char *path, const char *const argv[], int fd, int as_fd,
			   pid_t parent)
{
	int status = 0;

	(void)prctl(PR_SET_NAME, "pshared-keeper", 0, 0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(0);
	sys_ignore_signal(SIGINT);
	sys_ignore_signal(SIGTERM);
	sys_ignore_signal(SIGHUP);
	(void)signal(SIGCHLD, SIG_DFL);
	sys_close_others(&fd, 1);
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			become(path, argv, fd, as_fd);
		while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			_exit(0);
		sleep(KEEP_PAUSE_S);
	}
}

int sys_keep_running(const char *path, const char *const argv[], int fd, int as_fd, pid_t *pid)
{
	_cleanup_close_ int owned = fd;
	pid_t parent = getpid(), child;

	SYS_INJECT();
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		keep(path, argv, TAKE_FD(owned), as_fd, parent);
	*pid = child;
	return 0;
}
