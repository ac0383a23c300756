/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json: jansson's values as owners that clean up after themselves. */
#ifndef PSHARE_FLEET_JSON_H
#define PSHARE_FLEET_JSON_H

#include <jansson.h>

#include "sys/cleanup.h"

DEFINE_CLEANUP(json_t *, json, json_decref);
#define _cleanup_json_ _cleanup_(cleanup_json)

/* The value on one line, members sorted; to be given to free(). (json_dumps() gives what
 * jansson's own allocator has to free, and a program may have set one that wipes.) NULL: no
 * value, or no memory. */
char *json_line(const json_t *value);

/* What others wrote, made fit for a terminal and for a line of ours (policy/plain.h): in strings a
 * control character becomes '?'; a member whose name has one, or is not ASCII, is none of ours, and
 * goes. */
void json_scrub(json_t *value);

#endif
