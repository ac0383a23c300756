/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* isolation: the rights that the daemon gives up, in the order in which it does. */
#ifndef PSHARE_DAEMON_ISOLATION_H
#define PSHARE_DAEMON_ISOLATION_H

#include "daemon/options.h"

/* 1: before anything is read. 2: what takes root is done. 3: sockets and files are there. 4: just
 * before the loop. 0 or -errno, after a line in the log. */
int isolation_start(void);
int isolation_become(const struct options *options);
int isolation_drop_rights(void);
int isolation_limit_calls(void);

#endif
