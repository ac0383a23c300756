/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

int sys_read_text(const char *path, size_t max, char **text)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *buf = NULL;
	size_t len = 0;

	SYS_INJECT();
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	buf = malloc(max + 1);
	if (!buf)
		return -ENOMEM;
	while (len < max) {
		ssize_t n = read(fd, buf + len, max - len);

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

int sys_make_folder(const char *path, unsigned int mode)
{
	struct stat st;

	SYS_INJECT();
	if (mkdir(path, (mode_t)mode) == 0)
		return chmod(path, (mode_t)mode) < 0 ? -errno : 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int sys_lock_file(const char *path)
{
	_cleanup_close_ int fd = -1;

	SYS_INJECT();
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int sys_remove_socket(const char *path)
{
	struct stat st;

	SYS_INJECT();
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int sys_set_owner(const char *path, gid_t group, unsigned int mode)
{
	SYS_INJECT();
	if (group != (gid_t)-1 && chown(path, (uid_t)-1, group) < 0)
		return -errno;
	return chmod(path, (mode_t)mode) < 0 ? -errno : 0;
}

int sys_group_id(const char *name, gid_t *gid)
{
	struct group *group;

	SYS_INJECT();
	errno = 0;
	group = getgrnam(name);
	if (!group)
		return errno ? -errno : -ENOENT;
	*gid = group->gr_gid;
	return 0;
}

int sys_user_id(const char *name, uint32_t *uid)
{
	_cleanup_fclose_ FILE *file = NULL;
	const struct passwd *user;

	SYS_INJECT();
	file = fopen("/etc/passwd", "re");
	if (!file)
		return -errno;
	while ((user = fgetpwent(file))) {
		if (strcmp(user->pw_name, name) == 0) {
			*uid = user->pw_uid;
			return 0;
		}
	}
	return -ENOENT;
}
