/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* probe: what a first write costs here and now, tried on a page of the agent's own. */
#ifndef PSHARE_AGENT_PROBE_H
#define PSHARE_AGENT_PROBE_H

#include <stdint.h>

struct probe {
	char *page; /* NULL: there is none */
};

/* From here on it writes to a private mapping of that page of the memfd. Where that cannot be had
 * there is no probe. */
void probe_open(struct probe *p, int fd, uint64_t page);
void probe_close(struct probe *p);
/* How long a first write took, in ns; 0: there is no probe. */
uint64_t probe_write(struct probe *p);

#endif
