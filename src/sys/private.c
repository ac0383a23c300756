/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

int sys_private_folder(const char *path, bool make)
{
	struct stat st;

	SYS_INJECT();
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (lstat(path, &st) < 0) {
		char parent[4096];
		char *slash;

		if (errno != ENOENT || strlen(path) >= sizeof(parent))
			return -errno;
		slash = strrchr(strcpy(parent, path), '/');
		if (!slash)
			return -ENOENT;
		*(slash == parent ? slash + 1 : slash) = '\0';
		/* it would be made: can it be? */
		return access(parent, W_OK | X_OK) < 0 ? -errno : 0;
	}
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return st.st_uid != geteuid() || (st.st_mode & 077) ? -EPERM : 0;
}

void sys_forget_sockets(const char *folder, const char *prefix)
{
	_cleanup_closedir_ DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct stat st;
		char *end;
		long pid;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		pid = strtol(entry->d_name + strlen(prefix), &end, 10);
		if (pid <= 0 || strcmp(end, ".sock") != 0 ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISSOCK(st.st_mode))
			continue;
		if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
}
