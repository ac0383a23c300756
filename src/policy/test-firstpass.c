/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/firstpass.h"

#include "harness/harness.h"

#define GUEST 262144ull /* pages: 1 GiB */

/* Looks until it is over; returns how many, at most 10000. Each hashes a part of what is there. */
static unsigned int looks(struct first_pass *first, uint64_t *hashed, uint64_t present,
			  uint64_t each)
{
	unsigned int n = 0;

	while (!first->over && n < 10000) {
		*hashed += each;
		first_pass_judge(first, *hashed, present);
		n++;
	}
	return n;
}

TEST("a guest at rest has its first pass, and then thirty looks that find nothing end it")
{
	struct first_pass first;
	uint64_t hashed = 77;

	first_pass_begin(&first, hashed);
	for (int i = 0; i < 8; i++) {
		hashed += GUEST / 8;
		first_pass_judge(&first, hashed, GUEST);
	}
	CHECK(!first.over);
	CHECK_EQ(looks(&first, &hashed, GUEST, 0), FIRST_PASS_QUIET_LOOKS);
	CHECK_EQ(first_pass_rate(&first, 20, 65536), 20);
}

TEST("a guest that boots by leaps is looked at fast until the last of them")
{
	struct first_pass first;
	uint64_t hashed = 0, present = 512;

	first_pass_begin(&first, hashed);
	for (int leap = 0; leap < 8; leap++, present *= 3) {
		hashed = present;
		first_pass_judge(&first, hashed, present);
		for (unsigned int rest = 0; rest < FIRST_PASS_QUIET_LOOKS - 1; rest++)
			first_pass_judge(&first, hashed, present);
		CHECK(!first.over);
		CHECK_EQ(first_pass_rate(&first, 20, 65536), 65536);
	}
}

TEST("a guest that rewrites all its memory for ever is paid for twice, not for ever")
{
	struct first_pass first;
	uint64_t hashed = 0;

	first_pass_begin(&first, hashed);
	looks(&first, &hashed, GUEST, GUEST / 16);
	CHECK(first.over);
	CHECK_LE(hashed, FIRST_PASS_TIMES * GUEST + GUEST / 16);
}

TEST("a guest whose pages never rest is looked at fast for thirty looks, not for ever")
{
	struct first_pass first;
	uint64_t hashed = 0;

	first_pass_begin(&first, hashed);
	CHECK_EQ(looks(&first, &hashed, GUEST, 1), FIRST_PASS_QUIET_LOOKS);
}

TEST("without memory it has not begun, however long that takes")
{
	struct first_pass first;

	first_pass_begin(&first, 0);
	for (int i = 0; i < 1000; i++)
		first_pass_judge(&first, 0, 0);
	CHECK(!first.over);
}

TEST("the rate of a first pass is never less than the usual one, and none stays none")
{
	struct first_pass first;

	first_pass_begin(&first, 0);
	CHECK_EQ(first_pass_rate(&first, 0, 65536), 0);
	CHECK_EQ(first_pass_rate(&first, 1024, 0), 1024);
	CHECK_EQ(first_pass_rate(&first, 4194304, 65536), 4194304);
	CHECK_EQ(first_pass_rate(&first, 1, 65536), 65536);
}
