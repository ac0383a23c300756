/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run: input and outputs are memfds, so neither side can wait for the other: there is no pipe to
 * fill, and nothing to poll. What is passed may be a secret (a domain's XML has passwords), and no
 * file system sees it.
 */
#include "sys/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/memfd.h"

static int input_fd(const char *text)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!text) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return fd < 0 ? -errno : TAKE_FD(fd);
	}
	fd = sys_memfd_new("input", strlen(text));
	if (fd < 0)
		return fd;
	r = sys_pwrite_full(fd, text, strlen(text), 0);
	return r ? r : TAKE_FD(fd);
}

static void become(const char *path, const char *const argv[], int in, int out, int err)
{
	sigset_t none;

	sigemptyset(&none);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(err, STDERR_FILENO) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(127);
	(void)close_range(STDERR_FILENO + 1, ~0u, 0);
	execv(path, (char *const *)(uintptr_t)argv); /* which execv does not write to */
	_exit(127);
}

static int wait_for(pid_t pid, int *status)
{
	int raw;

	while (waitpid(pid, &raw, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	*status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
	return 0;
}

static int take_output(int fd, struct sys_run *run)
{
	_cleanup_free_ char *text = NULL;
	uint64_t size = 0;
	int r = sys_file_size(fd, &size, NULL, NULL);

	if (!r && size > run->max)
		r = -EFBIG;
	if (r)
		return r;
	text = malloc((size_t)size + 1);
	if (!text)
		return -ENOMEM;
	r = sys_pread_full(fd, text, (size_t)size, 0);
	if (r)
		return r;
	text[size] = '\0';
	run->output = TAKE_PTR(text);
	return 0;
}

static int take_errors(int fd, struct sys_run *run)
{
	uint64_t size = 0, room = sizeof(run->errors) - 1, from;
	int r = sys_file_size(fd, &size, NULL, NULL);

	if (r)
		return r;
	from = size > room ? size - room : 0;
	run->errors[size - from] = '\0';
	return sys_pread_full(fd, run->errors, (size_t)(size - from), from);
}

int sys_run(const char *path, const char *const argv[], struct sys_run *run)
{
	_cleanup_close_ int in = input_fd(run->input);
	_cleanup_close_ int out = sys_memfd_new("output", 0);
	_cleanup_close_ int err = sys_memfd_new("errors", 0);
	pid_t pid;
	int r;

	SYS_INJECT();
	if (in < 0 || out < 0 || err < 0)
		return in < 0 ? in : out < 0 ? out : err;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(path, argv, in, out, err);
	r = wait_for(pid, &run->status);
	if (!r)
		r = take_errors(err, run);
	return r ? r : take_output(out, run);
}
