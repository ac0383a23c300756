/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/vmproc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/orphan.h"
#include "sys/salt.h"

#define ENVIRON_MAX (1u << 20)
#define ERRORS_MAX 4096u

long sys_process_environ(pid_t pid, char **text)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *buf = malloc(ENVIRON_MAX);
	char path[32];
	size_t length = 0;
	ssize_t n = 1;

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!buf)
		return -ENOMEM;
	while (n > 0 && length < ENVIRON_MAX - 1) {
		n = read(fd, buf + length, ENVIRON_MAX - 1 - length);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return -errno;
		else
			length += (size_t)n;
	}
	buf[length] = '\0';
	*text = TAKE_PTR(buf);
	return (long)length;
}

int sys_process_errors(pid_t pid, uint64_t from, char **text, uint64_t *end)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *buf = NULL;
	struct stat st;
	char path[32];
	ssize_t n;

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/fd/2", (int)pid);
	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) /* to read from a pipe would take it from who it is for */
		return -ENOENT;
	*end = (uint64_t)st.st_size;
	if (!text)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* by now it may be another */
	if (fd < 0)
		return -errno;
	buf = malloc(ERRORS_MAX + 1);
	if (!buf)
		return -ENOMEM;
	n = pread(fd, buf, ERRORS_MAX, (off_t)from);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	*text = TAKE_PTR(buf);
	return 0;
}

int sys_process_cwd(pid_t pid, char **path)
{
	char link[32], target[PATH_MAX];
	ssize_t n;

	SYS_INJECT();
	snprintf(link, sizeof(link), "/proc/%d/cwd", (int)pid);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	*path = strdup(target);
	return *path ? 0 : -ENOMEM;
}

DEFINE_CLEANUP(DIR *, dir, closedir);

int sys_process_salt(pid_t pid)
{
	static const char wanted[] = "/memfd:" SYS_SALT_NAME;
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	char path[64], target[64];
	const struct dirent *entry;

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/fd/%.20s", (int)pid, entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < (ssize_t)sizeof(wanted) - 1 ||
		    strncmp(target, wanted, sizeof(wanted) - 1) != 0)
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	return -ENOENT;
}

/* ---- start and end -------------------------------------------------------------------------- */

/* In the grandchild. What goes wrong is told by `tell`, which an exec that works closes. */
static void become(const struct sys_vmm *vmm, int log, int tell)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), err;
	sigset_t none;

	sigemptyset(&none);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
	    dup2(log, STDERR_FILENO) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0 ||
	    chdir(vmm->cwd) < 0 || close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ||
	    (vmm->keep >= 0 && fcntl(vmm->keep, F_SETFD, 0) < 0))
		goto failed;
	execve(vmm->path, vmm->argv, vmm->env);
failed:
	err = errno;
	if (write(tell, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

int sys_vmm_start(const struct sys_vmm *vmm, pid_t *pid)
{
	_cleanup_close_ int log = -1;
	_cleanup_close_ int read_end = -1;
	_cleanup_close_ int write_end = -1;
	int ends[2], said[2] = {0}, status;
	size_t got = 0;
	pid_t between;
	ssize_t n;

	SYS_INJECT();
	log = open(vmm->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	read_end = ends[0];
	write_end = ends[1];
	between = fork();
	if (between < 0)
		return -errno;
	if (between == 0) {
		sys_orphan(write_end);
		become(vmm, log, write_end);
	}
	close_fd(&write_end);
	while (waitpid(between, &status, 0) < 0 && errno == EINTR)
		;
	/* the pid and, before it or after it, the errno of an exec that failed */
	while (got < sizeof(said) &&
	       ((n = read(read_end, (char *)said + got, sizeof(said) - got)) > 0 ||
		(n < 0 && errno == EINTR)))
		got += n > 0 ? (size_t)n : 0;
	if (got == sizeof(said))
		return said[0] < 4096 && said[1] >= 4096 ? -said[0] : -said[1];
	if (got != sizeof(said[0]))
		return -EAGAIN;
	*pid = said[0];
	return 0;
}

int sys_vmm_end(pid_t pid, bool at_once)
{
	return kill(pid, at_once ? SIGKILL : SIGTERM) < 0 ? -errno : 0;
}

/* ---- files ---------------------------------------------------------------------------------- */

int sys_empty_file(const char *path)
{
	_cleanup_close_ int fd = -1;

	SYS_INJECT();
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : 0;
}

int sys_new_file(const char *path)
{
	int fd;

	SYS_INJECT();
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int sys_open_read(const char *path)
{
	int fd;

	SYS_INJECT();
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sys_file_exists(const char *path)
{
	return access(path, F_OK) < 0 ? -errno : 0;
}

int sys_same_file(const char *a, const char *b)
{
	struct stat one, other;

	SYS_INJECT();
	if (stat(a, &one) < 0 || stat(b, &other) < 0)
		return -errno;
	return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

int sys_folder_each(const char *path, void (*see)(const char *name, void *arg), void *arg)
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	const struct dirent *entry;

	SYS_INJECT();
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			see(entry->d_name, arg);
	return 0;
}

static void remove_one(const char *name, void *arg)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", (const char *)arg, name) < (int)sizeof(path))
		(void)unlink(path);
}

int sys_folder_clear(const char *path)
{
	int r = sys_folder_each(path, remove_one, (char *)(uintptr_t)path);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : rmdir(path) < 0 ? -errno : 0;
}

int sys_free_space(const char *path, uint64_t *bytes)
{
	struct statvfs st;

	SYS_INJECT();
	if (statvfs(path, &st) < 0)
		return -errno;
	*bytes = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}
