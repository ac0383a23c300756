/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The torture as `make check` runs it. `make torture MINUTES=N` runs the program itself. */
#include "harness/harness.h"

#include <stdio.h>

#define SECONDS "55"
#define OPERATIONS "10000000"

/* A run that was skipped says so in its last line. */
static void torture(const char *bare)
{
	static char out[1 << 20];
	char seed[32];
	int status;

	snprintf(seed, sizeof(seed), "%lu", (unsigned long)test_seed());
	status = TEST_RUN(out, sizeof(out), test_built("tests/system/torture"), "--seconds",
			  *bare ? "5" : SECONDS, "--ops", *bare ? "1000000" : OPERATIONS, "--seed",
			  seed, *bare ? bare : NULL);
	printf("%s", out);
	if (status == 77)
		SKIP("%s", strstr(out, "SKIP ") ? strstr(out, "SKIP ") + 5 : "no reason given");
	REQUIRE_EQ(status, 0);
}

TEST_SECONDS("the model of the torture is right where nothing is shared", 60)
{
	torture("--bare");
}

TEST_SECONDS("no byte goes wrong in 10 million operations while everything happens at once", 400)
{
	(void)test_built("src/agent/libpshare-agent.so");
	(void)test_built("src/daemon/pshared");
	torture("");
}
