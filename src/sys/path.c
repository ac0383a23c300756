/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/file.h"
#include "sys/inject.h"

int sys_read_fd(int fd, size_t max, char **text, size_t *length)
{
	_cleanup_free_ char *buf = NULL;
	size_t len = 0;

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
	*length = len;
	return 0;
}

static int read_up_to(const char *path, size_t max, char **text, size_t *length)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : sys_read_fd(fd, max, text, length);
}

int sys_read_text(const char *path, size_t max, char **text)
{
	size_t length;

	SYS_INJECT();
	return read_up_to(path, max, text, &length);
}

int sys_read_bytes(const char *path, size_t max, char **bytes, size_t *length)
{
	struct sys_file file;

	return sys_read_bytes_of(path, max, bytes, length, &file);
}

int sys_read_bytes_of(const char *path, size_t max, char **bytes, size_t *length,
		      struct sys_file *file)
{
	_cleanup_free_ char *read = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	size_t len;
	int r;

	SYS_INJECT();
	/* a pipe may be anywhere, and who opens it waits for somebody to write */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EMEDIUMTYPE;
	r = sys_file_of(fd, file);
	if (r == 0)
		r = sys_read_fd(fd, max + 1, &read, &len);
	if (r < 0)
		return r;
	if (len > max)
		return -EFBIG;
	*bytes = TAKE_PTR(read);
	*length = len;
	return 0;
}

static bool fits(const char *name, const char *begin, const char *end)
{
	size_t n = strlen(name), b = strlen(begin), e = strlen(end);

	return n >= b + e && !strncmp(name, begin, b) && !strcmp(name + n - e, end);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int sys_folder_names(const char *path, const char *begin, const char *end, char ***names)
{
	const size_t head = SYS_NAMES_MAX * sizeof(char *);
	_cleanup_closedir_ DIR *folder = NULL;
	_cleanup_free_ char **list = NULL;
	const struct dirent *entry;
	int n = 0;

	SYS_INJECT();
	folder = opendir(path);
	if (!folder)
		return -errno;
	list = malloc(head + (size_t)SYS_NAMES_MAX * sizeof(entry->d_name));
	if (!list)
		return -ENOMEM;
	while (errno = 0, (entry = readdir(folder))) {
		if (!fits(entry->d_name, begin, end))
			continue;
		if (n == SYS_NAMES_MAX)
			return -E2BIG;
		list[n] = (char *)list + head + (size_t)n * sizeof(entry->d_name);
		memcpy(list[n++], entry->d_name, strlen(entry->d_name) + 1);
	}
	if (errno)
		return -errno;
	qsort(list, (size_t)n, sizeof(*list), by_bytes);
	*names = TAKE_PTR(list);
	return n;
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

int sys_make_folders(const char *path, unsigned int mode)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	SYS_INJECT();
	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i])
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		/* what cannot be made may be there all the same: the last one tells */
		if (mkdir(part, (mode_t)(i == n ? mode : 0755)) < 0 && errno != EEXIST && i == n)
			return -errno;
	}
	return 0;
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

int sys_give(const char *path, uid_t uid, gid_t gid)
{
	SYS_INJECT();
	return lchown(path, uid, gid) < 0 ? -errno : 0;
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

/* Decimal digits and nothing else. */
static bool is_number(const char *text, uint32_t *number)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || n >= UINT32_MAX)
		return false;
	*number = (uint32_t)n;
	return true;
}

int sys_group_in_file(const char *name, uint32_t *gid)
{
	_cleanup_fclose_ FILE *file = NULL;
	const struct group *group;

	SYS_INJECT();
	if (is_number(name, gid))
		return 0;
	file = fopen("/etc/group", "re");
	if (!file)
		return -errno;
	while ((group = fgetgrent(file))) {
		if (strcmp(group->gr_name, name) == 0) {
			*gid = group->gr_gid;
			return 0;
		}
	}
	return -ENOENT;
}

int sys_user_id(const char *name, uint32_t *uid)
{
	uint32_t gid;

	SYS_INJECT();
	return sys_user_ids(name, uid, &gid);
}

int sys_user_ids(const char *name, uint32_t *uid, uint32_t *gid)
{
	_cleanup_fclose_ FILE *file = NULL;
	const struct passwd *user;

	file = fopen("/etc/passwd", "re");
	if (!file)
		return -errno;
	while ((user = fgetpwent(file))) {
		if (strcmp(user->pw_name, name) == 0) {
			*uid = user->pw_uid;
			*gid = user->pw_gid;
			return 0;
		}
	}
	return -ENOENT;
}
