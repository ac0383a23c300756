/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A salt that a parent handed over as a descriptor: see sys/saltfile.h for where it was made. */
#ifndef PSHARE_SYS_SALT_H
#define PSHARE_SYS_SALT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SYS_SALT_NAME "pshare-salt" /* of the memfd: "/memfd:pshare-salt" in /proc/PID/fd */

/* An inherited, sealed memfd: a duplicate of it that no child inherits; the original is marked so
 * too. Returns the fd; -EINVAL: no sealed memfd. */
int sys_salt_inherit(int fd);

/* Is the descriptor a salt's memfd, and the one with that inode? 0 or -errno. */
int sys_salt_check(int fd, uint64_t inode);
/* Is it to survive an exec? 0 or -errno. */
int sys_salt_heritable(int fd, bool heritable);
/* The inode of a salt's memfd, by which it is told from others. 0 or -errno. */
int sys_salt_inode(int fd, uint64_t *inode);
/* As sys_salt_inherit(), but of another process, which is left as it is: needs the right to trace
 * it. -ESTALE if that has another memfd there. */
int sys_salt_of(pid_t pid, int fd, uint64_t inode);

#endif
