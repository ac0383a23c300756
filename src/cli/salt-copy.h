/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* salt-copy: a copy of a salt where a VM that another program starts finds it. */
#ifndef PSHARE_CLI_SALT_COPY_H
#define PSHARE_CLI_SALT_COPY_H

#include <stdbool.h>

#include "cli/cli.h"

struct sys_file;

/* Is there a salt to copy? 0; said, and an exit status, for one of no bytes. */
int salt_copy_check(const struct salt *salt);
/* Does the file hold it already? */
bool salt_copy_is(const char *path, const struct salt *salt);
/* Puts it in the place of the file, with that owner and mode. 0, or said, and an exit status. */
int salt_copy_write(const char *path, const struct salt *salt, const struct sys_file *as);

#endif
