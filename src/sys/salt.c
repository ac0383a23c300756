/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/salt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/memfd.h"

int sys_salt_inherit(int fd)
{
	unsigned int seals;
	int copy, err;

	SYS_INJECT();
	err = sys_memfd_seals(fd, &seals);
	if (err)
		return err;
	if ((seals & SYS_SEALS_FINAL) != SYS_SEALS_FINAL)
		return -EINVAL;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return copy;
}

int sys_salt_inode(int fd, uint64_t *inode)
{
	struct stat st;

	SYS_INJECT();
	if (fstat(fd, &st) < 0)
		return -errno;
	*inode = st.st_ino;
	return 0;
}

int sys_salt_check(int fd, uint64_t inode)
{
	static const char want[] = "/memfd:" SYS_SALT_NAME;
	char path[32], target[sizeof(want) + 16] = "";
	uint64_t have = 0;
	int r = sys_salt_inode(fd, &have);

	if (r)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, target, sizeof(target) - 1) < 0)
		return -errno;
	return have == inode && !strncmp(target, want, sizeof(want) - 1) ? 0 : -ESTALE;
}

int sys_salt_heritable(int fd, bool heritable)
{
	SYS_INJECT();
	return fcntl(fd, F_SETFD, heritable ? 0 : FD_CLOEXEC) < 0 ? -errno : 0;
}

int sys_salt_of(pid_t pid, int fd, uint64_t inode)
{
	_cleanup_close_ int theirs = -1;
	unsigned int seals;
	char path[48];
	int r;

	SYS_INJECT();
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	theirs = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (theirs < 0)
		return -errno;
	r = sys_salt_check(theirs, inode);
	if (!r)
		r = sys_memfd_seals(theirs, &seals);
	if (r)
		return r;
	return (seals & SYS_SEALS_FINAL) == SYS_SEALS_FINAL ? TAKE_FD(theirs) : -EINVAL;
}
