/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This process's own rights, and descriptors of other processes. 0 (or an fd) or -errno. */
#ifndef PSHARE_SYS_PROCESS_H
#define PSHARE_SYS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The number of this process. */
pid_t sys_self_pid(void);
int sys_pidfd_open(pid_t pid);

/* No core dump, no ptrace and no /proc/PID/mem by others of this user. */
int sys_set_undumpable(void);
/* This process is that user from now on, with that group and no other, for good. */
int sys_become(uid_t uid, gid_t gid);
/* No exec from here on can gain rights. */
int sys_set_no_new_privs(void);
/* Signals that are to do nothing. */
void sys_ignore_signal(int number);
/* Does this process ignore it, because whoever started it does (nohup)? */
bool sys_signal_ignored(int number);
/* Raises the soft limit of the size of files to the hard one. */
int sys_raise_fsize(void);
/* Raises the soft limit of open files to the hard one; *limit (may be NULL): what it is now. */
int sys_raise_nofile(unsigned long *limit);

/* fork(): the child's number, 0 in the child. Only for processes of one thread. */
int sys_fork(void);
_Noreturn void sys_exit_child(int status);
/* No more memory of its own than that (RLIMIT_DATA). */
int sys_limit_data(unsigned long bytes);
/* Closes all descriptors but standard input, output and error, and those of the n kept. */
void sys_close_others(const int *kept, unsigned int n);

/* Starts a process ("pshared-keeper") that keeps a program running for as long as this one lives:
 * started anew, a second later, whenever it ends with another status than 0. The program gets fd as
 * as_fd (fd is closed here), standard input from /dev/null, output and errors of this process, no
 * other descriptor, and an empty environment. Only for processes of one thread. *pid: of the one
 * that keeps. */
int sys_keep_running(const char *path, const char *const argv[], int fd, int as_fd, pid_t *pid);

#endif
