/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_FIGURES_H
#define PSHARE_AGENT_FIGURES_H

#include <stdint.h>

#define FIGURES_NS 250000000ull

struct agent;

/* Asks for the limit on mappings, and how many there are: before the first look, to which mappings
 * whose limit is not known would seem to be used up. Worker, no lock held. */
void figures_begin(struct agent *a);
/* Counts, tells the daemon, and asks for the limits, if it is time; *next is when it is again.
 * Worker, no lock held. */
void figures_serve(struct agent *a, uint64_t now, uint64_t *next);

#endif
