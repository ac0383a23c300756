/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pace: how often memory is looked at, and how fast. The worker's; no lock is needed. */
#ifndef PSHARE_AGENT_PACE_H
#define PSHARE_AGENT_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct agent;
struct walk;

/* ns from the beginning of one look to that of the next. */
uint64_t pace_look(const struct agent *a);
/* At the end of a look: was much of the memory new? */
void pace_judge_new(struct walk *w);
/* Is the first pass under way, at a rate of its own? */
bool pace_is_first(const struct agent *a);
/* The first pass begins anew: memory is new, or to be looked at anew. */
void pace_first(struct agent *a);
/* Does the walk come by every block within that time? */
bool pace_is_near(const struct agent *a, uint64_t now, uint64_t ns);
/* Pages a second, as the daemon and the first pass have it: the bucket is set to it. */
void pace_set(struct agent *a, uint64_t now);

#endif
