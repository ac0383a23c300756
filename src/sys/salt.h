/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A salt that a parent handed over as a descriptor: see sys/saltfile.h for where it was made. */
#ifndef PSHARE_SYS_SALT_H
#define PSHARE_SYS_SALT_H

#define SYS_SALT_NAME "pshare-salt" /* of the memfd: "/memfd:pshare-salt" in /proc/PID/fd */

/* An inherited, sealed memfd: a duplicate of it that no child inherits; the original is marked so
 * too. Returns the fd; -EINVAL: no sealed memfd. */
int sys_salt_inherit(int fd);

#endif
