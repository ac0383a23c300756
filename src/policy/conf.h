/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf: a file of settings of the host: one NAME = VALUE a line; # begins a comment. */
#ifndef PSHARE_POLICY_CONF_H
#define PSHARE_POLICY_CONF_H

#include <stddef.h>

#include "policy/settings.h"

#define CONF_FILE_MAX (64u << 10) /* bytes of one file */
#define CONF_LINE_MAX 1024u

/* What one file sets. */
struct conf {
	int64_t value[SETTING_HOST_END];
	unsigned int line[SETTING_HOST_END]; /* where it is set, from 1; 0: it is not */
};

/* One NAME=VALUE (not terminated), as of that line. 0, or -EINVAL with a line in err. */
int conf_assign(const char *text, size_t len, unsigned int line, struct conf *conf, char *err);

/* A whole file. 0, or -EINVAL with a line in err that names the line's number; then *conf is
 * untouched: a file with one mistake is no file. */
int conf_parse(const char *text, size_t len, struct conf *conf, char *err);

/* The text that conf_parse() would read as *conf, without a comment; its length or -ENOSPC. */
int conf_format(const struct conf *conf, char *out, size_t size);

#endif
