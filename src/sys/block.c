/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/block.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sys/inject.h"

int sys_block_direct(int fd)
{
	int flags;

	SYS_INJECT();
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_DIRECT) < 0)
		return -errno;
	return 0;
}

int sys_block_write(int fd, const void *bytes, size_t len, uint64_t offset, size_t *done)
{
	*done = 0;
	SYS_INJECT();
	while (*done < len) {
		ssize_t n = pwrite(fd, (const char *)bytes + *done, len - *done,
				   (off_t)(offset + *done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		*done += (size_t)n;
	}
	return 0;
}

int sys_block_read(int fd, void *bytes, size_t len, uint64_t offset, size_t *done)
{
	*done = 0;
	SYS_INJECT();
	while (*done < len) {
		ssize_t n = pread(fd, (char *)bytes + *done, len - *done, (off_t)(offset + *done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		*done += (size_t)n;
	}
	return 0;
}

int sys_block_settle(int fd, uint64_t offset, uint64_t len)
{
	SYS_INJECT();
	if (fdatasync(fd) < 0)
		return -errno;
	(void)posix_fadvise(fd, (off_t)offset, (off_t)len, POSIX_FADV_DONTNEED);
	return 0;
}
