/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/runs.h"
#include "policy/test-random.h"

TEST("neighbouring pages with neighbouring frames are one run")
{
	static const struct run_order orders[] = {{10, 100}, {11, 101}, {12, 102}};
	struct run runs[3];

	REQUIRE_EQ(runs_cut(orders, 3, runs), 1);
	CHECK_EQ(runs[0].page, 10);
	CHECK_EQ(runs[0].frame, 100);
	CHECK_EQ(runs[0].len, 3);
	CHECK_EQ(runs[0].cost, 2);
}

TEST("a gap in the pages, in the frames, or frames the wrong way round, cuts")
{
	static const struct run_order orders[] = {{10, 100}, {12, 101}, {13, 103}, {14, 102}};
	struct run runs[4];

	CHECK_EQ(runs_cut(orders, 4, runs), 4);
}

TEST("no order makes no run, and orders that are not sorted make none")
{
	static const struct run_order twice[] = {{10, 100}, {10, 101}};
	static const struct run_order back[] = {{10, 100}, {9, 99}};
	struct run runs[2];

	CHECK_EQ(runs_cut(NULL, 0, runs), 0);
	CHECK_EQ(runs_cut(twice, 2, runs), 0);
	CHECK_EQ(runs_cut(back, 2, runs), 0);
}

TEST("a run is never longer than a block")
{
	struct run_order orders[PS_BLOCK_PAGES + 1];
	struct run runs[PS_BLOCK_PAGES + 1];

	for (uint32_t i = 0; i <= PS_BLOCK_PAGES; i++)
		orders[i] = (struct run_order){i, i};
	REQUIRE_EQ(runs_cut(orders, PS_BLOCK_PAGES + 1, runs), 2);
	CHECK_EQ(runs[0].len, PS_BLOCK_PAGES);
	CHECK_EQ(runs[1].len, 1);
}

static size_t random_orders(struct rng *rng, struct run_order *orders)
{
	uint32_t frame = rng_below(rng, 1000);
	size_t n = 0;

	for (uint32_t page = 0; page < PS_BLOCK_PAGES; page++) {
		if (!rng_below(rng, 8))
			frame = rng_below(rng, PS_FRAMES_MAX);
		if (rng_below(rng, 8))
			orders[n++] = (struct run_order){page, frame};
		frame++;
	}
	return n;
}

TEST("runs hold each order once, in order, and no two of them could be one")
{
	struct run_order orders[PS_BLOCK_PAGES];
	struct run runs[PS_BLOCK_PAGES];
	struct rng rng = {4};

	for (int round = 0; round < 500; round++) {
		size_t n = random_orders(&rng, orders), count = runs_cut(orders, n, runs), at = 0;

		for (size_t r = 0; r < count; r++) {
			for (uint32_t i = 0; i < runs[r].len; i++, at++) {
				REQUIRE_LT(at, n);
				CHECK_EQ(orders[at].page, runs[r].page + i);
				CHECK_EQ(orders[at].frame, runs[r].frame + i);
			}
			if (r)
				CHECK(runs[r - 1].page + runs[r - 1].len != runs[r].page ||
				      runs[r - 1].frame + runs[r - 1].len != runs[r].frame);
		}
		CHECK_EQ(at, n);
	}
}

TEST("the longest run comes first, of equals the cheapest, of those the first page")
{
	struct run runs[] = {
		{.page = 5, .len = 1, .cost = 2},  {.page = 1, .len = 1, .cost = 2},
		{.page = 9, .len = 4, .cost = 2},  {.page = 20, .len = 1, .cost = 0},
		{.page = 30, .len = 7, .cost = 2},
	};
	static const uint32_t want[] = {30, 9, 20, 1, 5};

	runs_sort(runs, 5);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(runs[i].page, want[i]);
}

TEST("sorting keeps every run")
{
	struct run_order orders[PS_BLOCK_PAGES];
	struct run runs[PS_BLOCK_PAGES];
	struct rng rng = {5};

	for (int round = 0; round < 300; round++) {
		size_t count = runs_cut(orders, random_orders(&rng, orders), runs);
		uint8_t seen[PS_BLOCK_PAGES] = {0};
		size_t pages = 0, after = 0;

		for (size_t i = 0; i < count; i++)
			pages += runs[i].len;
		runs_sort(runs, count);
		for (size_t i = 0; i < count; i++) {
			after += runs[i].len;
			CHECK_EQ(seen[runs[i].page]++, 0);
			if (i)
				CHECK_GE(runs[i - 1].len, runs[i].len);
		}
		CHECK_EQ(after, pages);
	}
	runs_sort(runs, 0);
}

TEST("a side is split, edge or join by what lies there")
{
	struct run run = {.page = 10, .frame = 100, .len = 3};

	CHECK_EQ(runs_side_before(&run, true, 99), RUN_SIDE_EDGE);
	CHECK_EQ(runs_side_before(&run, false, PS_FRAME_NONE), RUN_SIDE_SPLIT);
	CHECK_EQ(runs_side_before(&run, false, 99), RUN_SIDE_JOIN);
	CHECK_EQ(runs_side_before(&run, false, 98), RUN_SIDE_EDGE);
	CHECK_EQ(runs_side_after(&run, true, 103), RUN_SIDE_EDGE);
	CHECK_EQ(runs_side_after(&run, false, PS_FRAME_NONE), RUN_SIDE_SPLIT);
	CHECK_EQ(runs_side_after(&run, false, 103), RUN_SIDE_JOIN);
	CHECK_EQ(runs_side_after(&run, false, 102), RUN_SIDE_EDGE);
	run.frame = 0;
	CHECK_EQ(runs_side_before(&run, false, PS_FRAME_NONE), RUN_SIDE_SPLIT);
}

/* Mappings of a region of which frames[i] (or none: one anonymous mapping) is mapped at page i. */
static int count_mappings(const uint32_t *frames, size_t n)
{
	int count = 0;

	for (size_t i = 0; i < n; i++) {
		bool none = frames[i] == PS_FRAME_NONE;

		if (!i || none != (frames[i - 1] == PS_FRAME_NONE) ||
		    (!none && frames[i] != frames[i - 1] + 1))
			count++;
	}
	return count;
}

TEST("the cost of a run is what the process's mappings really grow by")
{
	struct rng rng = {6};
	enum { PAGES = 24 };

	for (int round = 0; round < 20000; round++) {
		uint32_t frames[PAGES];
		struct run run = {.page = 0};
		int before, cost;

		for (int i = 0; i < PAGES; i++)
			frames[i] = rng_below(&rng, 3) ? PS_FRAME_NONE :
							 100u + i + 50 * rng_below(&rng, 2);
		run.page = rng_below(&rng, PAGES);
		run.frame = 100 + run.page;
		while (run.page + run.len < PAGES && run.len < 6 &&
		       frames[run.page + run.len] == PS_FRAME_NONE)
			run.len++;
		if (!run.len)
			continue;
		cost = runs_cost(
			runs_side_before(&run, !run.page, run.page ? frames[run.page - 1] : 0),
			runs_side_after(&run, run.page + run.len == PAGES,
					run.page + run.len < PAGES ? frames[run.page + run.len] :
								     0));
		before = count_mappings(frames, PAGES);
		for (int i = 0; i < run.len; i++)
			frames[run.page + i] = run.frame + i;
		CHECK_EQ(count_mappings(frames, PAGES) - before, cost);
	}
}

TEST("the shortest run doubles each time the free budget halves")
{
	CHECK_EQ(runs_shortest(0, 65530, 0), 1);
	CHECK_EQ(runs_shortest(500, 1000, 0), 1);
	CHECK_EQ(runs_shortest(501, 1000, 0), 2);
	CHECK_EQ(runs_shortest(750, 1000, 0), 2);
	CHECK_EQ(runs_shortest(751, 1000, 0), 4);
	CHECK_EQ(runs_shortest(65530 - 130, 65530, 0), 256);
	CHECK_EQ(runs_shortest(65530 - 120, 65530, 0), 512);
	CHECK_EQ(runs_shortest(65528, 65530, 0), 512);
}

TEST("at the end of the budget, or past it, no run is left")
{
	CHECK_EQ(runs_shortest(65529, 65530, 0), 0);
	CHECK_EQ(runs_shortest(65530, 65530, 0), 0);
	CHECK_EQ(runs_shortest(UINT64_MAX, 65530, 0), 0);
	CHECK_EQ(runs_shortest(49000, 65530, 16382), 256);
	CHECK_EQ(runs_shortest(49147, 65530, 16382), 0);
	CHECK_EQ(runs_shortest(0, 100, 100), 0);
	CHECK_EQ(runs_shortest(0, 100, UINT64_MAX), 0);
	CHECK_EQ(runs_shortest(0, 0, 0), 0);
}

TEST("crowding begins where a lone page is refused, and ends at a lower mark")
{
	CHECK(!runs_crowded(false, 500, 1000, 0));
	CHECK(runs_crowded(false, 501, 1000, 0));
	CHECK(runs_crowded(true, 501, 1000, 0));
	CHECK(runs_crowded(true, 470, 1000, 0));
	CHECK(!runs_crowded(true, 469, 1000, 0));
	CHECK(!runs_crowded(false, 470, 1000, 0));
	CHECK(runs_crowded(true, UINT64_MAX, 65530, 0));
	CHECK(runs_crowded(false, 0, 0, 0));
	CHECK(runs_crowded(true, 0, 100, UINT64_MAX));
}

TEST("the fuller the budget, the longer the run must be")
{
	uint32_t last = 1;

	for (uint64_t used = 0; used < 65529; used++) {
		uint32_t len = runs_shortest(used, 65530, 0);

		CHECK_GE(len, last);
		CHECK_LE(len, PS_BLOCK_PAGES);
		last = len;
	}
}

TEST("a run is worth its cost: free ones always, others by length for each mapping")
{
	CHECK(runs_worth(&(struct run){.len = 1, .cost = 0}, 0));
	CHECK(runs_worth(&(struct run){.len = 1, .cost = -2}, 512));
	CHECK(!runs_worth(&(struct run){.len = 512, .cost = 1}, 0));
	CHECK(!runs_worth(&(struct run){.len = 512, .cost = 2}, 0));
	CHECK(runs_worth(&(struct run){.len = 4, .cost = 2}, 4));
	CHECK(!runs_worth(&(struct run){.len = 3, .cost = 2}, 4));
	CHECK(runs_worth(&(struct run){.len = 2, .cost = 1}, 4));
	CHECK(!runs_worth(&(struct run){.len = 1, .cost = 1}, 4));
	CHECK(runs_worth(&(struct run){.len = 1, .cost = 1}, 1));
}
