/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open files that stay open whatever the process closes. */
#ifndef PSHARE_SYS_HOLD_H
#define PSHARE_SYS_HOLD_H

/* Starts a thread that has a table of descriptors of its own, with fds[0..n) in it and nothing
 * else, and that waits. When this returns 0 it holds them: a process that closes one loses the
 * number, and the file behind it lives on until the process, or the hold, ends. Once at a time.
 * -errno: nothing is held. -EPERM: a seccomp filter or a debugger rules the process
 * (sys_child_forbidden()); nothing was tried. */
int sys_hold(const int *fds, unsigned int n);
/* Lets them go, if they are held. */
void sys_hold_end(void);

#endif
