/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line of pshared. */
#ifndef PSHARE_DAEMON_OPTIONS_H
#define PSHARE_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/log.h"
#include "policy/conf.h"
#include "policy/loopback.h"

#define OPTIONS_PATH_MAX 108u /* with the longest socket name it must fit a socket address */

struct options {
	char runtime_dir[OPTIONS_PATH_MAX];
	char swap_dir[SETTING_PATH_MAX + 1]; /* folder for swap files; "": none */
	const char *policy;		     /* NULL: none */
	const char *config;		     /* file of settings; NULL: none */
	bool config_asked;		     /* it was named, so it must be there */
	const char *config_dir; /* drop-ins; 'set' keeps its own there. NULL: nothing is kept */
	const char *user;	/* to run as, where it starts as root; NULL: as it is */
	bool user_asked;
	const char *operate_group, *admin_group; /* names or numbers; NULL: none gives that role */
	bool operate_asked, admin_asked;
	const char *log_dir; /* of the audit log; NULL: the runtime folder */
	bool log_asked;
	uint64_t log_file_max;
	unsigned int log_files;
	const char *likeness_key; /* file; NULL: none, a random one is made */
	bool likeness_asked;
	const char *journal;  /* socket; NULL: none */
	struct loopback http; /* where the page is, beside api.sock; if has_http */
	bool has_http;
	bool check;	  /* read the files, say so, and end */
	struct conf sets; /* of --set */
	enum log_level log_level;
	uint32_t exit_when_idle_s; /* 0: never */
};

/* What main() is to do after parsing. */
enum options_action { OPTIONS_RUN, OPTIONS_EXIT };

/* Parses argv. --help and --version print and ask to exit. 0, or -EINVAL after a line on stderr. */
int options_parse(int argc, char **argv, struct options *options, enum options_action *action);

#endif
