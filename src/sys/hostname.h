/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_SYS_HOSTNAME_H
#define PSHARE_SYS_HOSTNAME_H

#include <stdbool.h>
#include <stddef.h>

/* The name of this host, and the release of its kernel. 0 or -errno; -ENAMETOOLONG. */
int sys_host_name(char *name, size_t size);
int sys_kernel_release(char *release, size_t size);
/* Is this kernel of that release or a later one? Reads /proc: a process that may not call uname()
 * may ask too. What cannot be read is not. */
bool sys_kernel_is(unsigned int major, unsigned int minor);

/* CPUs that are online; at least 1. */
unsigned int sys_cpu_count(void);

#endif
