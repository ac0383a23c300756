/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unix sockets: listeners in a folder, whole messages with descriptors, and who the peer is.
 * All return 0 (or an fd) or -errno; no call of theirs blocks, but for sys_unix_connect(). */
#ifndef PSHARE_SYS_SOCK_H
#define PSHARE_SYS_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SYS_PEER_GROUPS_MAX 256u
#define SYS_FDS_MAX 4u /* descriptors that one message of ours can carry */

enum sys_sock_kind { SYS_SOCK_STREAM, SYS_SOCK_SEQPACKET };

/* Binds and listens at path, which must not exist, with these permission bits from the first
 * moment on. The listener and what it accepts are non-blocking and CLOEXEC.
 * -ENAMETOOLONG: the path does not fit a socket address. */
int sys_unix_listen(const char *path, enum sys_sock_kind kind, unsigned int mode);

/* Binds and listens on a TCP port of the host itself: 127.x.y.z (four), or ::1 (six). Port 0: one
 * that is free. *bound: the port. The descriptor, as above, or -errno. */
int sys_loopback_listen(bool six, const uint8_t four[4], uint16_t port, uint16_t *bound);

/* The next connection; -EAGAIN: none waits. */
int sys_unix_accept(int listener);

/* Connects; the socket is non-blocking afterwards. -ECONNREFUSED, -ENOENT: nobody listens. */
int sys_unix_connect(const char *path, enum sys_sock_kind kind);

/* Sends one message with nfds descriptors, which stay the caller's. Never raises SIGPIPE.
 * -EAGAIN: the peer does not read. */
int sys_send_fds(int sock, const void *buf, size_t len, const int *fds, unsigned int nfds);

/* Receives one message. *got: its length, 0 at the end of the connection. fds[SYS_FDS_MAX] and
 * *nfds: what came with it, CLOEXEC, the caller's; where the peer sent more, all are closed.
 * -EAGAIN: nothing there. -EMSGSIZE: longer than len, or too many descriptors (then nothing is
 * kept). */
int sys_recv_fds(int sock, void *buf, size_t len, size_t *got, int fds[SYS_FDS_MAX],
		 unsigned int *nfds);

/* Who made the connection, as the kernel noted it then. */
int sys_peer_cred(int sock, pid_t *pid, uid_t *uid, gid_t *gid);

/* The other groups of who made the connection, as noted then: at most SYS_PEER_GROUPS_MAX. Their
 * number, or -errno; -ERANGE: he has more. */
int sys_peer_groups(int sock, uint32_t gids[SYS_PEER_GROUPS_MAX]);

/* A pidfd of the peer's process. Kernels before 6.5 have no SO_PEERPIDFD: then it is opened by
 * pid, which may be a later process's; the caller compares what he can. */
int sys_peer_pidfd(int sock);

/* Sends a datagram to a path or, with a leading '@', to an abstract name (sd_notify). wait: until
 * the receiver has room for it; else -EAGAIN. */
int sys_unix_send_datagram(const char *path, const void *buf, size_t len, bool wait);

#endif
