/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel is tried by a daemon that is no root and not dumpable, as the unit runs it. */
#include <cap-ng.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "harness/harness.h"
#include "sys/probe.h"
#include "sys/process.h"

#define SOME_UID 64123

TEST("what root finds of the moves of huge pages, an undumpable daemon of another user finds too")
{
	const char *by_root, *by_other;
	enum sys_probe root, other;

	if (getuid() != 0)
		SKIP("needs root");
	root = sys_probe_move_loops(&by_root);
	if (root == SYS_PROBE_UNKNOWN)
		SKIP("cannot be tried here: %s", by_root);
	/* the right to a userfaultfd, which the unit has by its group, and no other */
	capng_clear(CAPNG_SELECT_BOTH);
	REQUIRE_EQ(capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_PTRACE), 0);
	REQUIRE_EQ(capng_change_id(SOME_UID, SOME_UID, CAPNG_DROP_SUPP_GRP), 0);
	REQUIRE_OK(sys_set_undumpable());
	other = sys_probe_move_loops(&by_other);
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* or LeakSanitizer cannot look at the end */
	if (other != root)
		FAIL("root: %s; the other: %s", by_root, by_other);
}
