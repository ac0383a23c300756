/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mapbudget: vm.max_map_count, as far as it is known to be used up without counting mappings anew.
 */
#ifndef PSHARE_AGENT_MAPBUDGET_H
#define PSHARE_AGENT_MAPBUDGET_H

#include <stdbool.h>

#include "policy/runs.h"

struct agent;
struct region;

/* Is that run, its cost being set, worth its mappings? */
bool mapbudget_is_worth(const struct agent *a, const struct run *run);
/* The run is mapped: what it costs counts from now on, in its block as well, from which the figures
 * are reckoned anew before the next look counts it. Under act. */
void mapbudget_spend(struct agent *a, struct region *r, const struct run *run);
/* Are mappings so few that a lone page is refused? was: what it said last (runs_crowded()). */
bool mapbudget_crowded(const struct agent *a, bool was);

#endif
