/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/thread.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"

static void lose_stderr(void)
{
	int fds[2];

	if (pipe(fds) || dup2(fds[1], STDERR_FILENO) < 0)
		_exit(3);
	close(fds[0]);
	close(fds[1]);
}

static int status_of(void (*run)(void))
{
	int status = -1;
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		lose_stderr();
		run();
	}
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

static void say_to_nobody(void)
{
	sys_stderr("lost\n", 5);
	_exit(0);
}

static void say_with_one_pending(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGPIPE);
	sys_stderr("lost\n", 5);
	sigemptyset(&set);
	sigpending(&set);
	_exit(sigismember(&set, SIGPIPE) == 1 ? 0 : 1);
}

TEST("a message that nobody reads ends nobody")
{
	CHECK_EQ(status_of(say_to_nobody), 0);
}

TEST("a SIGPIPE of the process's own stays pending")
{
	CHECK_EQ(status_of(say_with_one_pending), 0);
}
