/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/shortfile.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sys/cleanup.h"

ssize_t sys_read_short(const char *path, char *text, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	return n < 0 ? -errno : n;
}
