// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What scripts/run-tests runs side by side, and what it keeps apart.
 *
 * The programs here are scripts that meet: who must run beside another waits until that one is
 * there, and who must not holds a folder that no two can make. So nothing depends on time, but for
 * how long a meeting that never comes is waited for.
 */
#include "checks/tree.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The script's functions. $d: the folder of all; a test ends with ok or not_ok. */
static const char functions[] =
	"#!/bin/sh\n"
	"d=${0%/*}\n"
	"ok() { printf '1..1\\nok 1 - %s\\n' \"$1\"; exit 0; }\n"
	"not_ok() { printf '1..1\\nnot ok 1 - %s\\n# %s\\n' \"$1\" \"$2\"; exit 1; }\n"
	"number() { while [ $# -gt 1 ]; do [ \"$1\" = --number ] && echo \"$2\"; shift; done; }\n"
	"meet() { : >\"$d/here-$1\"; tries=0\n"
	"until [ -e \"$d/here-$2\" ]; do sleep 0.02; tries=$((tries + 1))\n"
	"[ $tries -lt 500 ] || not_ok \"$1\" \"nobody came\"; done; }\n"
	"alone() { mkdir \"$d/$2\" 2>/dev/null || not_ok \"$1\" \"not alone\"; sleep 0.1\n"
	"rmdir \"$d/$2\"; }\n";

static char list[4096];

/* One more program of the suite system. options: load and needs, as in programs.list. plan: what
 * it answers to --plan. */
static void program(const char *name, const char *options, const char *plan, const char *script)
{
	static char text[4096];
	char path[64];
	size_t len = strlen(list);

	snprintf(path, sizeof(path), "build/%s", name);
	snprintf(text, sizeof(text), "%scase \"$*\" in *--plan*) printf '%s'; exit;; esac\n%s",
		 functions, plan, script);
	tree_write(path, text);
	snprintf(list + len, sizeof(list) - len, "system\t%s\t60\t%s\t%s\n", name, tree_path(path),
		 options);
}

static int run(const char *jobs)
{
	char selection[600];

	tree_write("build/tests/programs.list", list);
	tree_write("build/build.ninja", "");
	snprintf(selection, sizeof(selection), "%s:system", tree_path("build"));
	return TREE_CHECK("run-tests", "--jobs", jobs, selection);
}

static void passed(unsigned int count, const char *jobs)
{
	char line[64];

	snprintf(line, sizeof(line), "\n%u passed, 0 failed, 0 skipped\n", count);
	CHECK_EQ(run(jobs), 0);
	CHECK_IN(line, tree_out);
	printf("%s", tree_out);
}

#define NONE ""
#define TWO "1\\t60\\t0\\t-\\tone\\n2\\t60\\t0\\t-\\ttwo\\n"

TEST("programs that share nothing run at the same time")
{
	program("a", "1\t", NONE, "meet a b; ok a\n");
	program("b", "1\t", NONE, "meet b a; ok b\n");
	passed(2, "4");
}

TEST("the tests of one program run at the same time, each once and in a process of its own")
{
	program("a", "1\t", TWO,
		"n=$(number \"$@\")\nmkdir $d/seen-$n || not_ok \"$n\" twice\n"
		"meet $n $((3 - n)); ok \"test $n\"\n");
	passed(2, "4");
	CHECK_IN("ok      system/a: test 1", tree_out);
	CHECK_IN("[1/1] system/a: 2 passed", tree_out);
}

TEST("programs that need the same thing never run at the same time")
{
	program("a", "1\tmoon,kvm", NONE, "alone a lock; ok a\n");
	program("b", "1\tkvm", NONE, "alone b lock; ok b\n");
	program("c", "1\tsun,kvm", NONE, "alone c lock; ok c\n");
	passed(3, "8");
}

TEST("a test that says what it needs has its program's word, and other tests of it do not")
{
	program("a", "1\tsun",
		"1\\t60\\t1\\tmoon\\tone\\n2\\t60\\t1\\tmoon\\ttwo\\n"
		"3\\t60\\t1\\t\\tthree\\n4\\t60\\t1\\t\\tfour\\n",
		"n=$(number \"$@\")\ncase $n in 3) meet 3 4;; 4) meet 4 3;; *) alone $n lock;; esac\n"
		"ok \"test $n\"\n");
	passed(4, "8");
}

TEST("who needs the whole machine has it")
{
	program("a", "1\t", NONE, "alone a lock; ok a\n");
	program("b", "1\tquiet", NONE, "alone b lock; ok b\n");
	program("c", "1\tquiet", NONE, "alone c lock; ok c\n");
	passed(3, "8");
}

TEST("no more runs at the same time than the CPUs have time for")
{
	program("a", "100000\t", NONE, "alone a lock; ok a\n");
	program("b", "1\t", NONE, "alone b lock; ok b\n");
	program("c", "100000\t", NONE, "alone c lock; ok c\n");
	passed(3, "8");
}

TEST("who has no room yet holds up nobody")
{
	/* b starts with a, as c does not fit beside it */
	program("a", "1\tmoon", NONE, "meet a b; ok a\n");
	program("c", "1\tmoon", NONE, "[ -e $d/here-b ] || not_ok c 'before b'; ok c\n");
	program("b", "1\t", NONE, "meet b a; ok b\n");
	passed(3, "8");
}

/* Else there is no room for it until all the others have ended. */
TEST("who takes most CPU goes first, but for who needs the whole machine")
{
	program("a", "1\t", TWO, "touch $d/ended; ok a\n");
	program("b", "50\t", TWO, "[ ! -e $d/ended ] || not_ok b 'after a'; ok b\n");
	program("c", "1\tquiet", TWO, "[ ! -e $d/ended ] || not_ok c 'after a'; ok c\n");
	passed(6, "1");
}

TEST("--jobs 1 runs one after the other")
{
	program("a", "1\t", TWO, "alone a lock; ok a\n");
	program("b", "1\t", NONE, "alone b lock; ok b\n");
	passed(3, "1");
}

TEST("what is said of a test is in one piece")
{
	program("a", "1\t", NONE,
		"echo 1..1; echo 'not ok 1 - a'; echo '#   a1'; meet a b; echo '#   a2'"
		"\nexit 1\n");
	program("b", "1\t", NONE,
		"echo 1..1; echo 'not ok 1 - b'; echo '#   b1'; meet b a; echo '#   b2'"
		"\nexit 1\n");
	CHECK_EQ(run("4"), 1);
	CHECK_IN("  FAILED  system/a: a\n  #   a1\n  #   a2\n", tree_out);
	CHECK_IN("  FAILED  system/b: b\n  #   b1\n  #   b2\n", tree_out);
	CHECK_IN("\n0 passed, 2 failed, 0 skipped\n", tree_out);
}

TEST("a test that dies without a word is named, counted, and costs no other its result")
{
	program("a", "1\t", TWO, "[ $(number \"$@\") = 1 ] || kill -SEGV $$\nok 'test 1'\n");
	CHECK_EQ(run("4"), 1);
	CHECK_IN("FAILED  system/a: two: planned no tests, ended with status -11", tree_out);
	CHECK_IN("system/a: did not report: two", tree_out);
	CHECK_IN("\n1 passed, 1 failed, 0 skipped\n", tree_out);
}

TEST("the log of a program has what all of its tests said")
{
	char log[4096] = "";
	FILE *file;

	program("a", "1\t", TWO, "ok \"test $(number \"$@\")\"\n");
	passed(2, "4");
	file = fopen(tree_path("build/tests/system-a.log"), "r");
	REQUIRE(file);
	CHECK_GT(fread(log, 1, sizeof(log) - 1, file), 0);
	fclose(file);
	CHECK_IN("ok 1 - test 1\n", log);
	CHECK_IN("ok 1 - test 2\n", log);
}

static pid_t pid_in(const char *path)
{
	FILE *file = fopen(tree_path(path), "r");
	int pid = 0;

	if (file && fscanf(file, "%d", &pid) != 1)
		pid = 0;
	if (file)
		fclose(file);
	return pid;
}

TEST("run-tests that is told to end takes along all that it started")
{
	char selection[600];
	pid_t runner, test = 0;
	int status;

	program("a", "1\t", NONE, "echo $$ >$d/pid; exec sleep 600\n");
	tree_write("build/tests/programs.list", list);
	tree_write("build/build.ninja", "");
	snprintf(selection, sizeof(selection), "%s:system", tree_path("build"));
	runner = fork();
	REQUIRE_SYS(runner);
	if (runner == 0) {
		execl(test_source("scripts/run-tests"), "run-tests", selection, (char *)NULL);
		_exit(127);
	}
	REQUIRE_WITHIN(20000, (test = pid_in("build/pid")) > 0);
	REQUIRE_SYS(kill(runner, SIGTERM));
	REQUIRE_EQ(waitpid(runner, &status, 0), runner);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	CHECK_EQ(kill(test, 0), -1);
}
