/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

static void describe(const struct stat *st, struct sys_file *file)
{
	*file = (struct sys_file){
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mode = st->st_mode & 07777,
		.changed = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
	};
}

int sys_file_look(const char *path, struct sys_file *file)
{
	struct stat st;

	SYS_INJECT();
	if (stat(path, &st) < 0)
		return -errno;
	describe(&st, file);
	return 0;
}

int sys_file_of(int fd, struct sys_file *file)
{
	struct stat st;

	SYS_INJECT();
	if (fstat(fd, &st) < 0)
		return -errno;
	describe(&st, file);
	return 0;
}

bool sys_file_is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static int fill(int fd, const void *bytes, size_t length, const struct sys_file *as)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = write(fd, (const char *)bytes + done, length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	if (fchown(fd, as->uid, as->gid) < 0 || fchmod(fd, (mode_t)as->mode) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int sys_file_replace(const char *path, const void *bytes, size_t length,
		     const struct sys_file *fresh)
{
	_cleanup_free_ char *real = NULL;
	_cleanup_close_ int fd = -1;
	char temporary[PATH_MAX];
	struct sys_file as = *fresh;
	struct stat st;
	int r;

	SYS_INJECT();
	real = realpath(path, NULL);
	if (!real && errno != ENOENT)
		return -errno;
	if (real && (stat(real, &st) < 0 || !S_ISREG(st.st_mode)))
		return -EINVAL; /* a device is no file to be replaced */
	r = real ? sys_file_look(real, &as) : 0;
	if (r)
		return r;
	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", real ? real : path) >= PATH_MAX)
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fill(fd, bytes, length, &as);
	if (!r && rename(temporary, real ? real : path) < 0)
		r = -errno;
	if (r)
		(void)unlink(temporary);
	return r;
}

int sys_file_remove(const char *path)
{
	SYS_INJECT();
	return unlink(path) < 0 ? -errno : 0;
}

int sys_file_link(const char *path, const char *also)
{
	SYS_INJECT();
	return linkat(AT_FDCWD, path, AT_FDCWD, also, 0) < 0 ? -errno : 0;
}

int sys_file_rename(const char *path, const char *to)
{
	SYS_INJECT();
	return rename(path, to) < 0 ? -errno : 0;
}

int sys_folder_remove(const char *path)
{
	SYS_INJECT();
	if (rmdir(path) < 0 && errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
		return -errno;
	return 0;
}
