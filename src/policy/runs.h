/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * runs: which pages of a block can be mapped to their frames in one piece, and which pieces are
 * worth a mapping. Allocates nothing, calls nothing.
 */
#ifndef PSHARE_POLICY_RUNS_H
#define PSHARE_POLICY_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct run_order {
	uint32_t page;
	uint32_t frame;
};

struct run {
	uint32_t page;
	uint32_t frame;
	uint16_t len; /* pages, 1 .. PS_BLOCK_PAGES */
	int16_t cost; /* mappings more than before, -2 .. 2: runs_cost() */
};

/* What lies beside a run, before its first page or after its last. The number is what the run adds
 * to the process's mappings on that side. */
enum run_side {
	RUN_SIDE_JOIN = -1, /* a mapping that it continues, in page and in frame: they become one */
	RUN_SIDE_EDGE = 0,  /* another mapping, or the end of the region: a boundary already */
	RUN_SIDE_SPLIT = 1, /* more of the anonymous mapping that it is cut from */
};

/* Cuts orders, sorted by page without a page twice, into maximal runs (page + 1 with frame + 1) of
 * at most PS_BLOCK_PAGES each; cost is set to 2. runs has room for n. Returns how many; 0 also if
 * the orders are not sorted. */
size_t runs_cut(const struct run_order *orders, size_t n, struct run *runs);

/* The side towards a page that is mapped to frame (PS_FRAME_NONE: it is anonymous, in the same
 * mapping as the run's pages). is_end: there is no page, the region ends. */
enum run_side runs_side_before(const struct run *run, bool is_end, uint32_t frame);
enum run_side runs_side_after(const struct run *run, bool is_end, uint32_t frame);

/* Mappings more than before when the run is mapped: the sum of its sides. */
int runs_cost(enum run_side before, enum run_side after);

/* Longest first, then cheapest, then by page. n <= PS_BLOCK_PAGES for a block. */
void runs_sort(struct run *runs, size_t n);

/* The shortest run worth its two mappings, with in_use mappings in this process, max_map_count the
 * kernel's limit and reserve of them to be left alone. 1 .. PS_BLOCK_PAGES; 0: none left. */
uint32_t runs_shortest(uint64_t in_use, uint64_t max_map_count, uint64_t reserve);

/* Are mappings so few that a run of one page is refused? Once they are (was), it stays so until a
 * margin is free beyond what a lone page needs. The arguments are those of runs_shortest(). */
bool runs_crowded(bool was, uint64_t in_use, uint64_t max_map_count, uint64_t reserve);

/* Is that run worth it? A run of no cost always is; one that costs 1 need be half as long. */
bool runs_worth(const struct run *run, uint32_t shortest);

#endif
