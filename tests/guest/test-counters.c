/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The demo's counters see what they are there to see: other tests and the demo believe them, so
 * they are shown memory whose counts are known, and frames that have crossed.
 *
 * A VM here is a program with 2 MiB of "guest RAM" (counted-vm.c). It is a program of its own, as
 * children of one process share its heap, and the counters would say so.
 */
#include "harness/harness.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/counted.h"
#include "guest/model.h"

#define VMS 3

static pid_t vms[VMS];
static char out[8192];
static int store;

static void vm_start(int number, enum counted content)
{
	const char *program = test_built("tests/guest/counted-vm");
	char what[16], seed[16];
	int ready[2];
	char c;

	REQUIRE_SYS(pipe(ready));
	vms[number] = fork();
	REQUIRE_SYS(vms[number]);
	if (vms[number] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(store, STDIN_FILENO);
		dup2(ready[1], STDOUT_FILENO);
		snprintf(what, sizeof(what), "%d", content);
		snprintf(seed, sizeof(seed), "%d", number);
		execl(program, program, what, seed, (char *)NULL);
		_exit(127);
	}
	close(ready[1]);
	REQUIRE_EQ(read(ready[0], &c, 1), 1);
	close(ready[0]);
}

static void start(enum counted a, enum counted b, enum counted c)
{
	static uint8_t page[MODEL_PAGE];

	if (geteuid() != 0)
		SKIP("frame numbers are for root alone");
	store = memfd_create("store", MFD_CLOEXEC);
	REQUIRE_SYS(store);
	for (size_t i = 0; i < COUNTED_PAGES; i++) {
		model_fill(page, model_seed("store"), i, 0);
		REQUIRE_EQ(pwrite(store, page, sizeof(page), (off_t)(i * MODEL_PAGE)), MODEL_PAGE);
	}
	vm_start(0, a);
	vm_start(1, b);
	vm_start(2, c);
}

/* Runs a counter over the VMs, in these groups. Its exit status; what it printed is in out. */
static int count(const char *counter, const char *a, const char *b, const char *c)
{
	char subject[VMS][32];
	int status;

	snprintf(subject[0], sizeof(subject[0]), "%s:%d:a", a, (int)vms[0]);
	snprintf(subject[1], sizeof(subject[1]), "%s:%d:b", b, (int)vms[1]);
	snprintf(subject[2], sizeof(subject[2]), "%s:%d:c", c, (int)vms[2]);
	status = TEST_RUN(out, sizeof(out), test_built(counter), "--ram", "2", subject[0],
			  subject[1], subject[2]);
	printf("%s", out);
	return status;
}

static void end(void)
{
	for (int i = 0; i < VMS; i++) {
		kill(vms[i], SIGKILL);
		waitpid(vms[i], NULL, 0);
	}
}

TEST("frames counts what VMs of one group share")
{
	start(STORE, STORE, OWN);
	CHECK_EQ(count("demo/frames", "one", "one", "two"), 0);
	CHECK_IN("vm=a group=one pages=512 zero=0 frames=512 saved=256\n", out);
	CHECK_IN("vm=c group=two pages=512 zero=0 frames=512 saved=0\n", out);
	CHECK_IN("total pages=1536 zero=0 frames=1024 saved=512 crossed=0\n", out);
	end();
}

TEST("frames sees every frame that VMs of two groups map")
{
	start(STORE, OWN, STORE);
	CHECK_EQ(count("demo/frames", "one", "one", "two"), 1);
	CHECK_IN("crossed=512\n", out);
	CHECK_IN("has crossed: one/a page", out);
	end();
}

TEST("frames does not take equal content for a frame that has crossed")
{
	start(EQUAL, EQUAL, EQUAL);
	CHECK_EQ(count("demo/frames", "one", "two", "three"), 0);
	CHECK_IN("total pages=1536 zero=0 frames=1536 saved=0 crossed=0\n", out);
	end();
}

TEST("frames does not take the zero page for a frame that has crossed")
{
	if (!test_reads_map_zero_page())
		SKIP("this kernel gives memory that is only read pages of its own");
	start(ZERO_READ, ZERO_READ, ZERO_WRITTEN);
	CHECK_EQ(count("demo/frames", "one", "two", "three"), 0);
	CHECK_IN("total pages=512 zero=1024 frames=512 saved=0 crossed=0\n", out);
	end();
}

TEST("ideal counts equal pages in each group, and what the groups keep apart")
{
	start(EQUAL, EQUAL, EQUAL);
	CHECK_EQ(count("demo/ideal", "one", "one", "two"), 0);
	CHECK_IN("vm=a group=one pages=512 zero=0 same=256\n", out);
	CHECK_IN("total pages=1536 zero=0 same=512 across=512\n", out);
	end();
}

TEST("ideal counts zero pages apart, shared pages like others, and twins inside a VM")
{
	start(ZERO_READ, ZERO_WRITTEN, HALF_TWIN);
	CHECK_EQ(count("demo/ideal", "one", "one", "one"), 0);
	CHECK_IN("vm=a group=one pages=0 zero=512 same=0\n", out);
	CHECK_IN("total pages=512 zero=1024 same=256 across=0\n", out);
	end();
	start(STORE, STORE, OWN);
	CHECK_EQ(count("demo/ideal", "one", "one", "one"), 0);
	CHECK_IN("total pages=1536 zero=0 same=512 across=0\n", out);
	end();
}

TEST("the counters say what is wrong with a bad argument, in one line")
{
	char self[32];

	if (geteuid() != 0)
		SKIP("frame numbers are for root alone");
	CHECK_EQ(TEST_RUN(out, sizeof(out), test_built("demo/frames"), "one:x"), 2);
	CHECK_IN("is not a VM: expected GROUP:PID[:NAME]", out);
	snprintf(self, sizeof(self), "a:%d", (int)getpid());
	CHECK_EQ(TEST_RUN(out, sizeof(out), test_built("demo/ideal"), "--ram", "9999999", self), 2);
	CHECK_IN("cannot find 9999999 MiB of guest RAM in process", out);
}
