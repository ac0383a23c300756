/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* setup: the beginning and the end of the daemon. */
#ifndef PSHARE_DAEMON_SETUP_H
#define PSHARE_DAEMON_SETUP_H

#include "daemon/daemon.h"
#include "daemon/options.h"

/* Sets up everything up to the loop; says in one line what went wrong. 0 or -errno. */
int daemon_init(struct daemon *d, const struct options *options);
void daemon_deinit(struct daemon *d);
/* The part of daemon_init() that gives no right up and asks the kernel nothing that takes long; *d
 * is zeros before. A fuzzer has a daemon by that. */
int daemon_prepare(struct daemon *d, const struct options *options);
/* Only reads policy and settings, and says what is wrong. 0 or -errno. */
int daemon_check(const struct options *options);

#endif
