// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which huge page is broken first. */
#include "harness/harness.h"
#include "policy/large.h"
#include "policy/test-random.h"

/* A look at a block: parts from..to-1 have changed since the last. */
static void look(struct large_still *s, uint64_t *hash, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++) {
		if (i >= from && i < to)
			hash[i] = hash[i] * 6364136223846793005ull + 1442695040888963407ull;
		large_still_add(s, i, hash[i]);
	}
}

TEST("a block is still where its parts are the same at two looks")
{
	struct large_still s = {0};
	uint64_t hash[PS_BLOCK_PAGES];
	struct rng rng = {1};

	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++)
		hash[i] = rng_next(&rng);
	look(&s, hash, 0, 0);
	CHECK_EQ(s.still, 0); /* nothing to compare with */
	look(&s, hash, 0, 0);
	CHECK_EQ(s.still, LARGE_STRETCHES);
	look(&s, hash, 100, 101); /* one page */
	CHECK_EQ(s.still, LARGE_STRETCHES - 1);
	look(&s, hash, 0, 0);
	CHECK_EQ(s.still, LARGE_STRETCHES);
	look(&s, hash, 60, 70); /* over a border */
	CHECK_EQ(s.still, LARGE_STRETCHES - 2);
	look(&s, hash, 0, PS_BLOCK_PAGES);
	CHECK_EQ(s.still, 0);
}

TEST("a change of any single part is seen, nearly always")
{
	struct large_still s = {0};
	uint64_t hash[PS_BLOCK_PAGES];
	struct rng rng = {2};
	uint32_t missed = 0;

	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++)
		hash[i] = 0; /* zeros, all alike */
	look(&s, hash, 0, 0);
	for (uint32_t round = 0; round < 500; round++) {
		uint32_t i = (uint32_t)rng_below(&rng, PS_BLOCK_PAGES);

		look(&s, hash, i, i + 1);
		missed += s.still != LARGE_STRETCHES - 1;
	}
	CHECK_LE(missed, 2); /* one in 65536 by chance */
}

TEST("most to give comes first, the colder of two that give as much, and what gives little never")
{
	struct large_still cold = {.still = LARGE_STRETCHES}, hot = {.still = 0};

	CHECK_GT(large_score(200, &cold, false), large_score(100, &cold, false));
	CHECK_GT(large_score(200, &cold, false), large_score(200, &hot, false));
	CHECK_GT(large_score(512, &hot, false), large_score(200, &cold, false));
	CHECK_GT(large_score(200, &cold, false), large_score(300, &hot, false));
	CHECK_EQ(large_score(LARGE_WORTH - 1, &cold, false), 0);
	CHECK_GT(large_score(LARGE_WORTH, &hot, false), 0);
	CHECK_EQ(large_score(0, &cold, false), 0);
}

TEST("where cold pages are to go out, every block has its turn, the coldest first")
{
	struct large_still cold = {.still = LARGE_STRETCHES}, hot = {.still = 0};

	CHECK_GT(large_score(0, &hot, true), 0);
	CHECK_GT(large_score(0, &cold, true), large_score(0, &hot, true));
	CHECK_GT(large_score(1, &hot, true), large_score(0, &hot, true));
	CHECK_GT(large_score(LARGE_WORTH, &hot, true), large_score(0, &cold, true));
}
