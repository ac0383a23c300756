/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/orphan.h"
#include "sys/sock.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

int sys_current_folder(char *folder, size_t size)
{
	SYS_INJECT();
	return getcwd(folder, size) ? 0 : -errno;
}

int sys_whole_path(const char *path, char *whole, size_t size)
{
	_cleanup_free_ char *real = NULL;

	SYS_INJECT();
	real = realpath(path, NULL);
	if (!real)
		return -errno;
	return (size_t)snprintf(whole, size, "%s", real) < size ? 0 : -ENAMETOOLONG;
}

int sys_make_folder_if_none(const char *path, unsigned int mode)
{
	struct stat st;

	SYS_INJECT();
	if (mkdir(path, (mode_t)mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* 0 if path is a file that may be executed. */
static int check_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return access(path, X_OK) < 0 ? -errno : 0;
}

int sys_find_program(const char *name, char *path, size_t size)
{
	const char *list = getenv("PATH");
	int found = -ENOENT;

	SYS_INJECT();
	if (!*name)
		return -ENOENT;
	if (strchr(name, '/')) {
		if ((size_t)snprintf(path, size, "%s", name) >= size)
			return -ENAMETOOLONG;
		return check_program(path);
	}
	for (list = list ? list : DEFAULT_PATH;; list++) {
		size_t length = strcspn(list, ":");
		int r;

		if ((size_t)snprintf(path, size, "%.*s%s%s", (int)length, list, length ? "/" : "./",
				     name) < size) {
			r = check_program(path);
			if (!r)
				return 0;
			if (r == -EACCES)
				found = r;
		}
		list += length;
		if (!*list)
			return found;
	}
}

static bool gains_rights(const char *path, const struct stat *st)
{
	if ((st->st_mode & S_ISUID) && st->st_uid != geteuid())
		return true;
	if ((st->st_mode & S_ISGID) && (st->st_mode & S_IXGRP) && st->st_gid != getegid())
		return true;
	return geteuid() && getxattr(path, "security.capability", NULL, 0) > 0;
}

int sys_program_look(const char *path, struct sys_program *program)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t n;

	SYS_INJECT();
	if (stat(path, &st) < 0)
		return -errno;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, program->head, sizeof(program->head));
	if (n < 0)
		return -errno;
	program->length = (size_t)n;
	program->gains_rights = gains_rights(path, &st);
	return 0;
}

int sys_can_read(const char *path)
{
	struct stat st;

	SYS_INJECT();
	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return access(path, R_OK) < 0 ? -errno : 0;
}

int sys_can_connect(const char *path)
{
	_cleanup_close_ int fd = sys_unix_connect(path, SYS_SOCK_STREAM);

	return fd < 0 ? fd : 0;
}

int sys_lock_folder(const char *path)
{
	_cleanup_close_ int fd = -1;

	SYS_INJECT();
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return TAKE_FD(fd);
}

/* ---- the daemon ---------------------------------------------------------------------------- */

/* In the grandchild: nothing of the caller's is left but the environment. Does not return. */
static void become(const char *path, const char *const argv[], int log)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
	    dup2(log, STDERR_FILENO) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(127);
	(void)close_range(STDERR_FILENO + 1, ~0u, 0);
	execv(path, (char *const *)(uintptr_t)argv); /* which execv does not write to */
	_exit(127);
}

int sys_spawn_detached(const char *path, const char *const argv[], const char *log, pid_t *pid)
{
	_cleanup_close_ int log_fd = -1;
	_cleanup_close_ int read_end = -1;
	_cleanup_close_ int write_end = -1;
	pid_t between, started = 0;
	int ends[2], status;

	SYS_INJECT();
	log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	read_end = ends[0];
	write_end = ends[1];
	between = fork();
	if (between < 0)
		return -errno;
	if (between == 0) {
		sys_orphan(write_end);
		become(path, argv, log_fd);
	}
	while (waitpid(between, &status, 0) < 0) {
		if (errno == ECHILD) /* whoever started us ignores SIGCHLD */
			break;
		if (errno != EINTR)
			return -errno;
	}
	if (read(read_end, &started, sizeof(started)) != (ssize_t)sizeof(started))
		return -EAGAIN;
	*pid = started;
	return 0;
}

bool sys_process_lives(pid_t pid)
{
	return kill(pid, 0) == 0 || errno == EPERM;
}

/* ---- the VMM ------------------------------------------------------------------------------- */

int sys_keep_over_exec(int fd)
{
	SYS_INJECT();
	return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
}

int sys_exec(const char *path, char *const argv[])
{
	SYS_INJECT();
	execv(path, argv);
	return -errno;
}

void sys_sleep_ms(unsigned int ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

time_t sys_wall_time(void)
{
	return time(NULL);
}
