/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

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
	_cleanup_free_ char *buf = NULL;
	struct stat st;
	size_t len = 0;
	off_t from;

	SYS_INJECT();
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	from = st.st_size > (off_t)max ? st.st_size - (off_t)max : 0;
	buf = malloc(max + 1);
	if (!buf)
		return -ENOMEM;
	while (len < max) {
		ssize_t n = pread(fd, buf + len, max - len, from + (off_t)len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	*text = TAKE_PTR(buf);
	return 0;
}
