/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/promote.h"

TEST("while few pages come back reclaim is as fast as it likes")
{
	struct promote p = {0};

	for (uint64_t s = 1; s < 10; s++) {
		promote_judge(&p, s * 1000, s * 10, 100);
		CHECK_EQ(promote_allow(&p, 5000), 5000);
		promote_out(&p, 5000);
		CHECK(!promote_slowed(&p));
	}
	CHECK_EQ(p.rate, 10);
}

TEST("too many promotions halve what goes out, second by second, and never stop it")
{
	struct promote p = {0};
	uint64_t back = 0;
	uint32_t before = 4000;

	promote_judge(&p, 1000, back, 100);
	promote_out(&p, before);
	for (uint64_t s = 2; s < 20; s++) {
		uint32_t may;

		back += 500;
		promote_judge(&p, s * 1000, back, 100);
		may = promote_allow(&p, UINT32_MAX);
		CHECK(promote_slowed(&p));
		CHECK_EQ(may, before / 2 < PROMOTE_LEAST ? PROMOTE_LEAST : before / 2);
		promote_out(&p, may);
		CHECK_EQ(promote_allow(&p, 1), 0);
		before = may;
	}
	CHECK_EQ(before, PROMOTE_LEAST);
}

TEST("when few come back again, twice as many go out each second, up to any number")
{
	struct promote p = {.since_ms = 1, .pace = PROMOTE_LEAST};
	uint32_t before = PROMOTE_LEAST;

	for (uint64_t s = 1; promote_slowed(&p); s++) {
		uint32_t may;

		REQUIRE_LT(s, 40);
		promote_judge(&p, 1 + s * 1000, 0, 100);
		may = promote_allow(&p, UINT32_MAX);
		REQUIRE_GE(may, before * 2 > PROMOTE_MOST ? PROMOTE_MOST : before * 2);
		before = may;
	}
}

TEST("between half of the limit and the limit the pace stays; without a limit there is none")
{
	struct promote p = {.since_ms = 1, .pace = 64};

	promote_judge(&p, 1001, 80, 100);
	CHECK_EQ(p.pace, 64);
	promote_judge(&p, 2001, 100000, 0);
	CHECK(!promote_slowed(&p));
	CHECK_EQ(p.rate, 99920);
}

TEST("a second that was long counts as long as it was")
{
	struct promote p = {0};

	promote_judge(&p, 1000, 0, 100);
	promote_judge(&p, 11000, 900, 100);
	CHECK_EQ(p.rate, 90);
	CHECK(!promote_slowed(&p));
}
