/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of an administrator that are edited: whole, or not at all. 0 or -errno. */
#ifndef PSHARE_SYS_FILE_H
#define PSHARE_SYS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sys_file {
	uid_t uid;
	gid_t gid;
	unsigned int mode; /* permission bits */
	int64_t changed;   /* content, ns of the wall clock */
};

int sys_file_look(const char *path, struct sys_file *file);
/* The same of an open file. */
int sys_file_of(int fd, struct sys_file *file);
/* A symbolic link, wherever it leads. */
bool sys_file_is_link(const char *path);

/* A new content for a file, in one step (rename): who reads meanwhile sees the old or the new one.
 * Owner and mode are those of the file that is there, else those of fresh. A link is
 * followed. -EINVAL: what is there is no regular file. */
int sys_file_replace(const char *path, const void *bytes, size_t length,
		     const struct sys_file *fresh);

int sys_file_remove(const char *path);
/* Another name for a file, or for a link itself; -EEXIST: something has that name. */
int sys_file_link(const char *path, const char *also);
/* A new name for a file or link, in one step, in the place of what may have it. */
int sys_file_rename(const char *path, const char *to);
/* An empty folder; one that is not, or is not there, is left alone: 0. */
int sys_folder_remove(const char *path);

#endif
