/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files and folders by path. 0 or -errno. */
#ifndef PSHARE_SYS_PATH_H
#define PSHARE_SYS_PATH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The first max bytes of a file as a string, to be freed. NUL bytes in it end it early. */
int sys_read_text(const char *path, size_t max, char **text);

/* The same of what a descriptor still has to give, with its length. */
int sys_read_fd(int fd, size_t max, char **text, size_t *length);

/* The same with its length, NUL bytes and all. Never waits. A file that is longer is -EFBIG; what
 * is no plain file, a pipe say, -EMEDIUMTYPE, a folder -EISDIR. */
int sys_read_bytes(const char *path, size_t max, char **bytes, size_t *length);
/* The same, and whose the file is that was read, by its descriptor: a name may be another's when it
 * is looked at again. */
struct sys_file;
int sys_read_bytes_of(const char *path, size_t max, char **bytes, size_t *length,
		      struct sys_file *file);

/* The names in a folder that begin and end so, sorted by their bytes: *names is one allocation, to
 * be freed. Their number (at most SYS_NAMES_MAX, else -E2BIG) or -errno. */
#define SYS_NAMES_MAX 1024
int sys_folder_names(const char *path, const char *begin, const char *end, char ***names);

/* Makes the folder with this mode if it is not there; -ENOTDIR if something else is. Parents must
 * be there. */
int sys_make_folder(const char *path, unsigned int mode);

/* The same, and its parents too; a folder that is there keeps its mode. */
int sys_make_folders(const char *path, unsigned int mode);

/* Opens (making it if needed, mode 0600) and locks a file for this process's life.
 * Returns an fd; -EWOULDBLOCK: another process holds it. */
int sys_lock_file(const char *path);

/* Removes a socket that lies at path; nothing there is fine, anything but a socket is -EEXIST. */
int sys_remove_socket(const char *path);

/* A file or folder is this user's and group's from now on. */
int sys_give(const char *path, uid_t uid, gid_t gid);

/* Group of a file or socket by path; -1 leaves the group. Then mode. */
int sys_set_owner(const char *path, gid_t group, unsigned int mode);

/* The number of a group by its name; -ENOENT. */
int sys_group_id(const char *name, gid_t *gid);

/* The same for a name in /etc/group or a number: of /etc/group alone, as below. */
int sys_group_in_file(const char *name, uint32_t *gid);

/* The number of a user by his name in /etc/passwd; -ENOENT. No name service is asked, so it works
 * in a process that may not make connections or load libraries. */
int sys_user_id(const char *name, uint32_t *uid);
/* The same, with the group that he is in. */
int sys_user_ids(const char *name, uint32_t *uid, uint32_t *gid);

#endif
