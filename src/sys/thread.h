/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads of our own in a process that is not ours, and their clocks. */
#ifndef PSHARE_SYS_THREAD_H
#define PSHARE_SYS_THREAD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* A detached thread with all signals blocked: the process's handlers never run in it. 0 or
 * -errno. */
int sys_thread_start(pthread_t *thread, void *(*run)(void *), void *arg, const char *name,
		     size_t stack_bytes);
/* CPU time of a thread of this process, ns; 0 if it cannot be told. */
uint64_t sys_thread_cpu_ns(pthread_t thread);
/* Asks for a short time slice for the calling thread (Linux 6.12; before, nothing happens): when it
 * wakes up, a thread that runs on its CPU gives way at once, not at the end of a slice of its own.
 * Its part of the CPU stays what it was. Where a seccomp filter is, which may end the process for
 * such a call, nothing is asked. */
void sys_thread_hasten(void);
/* Lets others run. */
void sys_yield(void);
/* Text to stderr with one write(2): no stdio, no allocation, and no wait. Where stderr takes
 * nothing at the moment (a full pipe that nobody reads), the text is lost. */
void sys_stderr(const char *text, size_t len);

#endif
