// SPDX-License-Identifier: LGPL-2.1-or-later
/* scripts/run-tests counts what programs say, and what they should have said and did not. */
#include "checks/tree.h"

#include <stdio.h>

/* A build folder with one program, that is there. */
static int run_listed(const char *seconds)
{
	char list[1024], selection[600];

	snprintf(list, sizeof(list), "unit\tprog\t%s\t%s\n", seconds, tree_path("build/prog"));
	tree_write("build/tests/programs.list", list);
	tree_write("build/build.ninja", "");
	snprintf(selection, sizeof(selection), "%s:unit", tree_path("build"));
	return TREE_CHECK("run-tests", selection);
}

/* The program is a script that prints these lines and exits so. */
static int run_program(const char *lines, int status, const char *seconds)
{
	char script[2048];

	snprintf(script, sizeof(script), "#!/bin/sh\ncat <<'EOF'\n%sEOF\n%s\nexit %d\n", lines,
		 strcmp(seconds, "1") == 0 ? "case $* in *--plan*) ;; *) exec sleep 60;; esac" : "",
		 status);
	tree_write("build/prog", script);
	return run_listed(seconds);
}

static void ends_with(const char *line)
{
	size_t len = strlen(tree_out), want = strlen(line);

	CHECK_GE(len, want);
	CHECK_STR(tree_out + (len > want ? len - want : 0), line);
}

TEST("run-tests ends with the count and success when all pass or skip, and says why they skip")
{
	CHECK_EQ(run_program("TAP version 13\n1..2\nok 1 - a\nok 2 - b # SKIP no moon\n", 0, "20"),
		 0);
	ends_with("\n1 passed, 0 failed, 1 skipped\n");
	CHECK_IN("unit/prog: b: no moon", tree_out);
}

TEST("run-tests fails when one fails, and shows what it said")
{
	CHECK_EQ(run_program("1..2\nok 1 - a\nnot ok 2 - b\n#   because\n", 1, "20"), 1);
	ends_with("\n1 passed, 1 failed, 0 skipped\n");
	CHECK_IN("#   because", tree_out);
}

TEST("run-tests counts tests that a dead program did not report as failed")
{
	CHECK_EQ(run_program("1..5\nok 1 - a\n", 139, "20"), 1);
	ends_with("\n1 passed, 4 failed, 0 skipped\n");
	CHECK_IN("unit/prog: reported 1 of 5 tests", tree_out);
}

TEST("run-tests fails when a program says all is well and exits otherwise, or plans nothing")
{
	CHECK_EQ(run_program("1..1\nok 1 - a\n", 3, "20"), 1);
	ends_with("\n1 passed, 1 failed, 0 skipped\n");
	CHECK_EQ(run_program("", 0, "20"), 1);
	ends_with("\n0 passed, 1 failed, 0 skipped\n");
}

TEST("run-tests ends a program that takes too long")
{
	CHECK_EQ(run_program("1..2\nok 1 - a\n", 0, "1"), 1);
	ends_with("\n1 passed, 1 failed, 0 skipped\n");
	CHECK_IN("unit/prog: no end after 1 s", tree_out);
}

TEST("run-tests names the tests of which a program that takes too long said nothing")
{
	tree_write("build/prog", "#!/bin/sh\ncase $* in *--plan*) printf '1\\t60\\t0\\t-\\ta\\n"
				 "2\\t60\\t0\\t-\\tb\\n'; exit;; esac\n"
				 "printf '1..2\\nok 1 - a\\n'\nexec sleep 60\n");
	CHECK_EQ(run_listed("1"), 1);
	ends_with("\n1 passed, 1 failed, 0 skipped\n");
	CHECK_IN("unit/prog: no end after 1 s", tree_out);
	CHECK_IN("unit/prog: did not report: b\n", tree_out);
}

TEST("run-tests fails when nothing was run or only skipped")
{
	CHECK_EQ(run_program("1..1\nok 1 - a # SKIP no\n", 0, "20"), 1);
	ends_with("\n0 passed, 0 failed, 1 skipped\n");
}
