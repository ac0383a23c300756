/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* match: from hints to frames. */
#ifndef PSHARE_DAEMON_MATCH_H
#define PSHARE_DAEMON_MATCH_H

#include "daemon/member.h"

/* One entry of the ring of m's session. Whatever it says touches only what is m's own. */
void match_entry(struct member *m, const struct ps_entry *entry);
/* n entries will come, one after the other: has the index's memory for some of them fetched. */
void match_expect(const struct member *m, const struct ps_entry *next, uint32_t n);
/* Tries again the hints that wait: of one member after its ring was worked on ... */
void match_retry(struct member *m);
/* ... and of those whose time has come. Also: orders that were not answered in time. */
void match_tick(struct daemon *d);

#endif
