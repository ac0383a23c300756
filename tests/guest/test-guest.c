/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Real guests: the demo in small. It boots Debian under QEMU, shares, has the guests check
 * themselves, write half of their memory anew and read their disk again, and counts page frames.
 */
#include "harness/harness.h"

#include <stdio.h>

#define SECONDS 240 /* 60 on two idle CPUs; images are made and kept by the first run */
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

TEST_SECONDS("Debian guests share, write and read, and every byte of them is right", SECONDS)
{
	int status = TEST_RUN(out, sizeof(out), test_source("demo/run"), "--build", test_built("."),
			      "--domains", "1", "--guests", "2", "--memory", "256");

	if (status == CANNOT_RUN)
		SKIP("%s", last_line());
	fputs(out, stdout);
	CHECK_EQ(status, 0);
}
