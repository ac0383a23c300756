/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool t_cgroup_make(char *dir, size_t size, const char *limit)
{
	static const char *const BASES[][2] = {
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
		{"/sys/fs/cgroup", "memory.max"},
	};
	char path[256];

	for (int i = 0; i < 2; i++) {
		int fd;

		snprintf(dir, size, "%s/pshare-test-%d", BASES[i][0], (int)getpid());
		if (mkdir(dir, 0755))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, BASES[i][1]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write(fd, limit, strlen(limit)) > 0) {
			close(fd);
			return true;
		}
		if (fd >= 0)
			close(fd);
		rmdir(dir);
	}
	return false;
}

bool t_cgroup_enter(const char *dir, pid_t pid)
{
	char path[256], text[16];
	int fd, n;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	n = snprintf(text, sizeof(text), "%d", (int)pid);
	n = fd >= 0 && write(fd, text, (size_t)n) == n;
	if (fd >= 0)
		close(fd);
	return n;
}

void t_cgroup_enter_self(void *arg)
{
	(void)t_cgroup_enter(arg, getpid());
}
