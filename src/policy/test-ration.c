/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/ration.h"

#define SECOND 1000000000ull

static struct rations some(void)
{
	return (struct rations){.burst = 3, .every = 10 * SECOND};
}

static uint32_t take_all(struct rations *r, uint32_t uid, uint64_t now)
{
	uint32_t n = 0;

	while (rations_take(r, uid, now, NULL))
		n++;
	return n;
}

TEST("a burst, then one in so long, and never more than a burst at once")
{
	struct rations r = some();

	CHECK_EQ(take_all(&r, 1000, SECOND), 3);
	CHECK_EQ(take_all(&r, 1000, 10 * SECOND), 0);
	CHECK_EQ(take_all(&r, 1000, 11 * SECOND), 1);
	CHECK_EQ(take_all(&r, 1000, 31 * SECOND), 2);
	CHECK_EQ(take_all(&r, 1000, 1000 * SECOND), 3);
	CHECK_EQ(take_all(&r, 1000, UINT64_MAX), 3);
}

TEST("no user takes what is another's, whatever their numbers")
{
	struct rations r = some();

	for (uint32_t i = 0; i < RATIONS_USERS; i++)
		CHECK_EQ(take_all(&r, 1000 + i * RATIONS_USERS, SECOND), 3);
}

TEST("with more users than places nobody gets more, and those that rest make room")
{
	struct rations r = some();

	for (uint32_t uid = 0; uid < RATIONS_USERS; uid++)
		CHECK_EQ(take_all(&r, uid, SECOND), 3);
	CHECK_EQ(take_all(&r, 5000, 2 * SECOND), 0);
	CHECK_EQ(take_all(&r, 5, 12 * SECOND), 1);
	CHECK(rations_take(&r, 5, 60 * SECOND, NULL)); /* the others have something to tell, ever */
	CHECK_EQ(take_all(&r, 5000, 120 * SECOND), 3);
	CHECK_EQ(take_all(&r, 6000, 120 * SECOND), 3);
	CHECK_EQ(take_all(&r, 5001, 120 * SECOND), 3);
}

TEST("what was withheld is told with the next one, once")
{
	struct rations r = some();
	uint64_t withheld = 99;

	take_all(&r, 7, SECOND);
	CHECK(!rations_take(&r, 7, SECOND, &withheld));
	CHECK_EQ(withheld, 0);
	CHECK(!rations_take(&r, 7, SECOND, NULL));
	CHECK(rations_take(&r, 7, 11 * SECOND, &withheld));
	CHECK_EQ(withheld, 3);
	CHECK(rations_take(&r, 7, 21 * SECOND, &withheld));
	CHECK_EQ(withheld, 0);
}
