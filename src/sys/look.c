/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/look.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

static int each_part(const char *path, int end, int (*each)(const char *part, void *arg), void *arg)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	ssize_t length;
	int r = 0;

	file = fopen(path, "re");
	if (!file)
		return -errno;
	errno = 0;
	while (!r && (length = getdelim(&line, &room, end, file)) >= 0) {
		if (length && line[length - 1] == end)
			line[length - 1] = '\0';
		r = each(line, arg);
	}
	return !r && ferror(file) ? -(errno ? errno : EIO) : r;
}

int sys_each_line(const char *path, int (*each)(const char *line, void *arg), void *arg)
{
	SYS_INJECT();
	return each_part(path, '\n', each, arg);
}

int sys_each_word(const char *path, int (*each)(const char *word, void *arg), void *arg)
{
	SYS_INJECT();
	return each_part(path, '\0', each, arg);
}

int sys_path_identity(const char *path, uint64_t *device, uint64_t *inode)
{
	struct stat st;

	SYS_INJECT();
	if (stat(path, &st) < 0)
		return -errno;
	*device = st.st_dev;
	*inode = st.st_ino;
	return 0;
}

int sys_device_number(const char *path, uint64_t *number)
{
	struct stat st;

	SYS_INJECT();
	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTTY;
	*number = (uint64_t)major(st.st_rdev) << 32 | minor(st.st_rdev);
	return 0;
}

int sys_each_fd(pid_t pid, int (*each)(const char *target, void *arg), void *arg)
{
	_cleanup_closedir_ DIR *folder = NULL;
	char path[64], target[PATH_MAX];
	struct dirent *entry;
	int r = 0;

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	folder = opendir(path);
	if (!folder)
		return -errno;
	while (!r && (entry = readdir(folder))) {
		ssize_t n = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1);

		if (n < 0)
			continue; /* "." and "..", or closed meanwhile */
		target[n] = '\0';
		r = each(target, arg);
	}
	return r;
}

int sys_each_process(int (*each)(pid_t pid, void *arg), void *arg)
{
	_cleanup_closedir_ DIR *folder = NULL;
	struct dirent *entry;
	int r = 0;

	SYS_INJECT();
	folder = opendir("/proc");
	if (!folder)
		return -errno;
	while (!r && (entry = readdir(folder))) {
		pid_t pid = (pid_t)atoi(entry->d_name);

		if (pid > 0)
			r = each(pid, arg);
	}
	return r;
}

int sys_each_argument(pid_t pid, int (*each)(const char *word, void *arg), void *arg)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *word = NULL;
	size_t room = 0;
	char path[64];
	int r = 0;

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (!r && getdelim(&word, &room, '\0', file) > 0)
		r = each(word, arg);
	return r;
}

int sys_process_variable(pid_t pid, const char *name, char *value, size_t size)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *text = NULL;
	size_t room = 0, length = strlen(name);
	char path[64];

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (getdelim(&text, &room, '\0', file) > 0) {
		if (strncmp(text, name, length) != 0 || text[length] != '=')
			continue;
		snprintf(value, size, "%s", text + length + 1);
		return 0;
	}
	return -ENOENT;
}

int sys_process_uid(pid_t pid, uid_t *uid)
{
	struct stat st;
	char path[32];

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st) < 0)
		return -errno;
	*uid = st.st_uid;
	return 0;
}

void sys_user_name(uid_t uid, char *name, size_t size)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(name, size, "%s", user->pw_name);
	else
		snprintf(name, size, "%u", uid);
}

int sys_memlock_limit(uint64_t *bytes)
{
	struct rlimit limit;

	SYS_INJECT();
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return -errno;
	*bytes = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur;
	return 0;
}
