/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* trusted: files that say what this daemon is to do: only of those who may say so. */
#ifndef PSHARE_DAEMON_TRUSTED_H
#define PSHARE_DAEMON_TRUSTED_H

#include <stddef.h>

#include "daemon/options.h"

#define TRUSTED_WHY_MAX 160u

/* Is a file or folder root's or the daemon's user's, and may nobody else write it? 0, or -errno
 * with a line in why, which does not name it. -ENOENT: it is not there; a link to nothing is
 * -ENOLINK. */
int trusted_look(const struct options *options, const char *path, char why[TRUSTED_WHY_MAX]);

/* The same, and what is in it, to be freed: at most max bytes of a regular file. */
int trusted_read(const struct options *options, const char *path, size_t max, char **text,
		 size_t *length, char why[TRUSTED_WHY_MAX]);

#endif
