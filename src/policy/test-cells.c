/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/cells.h"
#include "policy/test-random.h"

#include <stdlib.h>

TEST("cells do not overlap: each keeps what was written into it")
{
	enum { N = 3000 };
	struct cells cells;
	uint32_t *cell = calloc(N, sizeof(*cell));

	cells_init(&cells);
	for (uint32_t i = 0; i < N; i++) {
		cell[i] = cells_alloc(&cells);
		REQUIRE_NE(cell[i], CELL_NONE);
		for (uint32_t w = 0; w < CELL_WORDS; w++)
			cells_at(&cells, cell[i])[w] = i;
	}
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t w = 0; w < CELL_WORDS; w++)
			CHECK_EQ(cells_at(&cells, cell[i])[w], i);
	CHECK(cells_check(&cells));
	cells_deinit(&cells);
	cells_deinit(&cells);
	free(cell);
}

TEST("a freed cell is the next one given")
{
	struct cells cells;
	uint32_t a, b;

	cells_init(&cells);
	a = cells_alloc(&cells);
	b = cells_alloc(&cells);
	cells_release(&cells, a);
	CHECK_EQ(cells_alloc(&cells), a);
	CHECK_NE(cells_alloc(&cells), b);
	CHECK(cells_check(&cells));
	cells_deinit(&cells);
}

TEST("a slab that is empty goes back, and is there again when it is needed")
{
	struct cells cells;
	uint64_t empty;

	cells_init(&cells);
	cells_release(&cells, cells_alloc(&cells));
	empty = cells.bytes;
	CHECK_LT(empty, 1000u);
	for (int round = 0; round < 10; round++) {
		uint32_t cell[2 * SLAB_CELLS];

		for (uint32_t i = 0; i < 2 * SLAB_CELLS; i++)
			cell[i] = cells_alloc(&cells);
		CHECK_GT(cells.bytes, 2ull * SLAB_CELLS * CELL_WORDS * 8);
		for (uint32_t i = 0; i < 2 * SLAB_CELLS; i++)
			cells_release(&cells, cell[i]);
		CHECK_EQ(cells.bytes, empty);
		CHECK(cells_check(&cells));
	}
	cells_deinit(&cells);
}

TEST("random calls agree with a model of every cell")
{
	enum { N = 2000 };
	uint32_t *cell = malloc(N * sizeof(*cell));
	struct cells cells;
	struct rng rng = {18};

	cells_init(&cells);
	memset(cell, 0xff, N * sizeof(*cell));
	for (int i = 0; i < 300000; i++) {
		/* the number in use swings between few and nearly all */
		uint32_t at = rng_below(&rng, N), few = i / 30000 % 2 ? 3 : 1;

		if (cell[at] == CELL_NONE && rng_below(&rng, 4) < few) {
			cell[at] = cells_alloc(&cells);
			REQUIRE_NE(cell[at], CELL_NONE);
			cells_at(&cells, cell[at])[0] = at;
			cells_at(&cells, cell[at])[CELL_WORDS - 1] = at;
		} else if (cell[at] != CELL_NONE && rng_below(&rng, 4) >= few) {
			CHECK_EQ(cells_at(&cells, cell[at])[0], at);
			CHECK_EQ(cells_at(&cells, cell[at])[CELL_WORDS - 1], at);
			cells_release(&cells, cell[at]);
			cell[at] = CELL_NONE;
		}
		if (i % 10000 == 0)
			CHECK(cells_check(&cells));
	}
	cells_deinit(&cells);
	free(cell);
}
