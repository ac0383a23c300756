/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/child.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/shortfile.h"
#include "sys/unsafe.h"

#define STATUS_BYTES 4096
#define LIVES_MS 1000

/* The number of a "Name:\tN" line; -1: it is not there. */
static long line_number(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

bool sys_child_forbidden(void)
{
	char text[STATUS_BYTES];

	if (ps_without(DEFENCE_FORK_ALLOWED))
		return false;
	if (sys_read_short("/proc/thread-self/status", text, sizeof(text)) <= 0)
		return true;
	return line_number(text, "\nSeccomp:") != 0 || line_number(text, "\nTracerPid:") != 0;
}

bool sys_has_swap(void)
{
	struct sysinfo info;

	return sysinfo(&info) == 0 && info.freeswap > 0;
}

/* The child: system calls only, nothing of libc that could hold a lock. */
static _Noreturn void wait_and_end(int release)
{
	struct pollfd p = {.fd = release, .events = POLLIN};
	struct timespec t = {.tv_sec = LIVES_MS / 1000};

	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	syscall(SYS_ppoll, &p, 1, &t, NULL, 0);
	for (;;)
		syscall(SYS_exit_group, 0);
}

int sys_child_start(struct sys_child *child)
{
	struct sys_child c = {.release = -1};
	long pid;

	SYS_INJECT();
	c.release = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c.release < 0)
		return -errno;
	pid = syscall(SYS_clone, CLONE_FILES | CLONE_FS, 0, 0, 0, 0);
	if (pid == 0)
		wait_and_end(c.release);
	if (pid < 0) {
		int err = -errno;

		close_fd(&c.release);
		return err;
	}
	c.pid = (int)pid;
	*child = c;
	return 0;
}

void sys_child_end(struct sys_child *child)
{
	uint64_t one = 1;
	ssize_t ignored = write(child->release, &one, sizeof(one));

	(void)ignored;
	while (waitpid(child->pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	close_fd(&child->release);
}
