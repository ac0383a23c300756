/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A shared page costs a mapping of the VMM's process unless its neighbour shares the neighbouring
 * frame: then both are one. Mappings are few (vm.max_map_count, 65530 as Linux comes) and cost the
 * kernel some 240 bytes each, twice that for a lone page with its tree and slab; mapping a run
 * takes the same time at 64 pages as at one. So orders are cut into runs, long runs go first, and
 * what is left of the budget decides how short a run may still be.
 *
 * The price of a run, in mappings, is the sum of its two sides: cut from the middle of an anonymous
 * mapping it makes three of one, +2; at a boundary that is there already a side costs nothing; a
 * side that continues a run in page and in frame melts with it, -1. So filling the gap between two
 * runs that belong together costs -2: it gives mappings back, and is worth it at any length.
 *
 * The budget: while half of it is free every page is taken; each time what is free halves again,
 * a run has to be twice as long. So the last mappings go to whole blocks, there is no cliff, and a
 * process that has filled its map with lone pages can still share what is worth most. The reserve
 * stays untouched: the VMM, and an unshare in the middle of a run, need mappings too.
 *
 * Crowded is a process in which a lone page is refused. The walk goes by it, and looks at every
 * block anew when it ends; so it ends at a lower mark than it began, and a VM that gains and loses
 * some mappings about the half does not begin again and again.
 *
 * Rejected: choosing the best runs of the whole VM at once (orders come block by block, and a walk
 * over all of them for each choice costs more than it gains); qsort(), which may allocate.
 */
#include "policy/runs.h"

#define RUN_COST_MIDDLE (2 * RUN_SIDE_SPLIT)
#define RUN_MARGIN 32 /* one part of the limit: so much more is free when crowding has ended */

static bool run_continues(const struct run *run, const struct run_order *order)
{
	return run->len < PS_BLOCK_PAGES && order->page == run->page + run->len &&
	       order->frame == run->frame + run->len;
}

size_t runs_cut(const struct run_order *orders, size_t n, struct run *runs)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (i && orders[i].page <= orders[i - 1].page)
			return 0;
		if (count && run_continues(&runs[count - 1], &orders[i])) {
			runs[count - 1].len++;
			continue;
		}
		runs[count++] = (struct run){
			.page = orders[i].page,
			.frame = orders[i].frame,
			.len = 1,
			.cost = RUN_COST_MIDDLE,
		};
	}
	return count;
}

enum run_side runs_side_before(const struct run *run, bool is_end, uint32_t frame)
{
	if (is_end)
		return RUN_SIDE_EDGE;
	if (frame == PS_FRAME_NONE)
		return RUN_SIDE_SPLIT;
	return (uint64_t)frame + 1 == run->frame ? RUN_SIDE_JOIN : RUN_SIDE_EDGE;
}

enum run_side runs_side_after(const struct run *run, bool is_end, uint32_t frame)
{
	if (is_end)
		return RUN_SIDE_EDGE;
	if (frame == PS_FRAME_NONE)
		return RUN_SIDE_SPLIT;
	return frame == (uint64_t)run->frame + run->len ? RUN_SIDE_JOIN : RUN_SIDE_EDGE;
}

int runs_cost(enum run_side before, enum run_side after)
{
	return (int)before + (int)after;
}

static bool run_before(const struct run *a, const struct run *b)
{
	if (a->len != b->len)
		return a->len > b->len;
	if (a->cost != b->cost)
		return a->cost < b->cost;
	return a->page < b->page;
}

/* Shell's sort: in place, no allocation, no recursion; 20 us for 512 runs at worst. */
void runs_sort(struct run *runs, size_t n)
{
	static const size_t gaps[] = {701, 301, 132, 57, 23, 10, 4, 1};

	for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++) {
		size_t gap = gaps[g];

		for (size_t i = gap; i < n; i++) {
			struct run run = runs[i];
			size_t at = i;

			for (; at >= gap && run_before(&run, &runs[at - gap]); at -= gap)
				runs[at] = runs[at - gap];
			runs[at] = run;
		}
	}
}

uint32_t runs_shortest(uint64_t in_use, uint64_t max_map_count, uint64_t reserve)
{
	uint64_t budget = max_map_count > reserve ? max_map_count - reserve : 0;
	uint64_t left = budget > in_use ? budget - in_use : 0;
	uint32_t len = 1;

	if (left < RUN_COST_MIDDLE)
		return 0;
	while (len < PS_BLOCK_PAGES && left < budget / 2 / len)
		len *= 2;
	return len;
}

bool runs_crowded(bool was, uint64_t in_use, uint64_t max_map_count, uint64_t reserve)
{
	uint64_t margin = was ? max_map_count / RUN_MARGIN : 0;

	if (in_use > max_map_count)
		return true;
	return runs_shortest(in_use + margin, max_map_count, reserve) != 1;
}

bool runs_worth(const struct run *run, uint32_t shortest)
{
	if (run->cost <= 0)
		return true;
	return shortest && (uint64_t)run->len * RUN_COST_MIDDLE >= (uint64_t)shortest * run->cost;
}
