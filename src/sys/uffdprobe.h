/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of the kernel's memory calls is there for this user: tried, not inferred. Each returns 0 if
 * it works, else -errno. Nothing is left behind. */
#ifndef PSHARE_SYS_UFFDPROBE_H
#define PSHARE_SYS_UFFDPROBE_H

#include <stdint.h>

/* May this user have a userfaultfd of full mode, by either way? -EPERM or -EACCES where not,
 * -ENOSYS where the kernel has none. */
int uffd_allowed(void);
int uffd_allowed_by_call(void);	  /* the system call: a capability, or a sysctl */
int uffd_allowed_by_device(void); /* /dev/userfaultfd: permissions of a file */

/* All features that the kernel offers (UFFD_FEATURE_*). */
int uffd_features(uint64_t *features);

/* PAGEMAP_SCAN on /proc/self/pagemap. */
int probe_pagemap_scan(void);

/* mremap(MREMAP_DONTUNMAP) of private anonymous memory, and of a private mapping of a memfd. */
int probe_mremap_anon(void);
int probe_mremap_memfd(void);

#endif
