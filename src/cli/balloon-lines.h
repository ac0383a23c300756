/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balloon-lines: a VM's balloon for people. */
#ifndef PSHARE_CLI_BALLOON_LINES_H
#define PSHARE_CLI_BALLOON_LINES_H

#include <jansson.h>
#include <stdbool.h>

/* Prints what the API says of a balloon, sizes in MiB or bytes. */
void balloon_lines(const json_t *balloon, bool bytes);

#endif
