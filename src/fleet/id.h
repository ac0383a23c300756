/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* id: names for changes and instances, times as text, and jitter. */
#ifndef PSHARE_FLEET_ID_H
#define PSHARE_FLEET_ID_H

#include <stdint.h>
#include <time.h>

#define FLEET_ID_MAX 48u   /* with its NUL */
#define FLEET_TIME_MAX 24u /* "2026-11-29T00:45:00Z" */

const char *fleet_time(char out[FLEET_TIME_MAX], time_t when);
/* Time and 8 random hex digits. What came first is told by etcd's revisions, not by these. 0 or
 * -errno. */
int fleet_new_id(char out[FLEET_ID_MAX]);
/* From 0 to n - 1; no secret: it keeps hosts from all coming at once. */
uint64_t fleet_jitter(uint64_t n);

#endif
