/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/events.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "sys/inject.h"

#define NSEC_PER_SEC 1000000000ull

int sys_epoll_new(void)
{
	int fd;

	SYS_INJECT();
	fd = epoll_create1(EPOLL_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int epoll_control(int epoll, int op, int fd, uint32_t events, void *owner)
{
	struct epoll_event event = {.events = events, .data.ptr = owner};

	return epoll_ctl(epoll, op, fd, &event) < 0 ? -errno : 0;
}

int sys_epoll_add(int epoll, int fd, uint32_t events, void *owner)
{
	SYS_INJECT();
	return epoll_control(epoll, EPOLL_CTL_ADD, fd, events, owner);
}

int sys_epoll_change(int epoll, int fd, uint32_t events, void *owner)
{
	SYS_INJECT();
	return epoll_control(epoll, EPOLL_CTL_MOD, fd, events, owner);
}

int sys_epoll_del(int epoll, int fd)
{
	return epoll_control(epoll, EPOLL_CTL_DEL, fd, 0, NULL);
}

int sys_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms)
{
	int n;

	SYS_INJECT();
	n = epoll_wait(epoll, events, max, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n;
}

int sys_eventfd_new(void)
{
	int fd;

	SYS_INJECT();
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int sys_eventfd_ring(int fd)
{
	uint64_t one = 1;

	SYS_INJECT();
	if (write(fd, &one, sizeof(one)) == sizeof(one))
		return 0;
	return errno == EAGAIN ? 0 : -errno;
}

/* Reads a counter of 8 bytes; nothing there is no error. */
static int counter_read(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	return 0;
}

int sys_eventfd_clear(int fd)
{
	SYS_INJECT();
	return counter_read(fd);
}

int sys_timerfd_new(void)
{
	int fd;

	SYS_INJECT();
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / NSEC_PER_SEC),
		.tv_nsec = (long)(ns % NSEC_PER_SEC),
	};
}

int sys_timerfd_set(int fd, uint64_t first_ns, uint64_t period_ns)
{
	struct itimerspec spec = {
		.it_value = timespec_of(first_ns),
		.it_interval = timespec_of(period_ns),
	};

	SYS_INJECT();
	return timerfd_settime(fd, 0, &spec, NULL) < 0 ? -errno : 0;
}

int sys_timerfd_clear(int fd)
{
	SYS_INJECT();
	return counter_read(fd);
}

int sys_signalfd_new(const int *signals, unsigned int count)
{
	sigset_t set;
	int fd;

	SYS_INJECT();
	sigemptyset(&set);
	for (unsigned int i = 0; i < count; i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

void sys_signalfd_end(int fd, const int *signals, unsigned int count)
{
	sigset_t set;

	if (fd < 0)
		return;
	close(fd);
	sigemptyset(&set);
	for (unsigned int i = 0; i < count; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int sys_signalfd_read(int fd, struct sys_signal *signal)
{
	struct signalfd_siginfo info;

	SYS_INJECT();
	*signal = (struct sys_signal){0};
	if (read(fd, &info, sizeof(info)) == sizeof(info)) {
		*signal =
			(struct sys_signal){(int)info.ssi_signo, (pid_t)info.ssi_pid, info.ssi_uid};
		return signal->number;
	}
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int sys_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	SYS_INJECT();
	if (poll(&p, 1, 0) < 0)
		return errno == EINTR ? 0 : -errno;
	return p.revents != 0;
}
