/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/thread.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "sys/inject.h"

int sys_thread_start(pthread_t *thread, void *(*run)(void *), void *arg, const char *name,
		     size_t stack_bytes)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int err;

	SYS_INJECT();
	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	pthread_attr_setstacksize(&attr, stack_bytes);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(thread, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (!err)
		pthread_setname_np(*thread, name);
	return -err;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	if (clock_gettime(id, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t sys_thread_cpu_ns(pthread_t thread)
{
	clockid_t id;

	return pthread_getcpuclockid(thread, &id) ? 0 : clock_ns(id);
}

void sys_yield(void)
{
	sched_yield();
}

void sys_stderr(const char *text, size_t len)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	struct iovec v = {(void *)text, len};
	ssize_t r = pwritev2(STDERR_FILENO, &v, 1, -1, RWF_NOWAIT);

	/* Terminals and some files know no RWF_NOWAIT. */
	if (r < 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT))
		r = write(STDERR_FILENO, text, len);
	(void)r;
}
