/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* outlook: what sharing has not given yet, and when or how it will. For list and doctor. */
#ifndef PSHARE_CLI_OUTLOOK_H
#define PSHARE_CLI_OUTLOOK_H

#include <jansson.h>
#include <stdbool.h>

#define OUTLOOK_MAX 512

/* "N MiB in huge pages that are left whole ...", of these VMs (an array) under the settings of this
 * host (/v1/status). False: there are none, or they are not left whole. */
bool outlook_large(const json_t *host, const json_t *vms, bool bytes, char text[OUTLOOK_MAX]);
/* "first pass 40 %, ... done in 2 min", of an object that has "progress": the host or a VM. False:
 * it has settled, or nobody knows. */
bool outlook_pass(const json_t *object, bool bytes, char text[OUTLOOK_MAX]);
/* "60 %, 52.1 MiB still expected", of such an object; "100 %: settled". */
void outlook_done(const json_t *object, bool bytes, char text[OUTLOOK_MAX]);

#endif
