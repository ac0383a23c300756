/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/self.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/inject.h"

uid_t sys_self_uid(void)
{
	return geteuid();
}

static rlim_t soft_limit(__rlimit_resource_t what)
{
	struct rlimit limit;

	return getrlimit(what, &limit) < 0 ? RLIM_INFINITY : limit.rlim_cur;
}

bool sys_self_limited_as(void)
{
	return soft_limit(RLIMIT_AS) != RLIM_INFINITY;
}

bool sys_self_may_write(size_t size)
{
	return size <= soft_limit(RLIMIT_FSIZE);
}

int sys_self_folder(char *folder, size_t size)
{
	char *slash;
	ssize_t n;

	SYS_INJECT();
	n = readlink("/proc/self/exe", folder, size);
	if (n < 0)
		return -errno;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	folder[n] = '\0';
	slash = strrchr(folder, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

int sys_shutdown(int sock)
{
	SYS_INJECT();
	return shutdown(sock, SHUT_RDWR) < 0 ? -errno : 0;
}

int sys_duplicate(int fd)
{
	int copy;

	SYS_INJECT();
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return copy < 0 ? -errno : copy;
}

int sys_inode(int fd, uint64_t *inode)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*inode = (uint64_t)st.st_dev << 48 ^ (uint64_t)st.st_ino;
	return 0;
}

void sys_abort(void)
{
	abort();
}
