/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/wait.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "sys/inject.h"

int sys_wait_readable(const int *fds, unsigned int n, long timeout_us, unsigned int *ready)
{
	struct timespec timeout = {timeout_us / 1000000, timeout_us % 1000000 * 1000};
	struct pollfd p[SYS_WAIT_MAX];
	unsigned int bits = 0;

	SYS_INJECT();
	if (n > SYS_WAIT_MAX)
		return -EINVAL;
	for (unsigned int i = 0; i < n; i++)
		p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	if (ppoll(p, n, timeout_us < 0 ? NULL : &timeout, NULL) < 0 && errno != EINTR)
		return -errno;
	else
		for (unsigned int i = 0; i < n; i++)
			if (p[i].revents)
				bits |= 1u << i;
	*ready = bits;
	return 0;
}
