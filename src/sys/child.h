/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A child that is a copy of this process's memory and does nothing but wait: while it lives, the
 * kernel shows which anonymous pages it could not share with it, and those are the pinned ones.
 */
#ifndef PSHARE_SYS_CHILD_H
#define PSHARE_SYS_CHILD_H

#include <stdbool.h>

struct sys_child {
	int pid;
	int release; /* eventfd */
};

/* Does a seccomp filter rule the calling thread, or a debugger trace it? Then no child may be made:
 * a filter may end the process for it, and a debugger would follow it. What cannot be read counts
 * as yes. */
bool sys_child_forbidden(void);
/* Has the host swap space with room in it? */
bool sys_has_swap(void);
/* A raw clone(): no handlers of fork run, no SIGCHLD comes, no wait() of the process's own sees it
 * (only one with __WALL does). It shares descriptors, and ends by itself after a second. 0 or
 * -errno. */
int sys_child_start(struct sys_child *child);
/* Lets it end, and waits for that. */
void sys_child_end(struct sys_child *child);

#endif
