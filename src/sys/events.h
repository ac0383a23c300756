/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* epoll and the descriptors made to be waited for. All return 0 (or an fd, or a count) or -errno;
 * all descriptors are CLOEXEC and, where they are read, non-blocking. */
#ifndef PSHARE_SYS_EVENTS_H
#define PSHARE_SYS_EVENTS_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

int sys_epoll_new(void);
/* Watches fd, level triggered unless events has EPOLLET; owner comes back in data.ptr. */
int sys_epoll_add(int epoll, int fd, uint32_t events, void *owner);
int sys_epoll_change(int epoll, int fd, uint32_t events, void *owner);
/* Forgets fd. Needed before close() wherever a duplicate of fd may live elsewhere. */
int sys_epoll_del(int epoll, int fd);
/* Up to max events; timeout_ms < 0 waits for ever. EINTR is 0 events. */
int sys_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms);

int sys_eventfd_new(void);
/* Rings; a counter that is full is as good as rung. */
int sys_eventfd_ring(int fd);
/* Takes the count; 0 if it was not rung. */
int sys_eventfd_clear(int fd);

int sys_timerfd_new(void);
/* Fires first_ns from now, then every period_ns (0: once). first_ns 0 stops the timer. */
int sys_timerfd_set(int fd, uint64_t first_ns, uint64_t period_ns);
int sys_timerfd_clear(int fd);

/* Blocks the count signals of the whole process and returns a descriptor that delivers them. */
int sys_signalfd_new(const int *signals, unsigned int count);
/* Closes it (-1: there is none), and lets those signals through again: one that waits comes now. */
void sys_signalfd_end(int fd, const int *signals, unsigned int count);
struct sys_signal {
	int number; /* 0: none */
	pid_t pid;  /* who sent it; 0: the kernel */
	uid_t uid;
};
/* The next signal; its number, 0: none. */
int sys_signalfd_read(int fd, struct sys_signal *signal);

/* Is fd readable now? 1, 0 or -errno. For a pidfd: has the process ended? */
int sys_readable(int fd);

#endif
