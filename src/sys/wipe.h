/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An allocator for libraries that may come to hold a secret: every block is wiped before it is
 * given back. For jansson: json_set_alloc_funcs(sys_wiping_alloc, sys_wiping_free), before
 * anything else of it; what it hands out for free() then goes to sys_wiping_free(). */
#ifndef PSHARE_SYS_WIPE_H
#define PSHARE_SYS_WIPE_H

#include <stddef.h>

void *sys_wiping_alloc(size_t length);
void sys_wiping_free(void *bytes); /* takes NULL */

#endif
