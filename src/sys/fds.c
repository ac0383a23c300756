/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/fds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/shortfile.h"

#define ENTRIES_BYTES 4096
#define NAME_BYTES 64

/* What getdents64() fills in. */
struct entry {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

static int read_info(struct sys_fd *d)
{
	char path[NAME_BYTES];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", d->fd);
	n = sys_read_short(path, d->info, sizeof(d->info));
	return n < 0 ? (int)n : 0;
}

static int describe(struct sys_fd *d)
{
	char path[NAME_BYTES];
	socklen_t len = sizeof(d->family);
	struct stat st;
	struct statfs fs;
	ssize_t n;
	int flags;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", d->fd);
	n = readlink(path, d->link, sizeof(d->link) - 1);
	flags = fcntl(d->fd, F_GETFL);
	if (n < 0 || flags < 0 || fstat(d->fd, &st) < 0)
		return -errno;
	d->link[n] = '\0';
	d->direct = flags & O_DIRECT;
	d->is_char = S_ISCHR(st.st_mode);
	d->filesystem = fstatfs(d->fd, &fs) ? 0 : (uint64_t)fs.f_type;
	if (!S_ISSOCK(st.st_mode) || getsockopt(d->fd, SOL_SOCKET, SO_DOMAIN, &d->family, &len) < 0)
		d->family = -1;
	return read_info(d);
}

/* The folder's entries that one getdents64() gave. 1: go on; 0: see() has seen enough. */
static int each_entry(const char *entries, long bytes, int folder,
		      bool (*see)(const struct sys_fd *, void *), void *arg)
{
	for (long at = 0; at < bytes;) {
		const struct entry *e = (const void *)(entries + at);
		struct sys_fd d = {.fd = -1};
		int err;

		at += e->length;
		if (e->name[0] == '.')
			continue;
		d.fd = atoi(e->name);
		if (d.fd == folder)
			continue;
		err = describe(&d);
		if (err == -EBADF || err == -ENOENT)
			continue; /* closed this moment */
		if (err)
			return err;
		if (!see(&d, arg))
			return 0;
	}
	return 1;
}

int sys_fds_each(bool (*see)(const struct sys_fd *d, void *arg), void *arg)
{
	_Alignas(8) char entries[ENTRIES_BYTES];
	_cleanup_close_ int folder = -1;
	int r = 1;

	SYS_INJECT();
	folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	while (r > 0) {
		long n = syscall(SYS_getdents64, folder, entries, sizeof(entries));

		if (n <= 0)
			return n < 0 ? -errno : 0;
		r = each_entry(entries, n, folder, see, arg);
	}
	return r;
}
