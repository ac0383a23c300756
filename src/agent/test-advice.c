/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/advice.h"

#include <limits.h>
#include <sys/mman.h>

#include "harness/harness.h"
#include "sys/uapi.h"

TEST("what discards is followed, and what nobody knows gives the region up")
{
	CHECK_EQ(advice_kind(MADV_DONTNEED), ADVICE_DISCARD);
	CHECK_EQ(advice_kind(MADV_DONTNEED_LOCKED), ADVICE_DISCARD);
	CHECK_EQ(advice_kind(MADV_FREE), ADVICE_DISCARD);
	CHECK_EQ(advice_kind(MADV_REMOVE), ADVICE_REMOVE);
	CHECK_EQ(advice_kind(MADV_MERGEABLE), ADVICE_OFFER);
	CHECK_EQ(advice_kind(MADV_UNMERGEABLE), ADVICE_WITHDRAW);
	CHECK_EQ(advice_kind(MADV_WIPEONFORK), ADVICE_ANEW);
	CHECK_EQ(advice_kind(MADV_GUARD_INSTALL), ADVICE_ANEW);
	CHECK_EQ(advice_kind(MADV_GUARD_REMOVE), ADVICE_ANEW);
	CHECK_EQ(advice_kind(MADV_COLLAPSE + 1), ADVICE_ANEW);
	CHECK_EQ(advice_kind(MADV_HWPOISON), ADVICE_ANEW);
	CHECK_EQ(advice_kind(-1), ADVICE_ANEW);
	CHECK_EQ(advice_kind(INT_MAX), ADVICE_ANEW);
	CHECK_EQ(advice_kind(INT_MIN), ADVICE_ANEW);
}

TEST("only what leaves every page as it is goes to the kernel alone")
{
	unsigned int passed = 0;

	for (int advice = -10; advice < 300; advice++)
		passed += advice_kind(advice) == ADVICE_PASS;
	CHECK_EQ(advice_kind(MADV_WILLNEED), ADVICE_PASS);
	CHECK_EQ(advice_kind(MADV_COLD), ADVICE_PASS);
	CHECK_EQ(advice_kind(MADV_PAGEOUT), ADVICE_PASS);
	CHECK_EQ(advice_kind(MADV_POPULATE_READ), ADVICE_PASS);
	CHECK_EQ(advice_kind(MADV_POPULATE_WRITE), ADVICE_PASS);
	CHECK_EQ(passed, 5);
}
