/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line of pshared. */
#ifndef PSHARE_DAEMON_OPTIONS_H
#define PSHARE_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/log.h"
#include "policy/settings.h"

#define OPTIONS_PATH_MAX 108u /* with the longest socket name it must fit a socket address */

struct options {
	char runtime_dir[OPTIONS_PATH_MAX];
	const char *policy; /* NULL: none */
	enum log_level log_level;
	uint32_t exit_when_idle_s; /* 0: never */
	struct host_settings settings;
};

/* What main() is to do after parsing. */
enum options_action { OPTIONS_RUN, OPTIONS_EXIT };

/* Parses argv. --help and --version print and ask to exit. 0, or -EINVAL after a line on stderr. */
int options_parse(int argc, char **argv, struct options *options, enum options_action *action);

/* Applies "NAME = VALUE" lines; # starts a comment. 0, or -EINVAL with a line in err that names
 * the line number. Pure. */
int options_config(const char *text, struct host_settings *settings, char *err);

#endif
