/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guestname: what QEMU's own command line calls its guest. */
#ifndef PSHARE_POLICY_GUESTNAME_H
#define PSHARE_POLICY_GUESTNAME_H

#include <stddef.h>

#include "wire/wire.h"

/* From a command line as /proc has it: words that end with a NUL. 0 and a name that
 * ps_name_check() takes, padded with NULs; -ENOENT, and name untouched: it has none. */
int guest_name(const char *words, size_t length, char name[PS_NAME_MAX]);

#endif
