/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_SYS_HOSTNAME_H
#define PSHARE_SYS_HOSTNAME_H

#include <stddef.h>

/* The name of this host, and the release of its kernel. 0 or -errno; -ENAMETOOLONG. */
int sys_host_name(char *name, size_t size);
int sys_kernel_release(char *release, size_t size);

/* CPUs that are online; at least 1. */
unsigned int sys_cpu_count(void);

#endif
