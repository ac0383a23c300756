/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/fair.h"
#include "policy/test-random.h"

TEST("with one user it is by memory alone")
{
	struct fair f = {.vm = 100, .user = 400, .all = 400, .users = 1};

	CHECK_EQ(fair_part(&f, 8192), 2048u);
	f.vm = 400;
	CHECK_EQ(fair_part(&f, 8192), 8192u);
	CHECK_EQ(fair_part(&f, 8191), 8191u);
}

TEST("whatever another user has, half of an equal share is left")
{
	struct fair f = {.vm = 1000, .user = 1000, .users = 2};

	for (uint64_t other = 1; other < UINT64_MAX / 4; other *= 2) {
		f.all = 1000 + other;
		CHECK_GE(fair_part(&f, 1000000), 250000u);
	}
}

TEST("the parts of all VMs are the budget at most, and hardly less")
{
	struct rng rng = {8};

	for (int round = 0; round < 1000; round++) {
		uint64_t size[4][5], user[4] = {0}, all = 0, sum = 0;

		for (int u = 0; u < 4; u++)
			for (int v = 0; v < 5; v++) {
				size[u][v] = 1 + rng_below(&rng, 1u << 28);
				user[u] += size[u][v];
				all += size[u][v];
			}
		for (int i = 0; i < 20; i++) {
			struct fair f = {size[i / 5][i % 5], user[i / 5], all, 4};

			sum += fair_part(&f, 1u << 20);
		}
		CHECK_LE(sum, 1u << 20);
		CHECK_GT(sum + 100, 1u << 20);
	}
}

TEST("who has nothing gets nothing, and sums that do not hold harm nobody")
{
	struct fair f = {.vm = 0};

	CHECK_EQ(fair_part(&f, 1000), 0u);
	f.vm = 5;
	CHECK_EQ(fair_part(&f, 1000), 1000u);
	f.users = UINT64_MAX;
	f.all = UINT64_MAX;
	CHECK_LE(fair_part(&f, UINT64_MAX), UINT64_MAX);
}
