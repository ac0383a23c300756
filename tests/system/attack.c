/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attack: the published attack works where memory is shared, or this test would prove nothing, and
 * not where it is not (bench/attack/run; `make attack` does more of the same, with a report).
 */
#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/util.h"

TEST_WITH("Flush+Reload and times of pages find what one salt shares, nothing of twins or with two",
	  .seconds = 180, .load = 60)
{
	static char out[1 << 16];
	char build[256];
	int status;

	t_need_root();
	t_build_path("", build, sizeof(build));
	status = TEST_RUN(out, sizeof(out), test_source("bench/attack/run"), "--quick", "--build",
			  build, "--out", test_dir());
	if (status == 77)
		SKIP("%.200s", strstr(out, "attack: cannot") ? strstr(out, "attack: cannot") : out);
	printf("%s", out);
	CHECK_EQ(status, 0);
}
