/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "sys/inject.h"

#define NS_PER_S 1000000000ull

int sys_stream_receive(int sock, void *buf, size_t len, size_t *got)
{
	ssize_t n;

	SYS_INJECT();
	do
		n = recv(sock, buf, len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*got = (size_t)n;
	return 0;
}

int sys_stream_send(int sock, const void *buf, size_t len, int pass, size_t *sent)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	SYS_INJECT();
	if (pass >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass, sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*sent = (size_t)n;
	return 0;
}

int sys_stream_wait(int sock, bool writing, uint64_t ns)
{
	struct timespec timeout = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
	struct pollfd p = {.fd = sock, .events = writing ? POLLOUT : POLLIN};
	int n;

	SYS_INJECT();
	n = ppoll(&p, 1, &timeout, NULL);
	if (n < 0 && errno != EINTR)
		return -errno;
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -EAGAIN;
}

int sys_message_pair(int pair[2])
{
	SYS_INJECT();
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ?
		       -errno :
		       0;
}
