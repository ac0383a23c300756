/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages that carry descriptors, and who the peer is. */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/harness.h"
#include "sys/events.h"
#include "sys/memfd.h"
#include "sys/sock.h"

static const char *path(void)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s/s", test_dir());
	return text;
}

static void pair(int *listener, int *there, int *here)
{
	*listener = sys_unix_listen(path(), SYS_SOCK_SEQPACKET, 0600);
	REQUIRE_OK(*listener);
	*there = sys_unix_connect(path(), SYS_SOCK_SEQPACKET);
	REQUIRE_OK(*there);
	*here = sys_unix_accept(*listener);
	REQUIRE_OK(*here);
}

TEST("a socket has its mode from the first moment, and is not replaced by a second one")
{
	int fd = sys_unix_listen(path(), SYS_SOCK_STREAM, 0660);
	struct stat st;

	REQUIRE_OK(fd);
	REQUIRE_SYS(stat(path(), &st));
	CHECK_EQ(st.st_mode & 0777, 0660);
	CHECK_EQ(sys_unix_listen(path(), SYS_SOCK_STREAM, 0660), -EADDRINUSE);
	CHECK_EQ(sys_unix_accept(fd), -EAGAIN);
	close(fd);
	CHECK_EQ(sys_unix_connect(path(), SYS_SOCK_STREAM), -ECONNREFUSED);
}

TEST("a path that does not fit an address is said, not cut")
{
	char text[200];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CHECK_EQ(sys_unix_listen(text, SYS_SOCK_STREAM, 0600), -ENAMETOOLONG);
	CHECK_EQ(sys_unix_connect("", SYS_SOCK_STREAM), -ENAMETOOLONG);
}

TEST("descriptors come with their message; too many, or too long a message, leave none behind")
{
	int listener, there, here, fds[SYS_FDS_MAX], many[8], probe;
	unsigned int n = 0;
	char buf[8];
	size_t got;

	pair(&listener, &there, &here);
	for (int i = 0; i < 8; i++)
		many[i] = i % 3;
	REQUIRE_OK(sys_send_fds(there, "abc", 3, many, 2));
	REQUIRE_OK(sys_recv_fds(here, buf, sizeof(buf), &got, fds, &n));
	CHECK_EQ(got, 3);
	CHECK_EQ(n, 2);
	close(fds[0]);
	close(fds[1]);
	probe = dup(0);
	close(probe);
	REQUIRE_OK(sys_send_fds(there, "longer than 8", 13, many, 4));
	CHECK_EQ(sys_recv_fds(here, buf, sizeof(buf), &got, fds, &n), -EMSGSIZE);
	CHECK_EQ(dup(0), probe);
	CHECK_EQ(sys_send_fds(there, "x", 1, many, 5), -EMSGSIZE);
	close(there);
	REQUIRE_OK(sys_recv_fds(here, buf, sizeof(buf), &got, fds, &n));
	CHECK_EQ(got, 0);
}

TEST("the peer's process is known, and when it has ended")
{
	int listener = sys_unix_listen(path(), SYS_SOCK_SEQPACKET, 0600), here, pidfd;
	pid_t child, pid = 0;
	uid_t uid = 99;
	gid_t gid = 99;

	REQUIRE_OK(listener);
	child = fork();
	if (child == 0) {
		(void)sys_unix_connect(path(), SYS_SOCK_SEQPACKET);
		pause();
	}
	REQUIRE_WITHIN(5000, sys_readable(listener) == 1);
	here = sys_unix_accept(listener);
	REQUIRE_OK(here);
	REQUIRE_OK(sys_peer_cred(here, &pid, &uid, &gid));
	CHECK_EQ(pid, child);
	CHECK_EQ(uid, geteuid());
	pidfd = sys_peer_pidfd(here);
	REQUIRE_OK(pidfd);
	CHECK_EQ(sys_readable(pidfd), 0);
	kill(child, SIGKILL);
	REQUIRE_WITHIN(5000, sys_readable(pidfd) == 1);
}

TEST("a memfd opened anew for reading cannot be written, mapped for writing, cut or punched")
{
	int fd = sys_memfd_new("store", 1 << 20), copy;
	uint64_t size = 0, allocated = 1;
	char page[4096] = {1};
	void *map;

	REQUIRE_OK(fd);
	REQUIRE_OK(sys_fchmod(fd, 0400));
	copy = sys_memfd_reopen_readonly(fd);
	REQUIRE_OK(copy);
	CHECK_EQ(sys_pwrite_full(copy, page, sizeof(page), 0), -EBADF);
	CHECK_EQ(sys_map_shared(copy, 4096, &map), -EACCES);
	CHECK_EQ(sys_punch_hole(copy, 0, 4096), -EBADF);
	CHECK_OK(sys_pwrite_full(fd, page, sizeof(page), 8192));
	CHECK_OK(sys_file_size(fd, &size, &allocated, NULL));
	CHECK_EQ(size, 1 << 20);
	CHECK_EQ(allocated, 4096);
	CHECK_OK(sys_punch_hole(fd, 8192, 4096));
	CHECK_OK(sys_file_size(fd, &size, &allocated, NULL));
	CHECK_EQ(allocated, 0);
}

TEST("memory of a sealed memfd that is forgotten is free, reads as zeros, and can be used again")
{
	int fd = sys_memfd_new("ring", 4 * 4096);
	uint64_t allocated = 0;
	char *bytes;
	void *map;

	REQUIRE_OK(fd);
	REQUIRE_OK(sys_memfd_seal(fd, SYS_SEALS_SIZE));
	REQUIRE_OK(sys_map_shared(fd, 4 * 4096, &map));
	bytes = map;
	memset(bytes, 7, 4 * 4096);
	CHECK_OK(sys_forget_shared(bytes + 4096, 2 * 4096));
	CHECK_OK(sys_file_size(fd, NULL, &allocated, NULL));
	CHECK_EQ(allocated, 2 * 4096);
	CHECK_EQ(bytes[4095], 7);
	CHECK_EQ(bytes[4096], 0);
	CHECK_EQ(bytes[3 * 4096 - 1], 0);
	CHECK_EQ(bytes[3 * 4096], 7);
	bytes[4096] = 5;
	CHECK_EQ(bytes[4096], 5);
	sys_unmap(map, 4 * 4096);
}
