/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking at another process, and at this one's limits, without stopping anybody. */
#ifndef PSHARE_SYS_LOOK_H
#define PSHARE_SYS_LOOK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Calls each() for every line of a file, without its newline, until it returns non-zero, which is
 * returned. 0 or -errno else. */
int sys_each_line(const char *path, int (*each)(const char *line, void *arg), void *arg);

/* The same for a file of words that end with a NUL: cmdline, environ. */
int sys_each_word(const char *path, int (*each)(const char *word, void *arg), void *arg);

/* Two paths are one file or folder where both numbers are equal. */
int sys_path_identity(const char *path, uint64_t *device, uint64_t *inode);

/* Major number of a device in the upper, minor in the lower 32 bits; -ENOTTY: it is none. */
int sys_device_number(const char *path, uint64_t *number);

/* Calls each() with what every descriptor of a process is ("/dev/vfio/12", "socket:[1]"). */
int sys_each_fd(pid_t pid, int (*each)(const char *target, void *arg), void *arg);

/* Calls each() with every process of the host that is in /proc. */
int sys_each_process(int (*each)(pid_t pid, void *arg), void *arg);
/* Calls each() with every word of a process's command line. */
int sys_each_argument(pid_t pid, int (*each)(const char *word, void *arg), void *arg);
/* The value that a variable had when the process began its program; -ENOENT: it had none. */
int sys_process_variable(pid_t pid, const char *name, char *value, size_t size);
/* The user of a process. */
int sys_process_uid(pid_t pid, uid_t *uid);
/* The name of a user, or its number where it has none. */
void sys_user_name(uid_t uid, char *name, size_t size);

/* The soft limit on locked memory, bytes; UINT64_MAX: none. */
int sys_memlock_limit(uint64_t *bytes);

#endif
