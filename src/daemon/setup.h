/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* setup: the beginning and the end of the daemon. */
#ifndef PSHARE_DAEMON_SETUP_H
#define PSHARE_DAEMON_SETUP_H

#include "daemon/daemon.h"
#include "daemon/options.h"

/* Sets up everything up to the loop; says in one line what went wrong. 0 or -errno. */
int daemon_init(struct daemon *d, const struct options *options);
void daemon_deinit(struct daemon *d);
/* Only reads policy and settings, and says what is wrong. 0 or -errno. */
int daemon_check(const struct options *options);

#endif
