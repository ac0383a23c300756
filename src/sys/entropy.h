/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_SYS_ENTROPY_H
#define PSHARE_SYS_ENTROPY_H

#include <stddef.h>

/* Fills buf with random bytes of the kernel's generator, fit for secrets. 0 or -errno. */
int sys_random(void *buf, size_t len);

#endif
