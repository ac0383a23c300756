/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit: 'pshare audit', asked by a test, and what it found. */
#ifndef PSHARE_TEST_AUDIT_H
#define PSHARE_TEST_AUDIT_H

#include <jansson.h>

#include "api.h"

/* What 'pshare audit --json' says of the host, with this daemon's books; to be json_decref()ed.
 * Fails the test if it is no JSON. */
json_t *t_audit(const struct t_daemon *d);

/* The text of a finding of that check (NULL: any) in that state ("violation", "note", ...) that
 * names the process (0: whichever) and holds part (NULL: whatever it says). NULL: there is none. */
const char *t_audit_found(json_t *audit, const char *check, const char *state, pid_t pid,
			  const char *part);

/* Audits until there is such a violation, and fails the test if there is none: frames that move
 * while they are looked at are left out of an audit, which says so, and on a busy host that may be
 * those that are looked for. */
void t_audit_must_find(const struct t_daemon *d, const char *check, pid_t pid, const char *part);

#endif
