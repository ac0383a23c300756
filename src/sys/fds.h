/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptors of this process, as the kernel tells of them. */
#ifndef PSHARE_SYS_FDS_H
#define PSHARE_SYS_FDS_H

#include <stdbool.h>
#include <stdint.h>

#define SYS_FD_LINK_MAX 256u
#define SYS_FD_INFO_MAX 1024u

struct sys_fd {
	int fd;
	char link[SYS_FD_LINK_MAX]; /* of /proc/self/fd; cut, if it is longer */
	char info[SYS_FD_INFO_MAX]; /* of /proc/self/fdinfo; cut, if it is longer */
	bool direct;		    /* O_DIRECT */
	bool is_char;		    /* a character device */
	uint64_t filesystem;	    /* f_type of statfs(); 0: none */
	int family;		    /* of a socket, AF_...; -1: it is none */
};

/* Calls see() for each open descriptor until it returns false. 0; -errno: they cannot all be read.
 * Allocates nothing; what see() is shown is gone when it returns. */
int sys_fds_each(bool (*see)(const struct sys_fd *d, void *arg), void *arg);

#endif
