/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/workset.h"

#include <math.h>

static bool near(double x, double y)
{
	return fabs(x - y) < 1e-9;
}

TEST("before the first period is over all memory counts as used")
{
	struct workset w = {0};

	CHECK(near(workset_part(&w), 1));
	workset_so_far(&w, 0, 100);
	CHECK(near(workset_part(&w), 1));
	workset_period(&w, 20, 100);
	CHECK(near(workset_part(&w), 0.2));
}

TEST("the estimate follows more use at once and less use slowly")
{
	struct workset w = {0};

	for (int i = 0; i < 50; i++)
		workset_period(&w, 10, 100);
	CHECK(near(workset_part(&w), 0.1));
	workset_so_far(&w, 60, 100); /* in the middle of a period */
	CHECK(near(workset_part(&w), 0.6));
	workset_period(&w, 80, 100);
	CHECK(near(workset_part(&w), 0.45)); /* fast: half of the way */
	workset_period(&w, 0, 100);
	CHECK(near(w.fast, 0.225));
	CHECK(near(w.slow, 0.1 + 0.125 * 0.7 - 0.125 * (0.1 + 0.125 * 0.7)));
	CHECK(near(workset_part(&w), 0.225));
	workset_period(&w, 0, 100);
	CHECK(near(workset_part(&w), w.slow)); /* from now on the slow one is larger */
	CHECK(workset_part(&w) > w.fast);
}

TEST("the largest of the three counts, whatever comes, and it stays between 0 and 1")
{
	struct workset w = {0};
	uint64_t random = test_seed();

	for (int i = 0; i < 100000; i++) {
		uint32_t n, t;
		double part;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		n = (uint32_t)(random >> 33) % 200;
		t = n ? (uint32_t)(random >> 20) % (n + 3) : 0; /* more than n, too */
		if (random & 4)
			workset_period(&w, t, n);
		else
			workset_so_far(&w, t, n);
		part = workset_part(&w);
		REQUIRE(part >= 0 && part <= 1);
		REQUIRE(part >= w.slow && part >= w.fast && part >= w.now);
	}
}

TEST("a period in which nothing could be sampled changes nothing")
{
	struct workset w = {0};

	workset_period(&w, 0, 0);
	CHECK(near(workset_part(&w), 1));
	workset_period(&w, 30, 100);
	workset_period(&w, 0, 0);
	CHECK(near(workset_part(&w), 0.3));
}
