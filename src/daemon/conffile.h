/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conffile: the files of settings, read together, and the one that 'pshare set' keeps. */
#ifndef PSHARE_DAEMON_CONFFILE_H
#define PSHARE_DAEMON_CONFFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/options.h"
#include "policy/conf.h"

#define CONFFILE_FILES_MAX 64u
#define CONFFILE_PATH_MAX 320u
#define CONFFILE_ERROR_MAX (2 * CONFFILE_PATH_MAX + POLICY_ERROR_MAX + 64)
#define CONFFILE_KEPT "99-set.conf"

enum conffile_kind { CONF_DEFAULT, CONF_FILE, CONF_COMMAND_LINE, CONF_SET };

/* What is in force, and where each value comes from. */
struct conffile {
	struct host_settings settings;
	struct {
		enum conffile_kind kind;
		unsigned int file, line;
	} origin[SETTING_HOST_END];
	unsigned int files;
	char file[CONFFILE_FILES_MAX][CONFFILE_PATH_MAX];
};

/* Reads all of it: defaults, then the file, the drop-ins by their names, the command line, and what
 * was set since the start and is kept nowhere; the last one that sets a name has it. 0, or -errno
 * with a line in err (CONFFILE_ERROR_MAX) and *out untouched. */
int conffile_read(const struct options *options, const struct conf *set, struct conffile *out,
		  char *err);

/* "default", "FILE:LINE", "command line of pshared", "set, until pshared ends". */
void conffile_origin(const struct conffile *conf, enum setting_id id, char *text, size_t size);

/* Is what is set kept over the end of the daemon? */
bool conffile_keeps(const struct options *options);
/* Writes the drop-in anew, with this value (NULL: without it), in one step. 0, or -errno with a
 * line in err, and the file is as it was. */
int conffile_keep(const struct options *options, enum setting_id id, const int64_t *value,
		  char *err);

#endif
