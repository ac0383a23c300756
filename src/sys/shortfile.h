/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shortfile: a file of /proc that fits a buffer of the caller's. For those who may not allocate. */
#ifndef PSHARE_SYS_SHORTFILE_H
#define PSHARE_SYS_SHORTFILE_H

#include <stddef.h>
#include <sys/types.h>

/* What one read() gives of it, as a string, cut at size - 1. Returns its length, or -errno, and
 * text is empty. No point of injection: each caller is one. */
ssize_t sys_read_short(const char *path, char *text, size_t size);

#endif
