// SPDX-License-Identifier: LGPL-2.1-or-later
/* The tree as it is keeps to the rules. What a check prints is the reason. */
#include "harness/harness.h"

#include <stdio.h>

#define CANNOT_CHECK 77

static char out[1 << 16];

static void keeps(int status)
{
	fputs(out, stdout);
	if (status == CANNOT_CHECK)
		SKIP("%.*s", (int)strcspn(out, "\n"), out);
	CHECK_EQ(status, 0);
}

TEST("the folders depend on each other only downward, and only src/sys makes system calls")
{
	keeps(TEST_RUN(out, sizeof(out), test_source("scripts/check-arrows")));
}

TEST("each defence of a guest is in the table, is used, and has a test that misses it")
{
	keeps(TEST_RUN(out, sizeof(out), test_source("scripts/check-defences")));
}

TEST("the files keep to the house style")
{
	keeps(TEST_RUN(out, sizeof(out), test_source("scripts/check-style")));
}

TEST("the agent exports the symbols that it has to, and no other")
{
	keeps(TEST_RUN(out, sizeof(out), test_source("scripts/check-symbols"), test_built(".")));
}

TEST("programs and manual say the same")
{
	keeps(TEST_RUN(out, sizeof(out), test_source("scripts/check-manual"), test_built(".")));
}

TEST("no package is installed that nothing is linked with")
{
	keeps(TEST_RUN(out, sizeof(out), test_source("scripts/check-packages")));
}

TEST("what bash and zsh complete is what the program's help says")
{
	keeps(TEST_RUN(out, sizeof(out), test_source("scripts/check-completions"),
		       test_built(".")));
}

TEST("the daemon's unit lets through what the daemon's own filter does")
{
	keeps(TEST_RUN(out, sizeof(out), test_source("scripts/check-unit")));
}
