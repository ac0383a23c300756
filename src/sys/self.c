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

#include "sys/cleanup.h"
#include "sys/inject.h"

uid_t sys_self_uid(void)
{
	return geteuid();
}

gid_t sys_self_gid(void)
{
	return getegid();
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

int sys_self_words(char *words, size_t size)
{
	_cleanup_close_ int fd = -1;
	size_t length = 0;
	ssize_t n = 1;

	SYS_INJECT();
	fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (length < size && n > 0) {
		n = read(fd, words + length, size - length);
		if (n < 0 && errno != EINTR)
			return -errno;
		length += n > 0 ? (size_t)n : 0;
		n = n < 0 ? 1 : n;
	}
	return (int)length;
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
	/* of many file systems the first inodes have small numbers, and so have devices */
	*inode = (uint64_t)st.st_dev * 0x9e3779b97f4a7c15ull ^ (uint64_t)st.st_ino;
	return 0;
}

bool sys_is_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

void sys_abort(void)
{
	abort();
}
