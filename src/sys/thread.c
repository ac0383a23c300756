/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/thread.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "sys/child.h"
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

#define SLICE_NS 100000ull /* the least that the kernel takes */

/* As <linux/sched/types.h> has it, which cannot be included beside <sched.h>; its first version. */
struct sched_attr_0 {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/* Its policy and nice value stay what they are, whatever they are. */
void sys_thread_hasten(void)
{
	struct sched_attr_0 attr = {.size = sizeof(attr)};

	if (sys_child_forbidden() || syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) < 0)
		return;
	attr.runtime = SLICE_NS;
	if (attr.policy == SCHED_OTHER || attr.policy == SCHED_BATCH)
		(void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

void sys_yield(void)
{
	sched_yield();
}

static void write_to_stderr(const char *text, size_t len)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	struct iovec v = {(void *)text, len};
	ssize_t r = pwritev2(STDERR_FILENO, &v, 1, -1, RWF_NOWAIT);

	/* Terminals and some files know no RWF_NOWAIT. */
	if (r < 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT))
		r = write(STDERR_FILENO, text, len);
	(void)r;
}

/* Whoever read this process's messages may have gone. The signal of that is ours, not the
 * process's: it is taken, unless one was pending before. */
void sys_stderr(const char *text, size_t len)
{
	const struct timespec at_once = {0};
	sigset_t pipe, before, pending;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigemptyset(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	sigpending(&pending);
	write_to_stderr(text, len);
	if (!sigismember(&pending, SIGPIPE))
		(void)sigtimedwait(&pipe, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
