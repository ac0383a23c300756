/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The C library's own functions behind those that the agent interposes and cannot make of one
 * system call: they look after libc's state, and the child's stack.
 */
#ifndef PSHARE_SYS_LIBC_H
#define PSHARE_SYS_LIBC_H

#include <sys/types.h>

struct libc_clone_rest {
	void *parent_tid, *tls, *child_tid;
};

/* _Fork(). A pid, or -1 with errno, ENOSYS where libc has none. */
pid_t libc_fork(void);
/* clone(). The same. */
int libc_clone(int (*fn)(void *), void *stack, int flags, void *arg,
	       const struct libc_clone_rest *rest);

#endif
