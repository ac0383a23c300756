/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "harness/harness.h"

static short hangup_of(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	poll(&p, 1, 0);
	return p.revents & (POLLHUP | POLLERR);
}

TEST("what is held lives on when it is closed, and nothing else does")
{
	int held[2], low[2], high[2], fds[2], err;

	REQUIRE(!pipe2(low, O_CLOEXEC) && !pipe2(held, O_CLOEXEC) && !pipe2(high, O_CLOEXEC));
	fds[0] = held[1];
	fds[1] = high[0];
	err = sys_hold(fds, 2);
	if (err == -EPERM)
		SKIP("a debugger or a seccomp filter rules this process");
	REQUIRE_EQ(err, 0);
	close(low[1]);
	close(held[1]);
	close(high[1]);
	CHECK(hangup_of(low[0]));
	CHECK(!hangup_of(held[0]));
	CHECK(hangup_of(high[0]));
	sys_hold_end();
	for (int ms = 0; ms < 5000 && !hangup_of(held[0]); ms++)
		poll(NULL, 0, 1);
	CHECK(hangup_of(held[0]));
}

TEST("a descriptor that does not exist is held by nobody, and harms nobody")
{
	int end[2], fds[2];

	REQUIRE(!pipe2(end, O_CLOEXEC));
	fds[0] = 900;
	fds[1] = end[1];
	if (sys_hold(fds, 2) == -EPERM)
		SKIP("a debugger or a seccomp filter rules this process");
	close(end[1]);
	CHECK(!hangup_of(end[0]));
}
