/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* isolation: the rights that the daemon gives up, in the order in which it does. */
#ifndef PSHARE_DAEMON_ISOLATION_H
#define PSHARE_DAEMON_ISOLATION_H

/* 1: before anything is read. 2: sockets, files and probes are done. 3: just before the loop.
 * 0 or -errno, after a line in the log. */
int isolation_start(void);
int isolation_drop_rights(void);
int isolation_limit_calls(void);

#endif
