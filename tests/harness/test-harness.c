// SPDX-License-Identifier: LGPL-2.1-or-later
/* The harness sees what it has to see: each test runs a specimen and reads what is said of it. */
#include "harness/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_SEEN true
#else
#define LEAKS_SEEN false
#endif

static char out[1 << 20];

static int specimen(const char *name)
{
	return TEST_RUN(out, sizeof(out), test_built("tests/harness/specimens"), name);
}

/* The specimen fails, and these words are in what is said of it. */
static void must_fail(const char *name, const char *words, const char *more)
{
	char line[256];

	CHECK_EQ(specimen(name), 1);
	snprintf(line, sizeof(line), "\nnot ok 1 - %s\n", name);
	CHECK_IN(line, out);
	CHECK_IN(words, out);
	CHECK_IN(more, out);
}

TEST("a test that passes is counted as ok, and its output is not shown")
{
	CHECK_EQ(specimen("passes"), 0);
	CHECK_STR(out, "TAP version 13\n1..1\nok 1 - passes\n");
}

TEST("a failed REQUIRE ends the test and shows both values and what was printed before")
{
	must_fail("fails plainly", "specimens.c:24: not so: 1 + 1 == 3: 2 is not == 3",
		  "#   a word before the end\n");
	CHECK(!strstr(out, "never printed"));
}

TEST("a failed CHECK lets the test go on, and numbers are compared by value, not by type")
{
	must_fail("notes two failures and goes on",
		  "big == -1: 18446744073709551615 (0xffffffffffffffff) is not == -1",
		  "\"left\", \"right\" is \"right\"");
	CHECK_IN("#   gone on\n", out);
}

TEST("a crash is seen, with its signal")
{
	CHECK_EQ(specimen("crashes"), 1);
	CHECK_IN("\nnot ok 1 - crashes\n", out);
	/* AddressSanitizer makes a report and an abort of SIGSEGV, ThreadSanitizer a status */
	CHECK(strstr(out, "crashed: killed by SIGSEGV") ||
	      (SANITIZED && (strstr(out, "crashed: killed by SIGABRT") ||
			     strstr(out, "exited with status 66"))));
}

TEST("a hang is seen, killed after the timeout, and said where")
{
	int64_t start = test_now_ns();

	must_fail("hangs", "# hung: no end after 1 s: specimens", "");
	CHECK_LT(test_now_ns() - start, 20000000000ll);
}

TEST("a skip is no failure and carries its reason")
{
	CHECK_EQ(specimen("skips"), 0);
	CHECK_IN("\nok 1 - skips # SKIP no moon here\n", out);
}

TEST("a failed REQUIRE in a second thread ends the test")
{
	must_fail("fails in a thread", "-ENOENT failed: -2 (ENOENT)", "");
}

TEST("a failure in a child fails the test, even if nobody waited for the child's status")
{
	must_fail("fails in a child that nobody looks at", "differ from byte 3 of 6: 64 65 66",
		  "78 65 66");
}

TEST("a process left behind is seen and killed, even if it left the group of the test")
{
	must_fail("leaves a process behind that left its group", "left processes behind: specimens",
		  "");
}

TEST("a test that exits by itself, with whatever status, has failed")
{
	must_fail("calls exit itself", "exited before its end", "");
	must_fail("exits with a status of its own", "exited with status 7", "");
}

TEST("a leak is seen where LeakSanitizer looks")
{
	if (!LEAKS_SEEN)
		SKIP("this build has no LeakSanitizer");
	CHECK_EQ(specimen("leaks"), 1);
	CHECK_IN("not ok 1 - leaks", out);
	CHECK_IN("100 byte(s) leaked in 1 allocation(s)", out);
}

TEST("a test's folder is gone when the test has ended, though it failed")
{
	char *path, *end;

	must_fail("makes a folder and shows it", "folder=", "");
	path = strstr(out, "folder=") + strlen("folder=");
	end = strchr(path, '.');
	REQUIRE(end);
	*end = '\0';
	CHECK(access(path, F_OK) != 0);
}

TEST("of a long output the end is shown")
{
	must_fail("prints more than is shown", "# it printed (the end of it):", "line 99999\n");
	CHECK(!strstr(out, "line 5\n"));
}

TEST("all fates together, four at a time, are each counted once")
{
	unsigned int ok = 0, bad = 0;

	CHECK_EQ(TEST_RUN(out, sizeof(out), test_built("tests/harness/specimens"), "--jobs", "4"),
		 1);
	for (char *line = out; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		ok += strncmp(line, "ok ", 3) == 0;
		bad += strncmp(line, "not ok ", 7) == 0;
	}
	CHECK_EQ(ok + bad, 14);
	CHECK_EQ(ok, LEAKS_SEEN ? 2 : 3);
}

TEST("--plan says of each test what it takes, and --number runs that one alone")
{
	CHECK_EQ(specimen("--plan"), 0);
	CHECK_IN(SANITIZED ? "1\t180\t0\t-\tpasses\n" : "1\t60\t0\t-\tpasses\n", out);
	CHECK_IN("\n5\t1\t0\t-\thangs\n", out);
	CHECK_IN("\n6\t60\t150\tmoon,quiet\tskips\n", out);
	CHECK_EQ(specimen("--number=1"), 0);
	CHECK_STR(out, "TAP version 13\n1..1\nok 1 - passes\n");
	CHECK_EQ(specimen("--number=99"), 2);
	CHECK_IN("--number 99: no such test", out);
}

TEST("--patience gives a test so many times its timeout, and says so when it hangs")
{
	CHECK_EQ(TEST_RUN(out, sizeof(out), test_built("tests/harness/specimens"), "--patience",
			  "2", "hangs"),
		 1);
	CHECK_IN("# hung: no end after 2 s: specimens", out);
}

TEST("a name that no test has, or a wrong option, is refused in one line")
{
	CHECK_EQ(specimen("no such sentence"), 2);
	CHECK_IN("no test's sentence has \"no such sentence\" in it", out);
	CHECK_EQ(specimen("--jobs=0"), 2);
	CHECK_IN("--jobs: \"0\" is not a number from 1 to", out);
}
