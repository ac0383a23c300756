/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * secret: who may read a file is in its mode and in its access control list. The list is taken as
 * the kernel gives it, not by libacl: the agent reads salts too, in a VMM that has its own
 * libraries.
 *
 * In a list the bits of the mode that are the group's are a mask of all entries but the owner's and
 * others'; what the group itself may is an entry. An entry for root, for the owner or for the group
 * of the file gives nobody anything that the mode could not.
 *
 * Limits: other lists (NFSv4's) are not known; a folder that keeps users out is not looked at.
 */
#include "sys/secret.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

#define LIST "system.posix_acl_access"
#define ANYTHING 06u /* reading or writing */
#define DEPTH_MAX 8
#define TRIES 16

static void fd_path(char path[32], int fd)
{
	snprintf(path, 32, "/proc/self/fd/%d", fd);
}

/* Its length; 0: it has none. */
static ssize_t read_list(int fd, void *list, size_t room)
{
	ssize_t n = fgetxattr(fd, LIST, list, room);
	char path[32];

	if (n < 0 && errno == EBADF) { /* O_PATH */
		fd_path(path, fd);
		n = getxattr(path, LIST, list, room);
	}
	if (n >= 0 || errno == ENODATA || errno == EOPNOTSUPP)
		return n < 0 ? 0 : n;
	return errno == EPERM ? -EACCES : -errno; /* a filter's; EPERM says something else here */
}

static void judge_entry(const struct posix_acl_xattr_entry *entry, unsigned int mask,
			struct sys_secret_file *file)
{
	unsigned int bits = le16toh(entry->e_perm) & mask & ANYTHING;
	unsigned int tag = le16toh(entry->e_tag), id = le32toh(entry->e_id);

	if (tag == ACL_GROUP_OBJ)
		file->group |= bits;
	if (tag == ACL_GROUP && id == file->gid)
		file->group |= bits;
	if (!bits || !id || file->to != SYS_SECRET_KEPT)
		return;
	if (tag == ACL_USER && id != file->uid)
		file->to = SYS_SECRET_USER;
	else if (tag == ACL_GROUP && id != file->gid)
		file->to = SYS_SECRET_GROUP;
	else
		return;
	file->whom = id;
}

static int judge_list(int fd, struct sys_secret_file *file)
{
	_cleanup_free_ struct posix_acl_xattr_header *list = malloc(XATTR_SIZE_MAX);
	const struct posix_acl_xattr_entry *entries;
	unsigned int mask = ANYTHING;
	ssize_t n;
	size_t count;

	if (!list)
		return -ENOMEM;
	n = read_list(fd, list, XATTR_SIZE_MAX);
	if (n <= 0)
		return (int)n;
	if ((size_t)n < sizeof(*list) || le32toh(list->a_version) != POSIX_ACL_XATTR_VERSION)
		return -EBADMSG;
	entries = (const struct posix_acl_xattr_entry *)(list + 1);
	count = ((size_t)n - sizeof(*list)) / sizeof(*entries);
	for (size_t i = 0; i < count; i++)
		if (le16toh(entries[i].e_tag) == ACL_MASK)
			mask = le16toh(entries[i].e_perm);
	file->group = 0;
	for (size_t i = 0; i < count; i++)
		judge_entry(&entries[i], mask, file);
	return 0;
}

int sys_secret_of(int fd, struct sys_secret_file *file)
{
	struct sys_secret_file is;
	struct stat st;
	int r = 0;

	SYS_INJECT();
	if (fstat(fd, &st) < 0)
		return -errno;
	is = (struct sys_secret_file){
		.mode = st.st_mode & 07777,
		.group = st.st_mode >> 3 & ANYTHING,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.to = st.st_mode & ANYTHING ? SYS_SECRET_ALL : SYS_SECRET_KEPT,
		.plain = S_ISREG(st.st_mode),
		.bytes = (uint64_t)st.st_size,
		.device = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev),
		.inode = st.st_ino,
	};
	if (is.plain)
		r = judge_list(fd, &is);
	if (!r)
		*file = is;
	return r;
}

int sys_secret_look(const char *path, struct sys_secret_file *file)
{
	_cleanup_close_ int fd = sys_secret_find(path, 0);

	return fd < 0 ? fd : sys_secret_of(fd, file);
}

/* Links lead to what they are for the process; those of /proc, which lead anywhere, nowhere. */
static int find_in(int root, const char *path)
{
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	for (int i = 0; i < TRIES; i++) {
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN) /* somebody renamed something meanwhile */
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

int sys_secret_find(const char *path, pid_t of)
{
	_cleanup_close_ int root = -1;
	char name[32];
	int fd;

	SYS_INJECT();
	if (!of) {
		fd = open(path, O_PATH | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	snprintf(name, sizeof(name), "/proc/%d/root", (int)of);
	root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? -errno : find_in(root, path);
}

int sys_secret_open(int found, uint64_t most)
{
	_cleanup_close_ int fd = -1;
	struct stat st, opened;
	char path[32];

	SYS_INJECT();
	if (fstat(found, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return -EMEDIUMTYPE;
	if ((uint64_t)st.st_size > most)
		return -EFBIG;
	fd_path(path, found);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); /* nor for who has a lease */
	if (fd < 0 || fstat(fd, &opened) < 0)
		return -errno;
	if (opened.st_dev != st.st_dev || opened.st_ino != st.st_ino || !S_ISREG(opened.st_mode))
		return -ESTALE;
	return TAKE_FD(fd);
}

/* ---- folders -------------------------------------------------------------------------------- */

struct below {
	const char *ending;
	int (*each)(const char *path, void *arg);
	void *arg;
};

static int look_in(int folder_fd, const char *folder_path, const struct below *below, int depth);

static int look_below(int folder, const char *name, const char *path, const struct below *below,
		      int depth)
{
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || depth == DEPTH_MAX) {
		close_fd(&fd);
		return 0; /* no folder, or not ours to read */
	}
	return look_in(fd, path, below, depth);
}

/* Takes the descriptor. */
static int look_in(int folder_fd, const char *folder_path, const struct below *below, int depth)
{
	_cleanup_closedir_ DIR *folder = fdopendir(folder_fd);
	size_t end = strlen(below->ending);
	const struct dirent *entry;
	char path[PATH_MAX];
	int r = 0;

	if (!folder) {
		close_fd(&folder_fd);
		return -ENOMEM;
	}
	while (!r && (entry = readdir(folder))) {
		size_t n = strlen(entry->d_name);

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    snprintf(path, sizeof(path), "%s/%s", folder_path, entry->d_name) >=
			    (int)sizeof(path))
			continue;
		if (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)
			r = look_below(dirfd(folder), entry->d_name, path, below, depth + 1);
		if (!r && entry->d_type != DT_DIR && n >= end &&
		    strcmp(entry->d_name + n - end, below->ending) == 0)
			r = below->each(path, below->arg);
	}
	return r;
}

int sys_each_below(const char *folder, const char *ending, int (*each)(const char *path, void *arg),
		   void *arg)
{
	const struct below below = {ending, each, arg};
	int fd;

	SYS_INJECT();
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : look_in(fd, folder, &below, 0);
}
