/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup: a memory cgroup of a test's own, of either version. */
#ifndef PSHARE_TEST_CGROUP_H
#define PSHARE_TEST_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Makes one with that limit (bytes, as text) and writes its folder to dir; false if none can be
 * made here. */
bool t_cgroup_make(char *dir, size_t size, const char *limit);
/* Puts a process into it; false if that is not allowed. */
bool t_cgroup_enter(const char *dir, pid_t pid);
/* The same for the calling process; for t_daemon_start(), arg is the folder. */
void t_cgroup_enter_self(void *arg);

#endif
