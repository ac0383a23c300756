/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/progress.h"

/* A quarter is to be seen yet; of the rest a third is saved. */
static struct progress_input half_way(void)
{
	return (struct progress_input){
		.active = true,
		.present = 400000,
		.unseen = 100000,
		.saved = 100000,
		.quarantined = 20000,
		.looks = 5,
		.rate = 1000,
		.look_ms = 1000,
		.quarantine_ms = 2000,
	};
}

TEST("what is expected of the rest is what was found so far")
{
	struct progress_input in = half_way();
	struct progress p = progress_of(&in);

	CHECK_EQ(p.looked, 75);
	CHECK_EQ(p.saved, 80000u);
	CHECK_EQ(p.expected, 133333u);
	CHECK_EQ(p.left_ms, 103000u); /* 100 s of hashing, a look, a quarantine */
	CHECK(!p.settled);
	in.waiting = 1000000;
	CHECK_EQ(progress_of(&in).expected, 400000u); /* never more than there is */
}

TEST("how far sharing has come: a part of what is expected, one only when it has settled")
{
	struct progress_input in = half_way();
	struct progress p = progress_of(&in);

	CHECK_GT(p.done, 0.59);
	CHECK_LT(p.done, 0.61);
	CHECK_EQ(p.remaining, 53333u);
	in.waiting = 40000; /* hints with a twin that are not shared yet */
	CHECK_EQ(progress_of(&in).remaining, 93333u);
	in.saved = in.quarantined = 0;
	in.waiting = 0;
	CHECK_EQ(progress_of(&in).done, 0.75); /* nothing is known to come: what was looked at */
	in.unseen = 0;
	CHECK_EQ(progress_of(&in).done, 1);
	in.looks = 0;
	CHECK_LT(progress_of(&in).done, 1);
	in.looks = 5;
	in.saved = 100000;
	CHECK_EQ(progress_of(&in).done, 1);
	CHECK_EQ(progress_of(&in).remaining, 0u);
}

TEST("it has settled when next to nothing is under way, and each part can hold it up")
{
	struct progress_input in = half_way(), bad;

	in.unseen = in.quarantined = 6000;
	in.waiting = 100;
	CHECK(progress_of(&in).settled);
	CHECK_EQ(progress_of(&in).left_ms, 0u);
	bad = in;
	bad.unseen = 7000;
	CHECK(!progress_of(&bad).settled);
	bad = in;
	bad.quarantined = 7000;
	CHECK(!progress_of(&bad).settled);
	bad = in;
	bad.waiting = 7000;
	CHECK(!progress_of(&bad).settled);
	bad = in;
	bad.lost = true;
	CHECK(!progress_of(&bad).settled);
	bad = in;
	bad.looks = 1;
	CHECK(!progress_of(&bad).settled);
	CHECK_EQ(progress_of(&bad).left_ms, 1000u + 6000 + 1000 + 2000);
	bad = in;
	bad.active = false;
	CHECK(!progress_of(&bad).settled);
	CHECK_EQ(progress_of(&bad).left_ms, PROGRESS_NEVER);
}

TEST("who may hash nothing never ends, and figures that do not hold harm nobody")
{
	struct progress_input in = half_way();

	in.rate = 0;
	CHECK_EQ(progress_of(&in).left_ms, PROGRESS_NEVER);
	in = (struct progress_input){.active = true, .unseen = 99, .quarantined = 5};
	CHECK_EQ(progress_of(&in).looked, 0);
	CHECK_EQ(progress_of(&in).expected, 0u);
	in.looks = 2;
	CHECK(progress_of(&in).settled); /* nothing there, all of it seen */
	CHECK_EQ(progress_of(&in).looked, 100);
}
