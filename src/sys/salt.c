/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/salt.h"

#include <errno.h>
#include <fcntl.h>

#include "sys/inject.h"
#include "sys/memfd.h"

int sys_salt_inherit(int fd)
{
	unsigned int seals;
	int copy, err;

	SYS_INJECT();
	err = sys_memfd_seals(fd, &seals);
	if (err)
		return err;
	if ((seals & SYS_SEALS_FINAL) != SYS_SEALS_FINAL)
		return -EINVAL;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return copy;
}
