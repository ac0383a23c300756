/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * O_TMPFILE where the file system has it; else a random name that is removed at once. A file system
 * in memory is refused: who writes pages there to save memory saves nothing.
 */
#include "sys/nameless.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

#define FILE_MODE 0600

static int make_and_remove(const char *folder)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/swap.XXXXXX", folder) >= PATH_MAX)
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	(void)unlink(path);
	return fd;
}

int sys_nameless_file(const char *folder)
{
	_cleanup_close_ int fd = -1;
	struct statfs fs;

	SYS_INJECT();
	fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		fd = make_and_remove(folder);
	else if (fd < 0)
		return -errno;
	if (fd < 0)
		return TAKE_FD(fd);
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
		return -EMEDIUMTYPE;
	return TAKE_FD(fd);
}
