/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/loop.h"

#include "sys/cleanup.h"
#include "sys/events.h"

#define LOOP_BATCH 64

int loop_init(struct loop *loop)
{
	int fd = sys_epoll_new();

	if (fd < 0)
		return fd;
	loop->epoll = fd;
	return 0;
}

void loop_deinit(struct loop *loop)
{
	close_fd(&loop->epoll);
}

static uint32_t epoll_events(unsigned int events)
{
	return (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u);
}

int loop_watch(struct loop *loop, struct loop_source *source, enum loop_kind kind, int fd,
	       unsigned int events)
{
	int r = sys_epoll_add(loop->epoll, fd, epoll_events(events), source);

	if (r < 0)
		return r;
	source->kind = kind;
	source->fd = fd;
	return 0;
}

int loop_change(struct loop *loop, struct loop_source *source, unsigned int events)
{
	return sys_epoll_change(loop->epoll, source->fd, epoll_events(events), source);
}

void loop_unwatch(struct loop *loop, struct loop_source *source)
{
	if (source->fd < 0)
		return;
	(void)sys_epoll_del(loop->epoll, source->fd);
	source->fd = -1;
}

int loop_turn(struct loop *loop, int timeout_ms, loop_handler handle, void *arg)
{
	struct epoll_event batch[LOOP_BATCH];
	int n = sys_epoll_wait(loop->epoll, batch, LOOP_BATCH, timeout_ms);

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		struct loop_source *source = batch[i].data.ptr;
		uint32_t ev = batch[i].events;

		if (source->fd < 0)
			continue;
		handle(arg, source,
		       (ev & ~(uint32_t)EPOLLOUT ? LOOP_READ : 0u) |
			       (ev & EPOLLOUT ? LOOP_WRITE : 0u));
	}
	return 0;
}
