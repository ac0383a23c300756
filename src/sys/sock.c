/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/uapi.h"

#define LISTEN_BACKLOG 128

static int address_of(const char *path, struct sockaddr_un *addr, socklen_t *len)
{
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(addr->sun_path))
		return -ENAMETOOLONG;
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(addr->sun_path, path, n);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	if (path[0] == '@') {
		addr->sun_path[0] = '\0';
		(*len)--;
	}
	return 0;
}

static int socket_new(enum sys_sock_kind kind)
{
	int type = kind == SYS_SOCK_SEQPACKET ? SOCK_SEQPACKET : SOCK_STREAM;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

int sys_unix_listen(const char *path, enum sys_sock_kind kind, unsigned int mode)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;
	socklen_t len;
	mode_t mask;
	int r;

	SYS_INJECT();
	r = address_of(path, &addr, &len);
	if (r < 0)
		return r;
	fd = socket_new(kind);
	if (fd < 0)
		return fd;
	mask = umask(0777 & ~(mode_t)mode);
	r = bind(fd, (struct sockaddr *)&addr, len) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0)
		return r;
	if (listen(fd, LISTEN_BACKLOG) < 0) {
		r = -errno;
		unlink(path);
		return r;
	}
	return TAKE_FD(fd);
}

int sys_loopback_listen(bool six, const uint8_t four[4], uint16_t port, uint16_t *bound)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address = {.any = {.sa_family = six ? AF_INET6 : AF_INET}};
	socklen_t len = six ? sizeof(address.in6) : sizeof(address.in);
	_cleanup_close_ int fd = -1;
	int one = 1;

	SYS_INJECT();
	if (six) {
		address.in6.sin6_addr = in6addr_loopback;
		address.in6.sin6_port = htons(port);
	} else {
		memcpy(&address.in.sin_addr, four, 4);
		address.in.sin_port = htons(port);
	}
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, &address.any, len) || listen(fd, LISTEN_BACKLOG) ||
	    getsockname(fd, &address.any, &len))
		return -errno;
	*bound = ntohs(six ? address.in6.sin6_port : address.in.sin_port);
	return TAKE_FD(fd);
}

int sys_unix_accept(int listener)
{
	int fd;

	SYS_INJECT();
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int sys_unix_connect(const char *path, enum sys_sock_kind kind)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;
	socklen_t len;
	int r;

	SYS_INJECT();
	r = address_of(path, &addr, &len);
	if (r < 0)
		return r;
	fd = socket_new(kind);
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&addr, len) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int sys_send_fds(int sock, const void *buf, size_t len, const int *fds, unsigned int nfds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(SYS_FDS_MAX * sizeof(int))] = {0};
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	SYS_INJECT();
	if (nfds > SYS_FDS_MAX)
		return -EMSGSIZE;
	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/* Takes every descriptor out of a received message; false if they were more than SYS_FDS_MAX. */
static bool collect_fds(struct msghdr *msg, int fds[SYS_FDS_MAX], unsigned int *nfds)
{
	bool fits = true;

	*nfds = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*nfds < SYS_FDS_MAX) {
				fds[(*nfds)++] = fd;
			} else {
				close(fd);
				fits = false;
			}
		}
	}
	return fits;
}

int sys_recv_fds(int sock, void *buf, size_t len, size_t *got, int fds[SYS_FDS_MAX],
		 unsigned int *nfds)
{
	/* one more than we take: so a message with too many is seen, not cut in silence */
	_Alignas(struct cmsghdr) char control[CMSG_SPACE((SYS_FDS_MAX + 1) * sizeof(int))];
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int taken[SYS_FDS_MAX];
	unsigned int count;
	bool fits;
	ssize_t n;

	SYS_INJECT();
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	fits = collect_fds(&msg, taken, &count);
	if (!fits || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (count > 0)
			close(taken[--count]);
		return -EMSGSIZE;
	}
	memcpy(fds, taken, count * sizeof(int));
	*nfds = count;
	*got = (size_t)n;
	return 0;
}

int sys_peer_cred(int sock, pid_t *pid, uid_t *uid, gid_t *gid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	SYS_INJECT();
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*pid = cred.pid;
	*uid = cred.uid;
	*gid = cred.gid;
	return 0;
}

int sys_peer_groups(int sock, uint32_t gids[SYS_PEER_GROUPS_MAX])
{
	gid_t found[SYS_PEER_GROUPS_MAX];
	socklen_t len = sizeof(found);

	SYS_INJECT();
	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, found, &len) < 0)
		return -errno;
	for (unsigned int i = 0; i < len / sizeof(found[0]); i++)
		gids[i] = found[i];
	return (int)(len / sizeof(found[0]));
}

int sys_peer_pidfd(int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd;

	SYS_INJECT();
	len = sizeof(fd);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) == 0)
		return fd;
	if (errno != ENOPROTOOPT)
		return -errno;
	len = sizeof(cred);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	fd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	return fd < 0 ? -errno : fd;
}

int sys_unix_send_datagram(const char *path, const void *buf, size_t len, bool wait)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;
	socklen_t addr_len;
	int r;

	SYS_INJECT();
	r = address_of(path, &addr, &addr_len);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, buf, len, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT), (struct sockaddr *)&addr,
		   addr_len) < 0)
		return -errno;
	return 0;
}
