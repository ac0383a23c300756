/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/path.h"

#define LOGFILE_MODE 0600

int sys_logfile_open(const char *path, int *fd, uint64_t *size)
{
	_cleanup_close_ int opened = -1;
	struct stat st;

	SYS_INJECT();
	opened =
		open(path,
		     O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
		     LOGFILE_MODE);
	if (opened < 0)
		return -errno;
	if (fstat(opened, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EEXIST;
	*size = (uint64_t)st.st_size;
	*fd = TAKE_FD(opened);
	return 0;
}

int sys_logfile_append(int fd, const void *bytes, size_t length, size_t *done)
{
	*done = 0;
	SYS_INJECT();
	while (*done < length) {
		ssize_t n = write(fd, (const char *)bytes + *done, length - *done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		*done += (size_t)n;
	}
	return 0;
}

int sys_logfile_set_aside(const char *from, const char *to)
{
	SYS_INJECT();
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	/* some file systems know no flags */
	if (errno == EINVAL && access(to, F_OK) < 0)
		return rename(from, to) < 0 ? -errno : 0;
	return -errno;
}

int sys_read_tail(const char *path, size_t max, char **text)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	size_t length;

	SYS_INJECT();
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > (off_t)max && lseek(fd, st.st_size - (off_t)max, SEEK_SET) < 0)
		return -errno;
	return sys_read_fd(fd, max, text, &length);
}
