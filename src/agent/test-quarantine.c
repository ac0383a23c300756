/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/quarantine.h"
#include "harness/harness.h"

TEST("a page that came after the round began is new, not 49 days old")
{
	CHECK_EQ(quarantine_age(1000, 1000), 0);
	CHECK_EQ(quarantine_age(1000, 999), 0);
	CHECK_EQ(quarantine_age(1000, 940), 0);
	CHECK_EQ(quarantine_age(0, UINT32_MAX), 0);
}

TEST("a page grows older, over the end of the clock too")
{
	CHECK_EQ(quarantine_age(1000, 1001), 1);
	CHECK_EQ(quarantine_age(1000, 61000), 60000);
	CHECK_EQ(quarantine_age(UINT32_MAX - 499, 1500), 2000);
}
