/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

#define PAGE_BYTES 4096u
#define PIPE_PAGES 16u /* of a new pipe, where its size cannot be asked */

int sys_keep_open(int pipe[2], uint32_t pages, uint32_t *room)
{
	int size;

	SYS_INJECT();
	if (pipe2(pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	fcntl(pipe[1], F_SETPIPE_SZ, (int)(pages * PAGE_BYTES));
	size = fcntl(pipe[1], F_GETPIPE_SZ);
	*room = size < 0 ? PIPE_PAGES : (uint32_t)size / PAGE_BYTES;
	return 0;
}

void sys_keep_close(int pipe[2])
{
	close_fd(&pipe[0]);
	close_fd(&pipe[1]);
}

long sys_keep(int pipe[2], const void *addr, uint32_t n)
{
	struct iovec v = {(void *)addr, (size_t)n * PAGE_BYTES};
	ssize_t r;

	SYS_INJECT();
	r = vmsplice(pipe[1], &v, 1, SPLICE_F_NONBLOCK);
	return r < 0 ? -errno : (long)((size_t)r / PAGE_BYTES);
}

int sys_kept(int pipe[2], void *content)
{
	ssize_t r = read(pipe[0], content, PAGE_BYTES);

	if (r < 0)
		return -errno;
	return r == (ssize_t)PAGE_BYTES ? 0 : -EIO;
}
