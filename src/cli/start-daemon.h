/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_CLI_START_DAEMON_H
#define PSHARE_CLI_START_DAEMON_H

#include "cli/cli.h"

/* Makes sure that a daemon answers in this folder: starts a private one if none does, and waits
 * until it answers. 0, or an exit code, said. */
int start_daemon(const struct runtime *runtime);

#endif
