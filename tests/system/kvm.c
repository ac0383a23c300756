/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Faults through KVM: kvmvm.c says what runs. */
#include "harness/harness.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "lib/vm.h"

static void run_guests(bool bare, const char *seconds)
{
	struct t_daemon d;
	struct t_vm_opts opts = {.name = "kvm", .bare = bare};
	char *argv[] = {(char *)(uintptr_t)test_built("tests/system/kvmvm"),
			(char *)(uintptr_t)seconds, (char *)(uintptr_t)(bare ? "0" : "1"), NULL};
	int status;
	pid_t pid;

	t_need_root();
	t_daemon_init(&d);
	if (!bare) {
		t_daemon_start(&d, NULL, NULL, NULL);
		t_daemon_full_speed(&d);
	}
	pid = t_vm_spawn(&d, &opts, argv);
	REQUIRE(!t_wait(pid, atof(seconds) + 30, &status));
	t_daemon_free(&d);
	if (WIFEXITED(status) && WEXITSTATUS(status) == T_EXIT_SKIP)
		SKIP("/dev/kvm is not there or runs no real-mode guest (see above)");
	REQUIRE_EQ(status, 0);
}

TEST("two real-mode guests count right where nothing is shared")
{
	run_guests(true, "3");
}

TEST_SECONDS("guests under KVM count right while their memory is shared, written, discarded", 90)
{
	(void)test_built("src/agent/libpshare-agent.so");
	(void)test_built("src/daemon/pshared");
	run_guests(false, "20");
}
