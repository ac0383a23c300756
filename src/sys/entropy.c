/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/entropy.h"

#include <errno.h>
#include <sys/random.h>

#include "sys/inject.h"

int sys_random(void *buf, size_t len)
{
	unsigned char *at = buf;

	SYS_INJECT();
	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}
