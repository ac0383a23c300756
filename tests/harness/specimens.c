// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tests of every fate, for the harness to be tested on: test-harness.c runs this program and looks
 * at what it says. It is no test program itself and is in no list.
 */
#include "harness/harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

TEST("passes")
{
	REQUIRE_EQ(1 + 1, 2);
	REQUIRE_STR("a", "a");
}

TEST("fails plainly")
{
	printf("a word before the end\n");
	REQUIRE_EQ(1 + 1, 3);
	printf("never printed\n");
}

TEST("notes two failures and goes on")
{
	size_t big = SIZE_MAX;

	CHECK_EQ(big, -1);
	CHECK_STR("left", "right");
	printf("gone on\n");
}

TEST("crashes")
{
	raise(SIGSEGV);
}

TEST_SECONDS("hangs", 1)
{
	for (;;)
		pause();
}

TEST_WITH("skips", .seconds = 60, .needs = "moon,quiet", .load = 150)
{
	SKIP("no %s here", "moon");
}

static void *thread_fails(void *arg)
{
	(void)arg;
	REQUIRE_OK(-ENOENT);
	return NULL;
}

TEST("fails in a thread")
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_fails, NULL);
	pthread_join(thread, NULL);
	for (;;)
		pause();
}

TEST("fails in a child that nobody looks at")
{
	pid_t pid = fork();

	if (pid == 0)
		REQUIRE_MEM("abcdef", "abcxef", 6);
	waitpid(pid, NULL, 0);
}

TEST("leaves a process behind that left its group")
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0)
			for (;;)
				pause();
		_exit(0);
	}
	test_sleep_ms(50);
}

TEST("calls exit itself")
{
	exit(0);
}

TEST("exits with a status of its own")
{
	_exit(7);
}

__attribute__((noinline)) static void lose_block(void)
{
	void *volatile block = malloc(100);

	memset((void *)block, 1, 100);
	/* cppcheck-suppress memleak ; the point of it */
	block = NULL;
} /* NOLINT(clang-analyzer-unix.Malloc): the point of it */

/* A copy of its address that stays on the stack, unused, would be taken for a use of it. */
__attribute__((noinline)) static void scrub_stack(void)
{
	volatile char scrub[8192];

	for (size_t i = 0; i < sizeof(scrub); i++)
		scrub[i] = 0;
}

TEST("leaks")
{
	lose_block();
	scrub_stack();
}

TEST("makes a folder and shows it")
{
	FILE *file;
	char path[256];

	snprintf(path, sizeof(path), "%s/sub", test_dir());
	file = fopen(path, "w");
	REQUIRE(file);
	fclose(file);
	FAIL("folder=%s.", test_dir());
}

TEST("prints more than is shown")
{
	for (int i = 0; i < 100000; i++)
		printf("line %d\n", i);
	FAIL("enough");
}
