/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/coredump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

#define MAPPED_PRIVATE 4ul /* core(5) */

int sys_coredump_private_files(void)
{
	_cleanup_close_ int fd = -1;
	unsigned long filter;
	char text[32];
	ssize_t n;

	SYS_INJECT();
	fd = open("/proc/self/coredump_filter", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	text[n] = '\0';
	filter = strtoul(text, NULL, 16);
	if (filter & MAPPED_PRIVATE)
		return 0;
	n = snprintf(text, sizeof(text), "0x%lx", filter | MAPPED_PRIVATE);
	return pwrite(fd, text, (size_t)n, 0) < 0 ? -errno : 0;
}
