/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* agent-path: where libpshare-agent.so and pshared lie, seen from this program. */
#ifndef PSHARE_CLI_AGENT_PATH_H
#define PSHARE_CLI_AGENT_PATH_H

#include <limits.h>
#include <stddef.h>

/* The agent's library: $PSHARE_AGENT, the build tree, the installation. 0 or an exit code, said. */
int agent_find(char path[PATH_MAX]);
/* The same without a word: 0, or -errno and the place that was looked at last. */
int agent_look(char path[PATH_MAX]);
/* The daemon: $PSHARE_DAEMON, the build tree, the installation, $PATH. 0 or -ENOENT. */
int daemon_look(char path[PATH_MAX]);

/* A value of LD_PRELOAD: the agent first, then what was there. Pure. 0 or -ENAMETOOLONG. */
int preload_value(char *text, size_t size, const char *agent, const char *before);

#endif
