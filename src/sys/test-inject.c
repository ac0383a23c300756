// SPDX-License-Identifier: LGPL-2.1-or-later
/* Fault injection counts right and fails once; only built where it is compiled in. */
#include "harness/harness.h"
#include "sys/inject.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 4
#define CALLS 10000

/* As every wrapper of src/sys begins. */
static int wrapper(void)
{
	SYS_INJECT();
	return 7;
}

TEST("the chosen call alone fails, with the chosen errno")
{
	ps_inject_set(3, 0, ENOSPC);
	for (int i = 1; i <= 10; i++) {
		CHECK_EQ(ps_inject_fired(), i > 3);
		CHECK_EQ(wrapper(), i == 3 ? -ENOSPC : 7);
	}
}

TEST("with no number nothing fails")
{
	ps_inject_set(0, 0, EIO);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(wrapper(), 7);
	CHECK(!ps_inject_fired());
}

/* The pointer escapes, so that the compiler cannot do without the allocation. */
static void *volatile kept;

TEST("the chosen allocation of our own code alone fails, of whatever kind")
{
	unsigned int failed = 0;

	ps_inject_set(0, 3, 0);
	for (int i = 0; i < 6; i++) {
		kept = i % 2 ? malloc(10) : calloc(1, 10);
		failed += !kept;
		CHECK(kept || i == 2);
		free(kept);
	}
	CHECK_EQ(failed, 1);
	ps_inject_set(0, 1, 0);
	errno = 0;
	kept = strdup("text");
	CHECK(!kept);
	CHECK_EQ(errno, ENOMEM);
}

static void *count_failures(void *failures)
{
	for (int i = 0; i < CALLS; i++)
		*(int *)failures += wrapper() < 0;
	return NULL;
}

TEST("exactly one call fails, however many threads count")
{
	int failures[THREADS] = {0}, sum = 0;
	pthread_t thread[THREADS];

	ps_inject_set(THREADS * CALLS / 2, 0, EIO);
	for (int i = 0; i < THREADS; i++)
		REQUIRE_EQ(pthread_create(&thread[i], NULL, count_failures, &failures[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		sum += failures[i];
	}
	CHECK_EQ(sum, 1);
}

TEST("a process whose environment names a call says once that it failed")
{
	char text[256] = "", program[4096];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (getenv("PSHARE_INJECT_SYS")) {
		for (int i = 0; i < 5; i++)
			wrapper();
		return;
	}
	REQUIRE_GT(len, 0);
	program[len] = '\0';
	CHECK_EQ(TEST_RUN(text, sizeof(text), "env", "PSHARE_INJECT_SYS=2",
			  "PSHARE_INJECT_ERRNO=ENOMEM", program, "--debug", "environment names"),
		 0);
	CHECK_IN("inject: sys 2 (wrapper) fails: ENOMEM\n", text);
}
