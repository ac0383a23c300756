/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/mapbudget.h"

#include "agent/agent.h"
#include "policy/runs.h"
#include "sys/unsafe.h"

static uint32_t shortest_run(const struct agent *a)
{
	return runs_shortest(a->budget.baseline + a->stats.mappings, a->budget.limit,
			     a->link.config.map_reserve);
}

bool mapbudget_is_worth(const struct agent *a, const struct run *run)
{
	return runs_worth(run, ps_without(DEFENCE_MAP_LIMIT) ? 1 : shortest_run(a));
}

void mapbudget_spend(struct agent *a, struct region *r, const struct run *run)
{
	struct block *b = region_block(r, run->page);
	int borders = b->borders + run->cost;

	a->stats.mappings = (uint64_t)((int64_t)a->stats.mappings + run->cost);
	b->borders = (uint16_t)(borders > 0 ? borders : 0);
}

bool mapbudget_crowded(const struct agent *a, bool was)
{
	return runs_crowded(was, a->budget.baseline + a->stats.mappings, a->budget.limit,
			    a->link.config.map_reserve);
}
