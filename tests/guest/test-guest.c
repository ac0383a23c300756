/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Real guests. The demo in small: it boots Debian under QEMU, shares, has the guests check
 * themselves, write half of their memory anew and read their disk again, and counts page frames.
 */
#include "harness/harness.h"

#include <stdio.h>

#define SECONDS 600 /* 60 on two idle CPUs; images are made and kept by the first run */
#define CANNOT_RUN 77

static char out[1 << 16];

/* The last line that is not empty: why the demo cannot run here. */
static const char *last_line(void)
{
	char *end = out + strlen(out), *line;

	while (end > out && end[-1] == '\n')
		*--end = '\0';
	line = strrchr(out, '\n');
	return line ? line + 1 : out;
}

/* Small guests, for which there is room beside the others. */
#define TEST_PINS(sentence) TEST_WITH(sentence, .seconds = SECONDS, .needs = "guest-pins")

/* What a script printed is shown if the test fails, and its last line is why it was skipped. */
static void judge(int status)
{
	if (status == CANNOT_RUN)
		SKIP("%s", last_line());
	fputs(out, stdout);
	CHECK_EQ(status, 0);
}

TEST_SECONDS("a Debian guest sees one wrong bit in its memory", SECONDS)
{
	judge(TEST_RUN(out, sizeof(out), test_source("tests/guest/flip"), test_built(".")));
}

TEST_SECONDS("Debian guests share, write and read, and every byte of them is right", SECONDS)
{
	judge(TEST_RUN(out, sizeof(out), test_source("demo/run"), "--build", test_built("."),
		       "--domains", "1", "--guests", "2", "--memory", "256"));
}

TEST_SECONDS("a guest that shares is migrated, and no byte of it is wrong beside one that does not",
	     SECONDS)
{
	judge(TEST_RUN(out, sizeof(out), test_source("tests/guest/migrate"), test_built(".")));
}

TEST_SECONDS("a guest is forked, its children too, and no byte of anybody is another's", SECONDS)
{
	judge(TEST_RUN(out, sizeof(out), test_source("tests/guest/fork"), test_built(".")));
}

TEST_SECONDS("a fork that fails leaves the parent as it was, and nothing behind", SECONDS)
{
	judge(TEST_RUN(out, sizeof(out), test_source("tests/guest/forkfail"), test_built(".")));
}

static void pins(const char *way)
{
	judge(TEST_RUN(out, sizeof(out), test_source("tests/guest/pins"), test_built("."), way));
}

TEST_PINS("QEMU in its sandbox, with nothing that pins, shares without a fork")
{
	pins("descriptors");
}

TEST_PINS("QEMU in its sandbox, with disks past the cache, keeps its frames guarded")
{
	pins("guarded");
}

TEST_PINS("QEMU without a sandbox has pins told by a fork")
{
	pins("fork");
}

TEST_SECONDS("Debian guests give memory back by their balloon, and get it; others are passed over",
	     SECONDS)
{
	judge(TEST_RUN(out, sizeof(out), test_source("tests/guest/balloon"), test_built(".")));
}

TEST_SECONDS("Debian guests on less memory than they want get on, and no byte is wrong", SECONDS)
{
	judge(TEST_RUN(out, sizeof(out), test_source("tests/guest/pressure"), test_built("."),
		       "--guests", "2", "--memory", "256", "--budget", "450", "--rounds", "1",
		       "--ms", "500"));
}
