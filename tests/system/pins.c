/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pins: each way in which the agent tells which pages a device holds (src/agent/pins.c), and what
 * becomes of frames where none of them is to be had. The VMM that may make no child has the filter
 * of QEMU's "-sandbox on,spawn=deny": a child would end it, and with it the test.
 *
 * Without the look at the filter ("fork-anyway") the VMM is ended by it: dangers-unsafe.c.
 *
 * Swap: a host that has none is left without. $PSHARE_TEST_SWAP names a swap file (mkswap, mode
 * 0600) that is used for the moment.
 */
#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>

#include "lib/fakevmm.h"

#define PAGES 1024u
#define SHARED_MS 40000
#define WAY_MS 8000 /* it is asked for every two seconds */
#define NOHUGE (FV_MAP_NOHUGE | FV_MAP_DONTFORK)
#define FIXED 16u

static struct t_daemon d;
static uid_t uid;		 /* of its VMMs */
static const char *const *files; /* says where they make a file to read */

static struct t_vm_opts called(const char *name)
{
	return (struct t_vm_opts){
		.name = name, .salt = "salt of the pins", .uid = uid, .env = files};
}

static double number(const char *vm, const char *way)
{
	char path[64];

	snprintf(path, sizeof(path), "/v1/vms/%s", vm);
	return t_api_number(&d, path, way);
}

static bool told_by(const char *way)
{
	static char body[1 << 16];
	char text[32];
	const char *at;

	REQUIRE_EQ(t_http(&d, "GET", "/v1/vms/a", NULL, body, sizeof(body)), 200);
	at = strstr(body, "\"pins\"");
	snprintf(text, sizeof(text), "\"%s\"", way);
	return at && strncmp(at + strcspn(at, ":") + 1 + strspn(at + strcspn(at, ":") + 1, " "),
			     text, strlen(text)) == 0;
}

static bool has_swap(void)
{
	struct sysinfo info;

	return sysinfo(&info) == 0 && info.freeswap > 0;
}

static void wait_shared(struct fakevmm *v)
{
	REQUIRE_WITHIN(SHARED_MS, fv_shared(v, 0) > PAGES * 9 / 10);
}

/* b has what a has; a is under the filter, and reads files past the cache. */
static void pair(struct fakevmm *a, struct fakevmm *b, bool filter, bool direct)
{
	fv_start(a, &d, called("a"));
	fv_start(b, &d, called("b"));
	if (filter)
		fv_do(a, FV_SANDBOX, 0, 0, 0, 0, 0);
	if (direct && fv_try(a, (struct fv_cmd){.op = FV_DIRECT, .arg = 1}).error)
		SKIP("no file can be read with O_DIRECT here");
	fv_map(a, PAGES, NOHUGE);
	fv_map(b, PAGES, NOHUGE);
	fv_pool(a, 0, 0, PAGES, 0);
	fv_pool(b, 0, 0, PAGES, 0);
	wait_shared(a);
	wait_shared(b);
}

static void end(struct fakevmm *a, struct fakevmm *b)
{
	fv_check(a, 0);
	fv_check(b, 0);
	fv_end(a);
	fv_end(b);
	REQUIRE_WITHIN(SHARED_MS, pm_memfd_bytes(d.pid, "pshare-store") <= 0);
	t_daemon_free(&d);
}

/* It answers; if not, the test ends here. */
static bool lives(struct fakevmm *v)
{
	fv_do(v, FV_OPS, 0, 0, 0, 0, 0);
	return true;
}

/* Half of its pages are written, and become what they were: they are shared again where they lie.
 */
static void go_round(struct fakevmm *a)
{
	double again = number("a", "counters/shared_again");

	for (uint32_t page = 0; page < PAGES; page += 2)
		fv_do(a, FV_PATCH, 0, page, 1, 8, 1);
	fv_check(a, 0);
	for (uint32_t page = 0; page < PAGES; page += 2)
		fv_pool(a, 0, page, 1, page);
	REQUIRE_WITHIN(SHARED_MS,
		       lives(a) && number("a", "counters/shared_again") - again > PAGES / 4);
	fv_check(a, 0);
}

/* Blocks follow, by and by. */
static void until_plain(struct fakevmm *a)
{
	double again = number("a", "counters/shared_again"), start = t_now();

	while (number("a", "counters/shared_again") <= again) {
		if (t_late(start, 40))
			FAIL("no page broke and was shared again within 40 s");
		for (uint32_t page = 0; page < PAGES; page += 64)
			fv_do(a, FV_PATCH, 0, page, 1, 8, 1);
		t_sleep(1.5);
		for (uint32_t page = 0; page < PAGES; page += 64)
			fv_pool(a, 0, page, 1, page);
		t_sleep(1.5);
	}
}

/* Everything at once: writes, discards, reads past the cache, fixed buffers. */
static void use(struct fakevmm *a, double seconds)
{
	uint64_t rng = test_seed();
	double until = t_now() + seconds;
	uint32_t first = 64;
	bool fixed;

	fixed = !fv_try(a, (struct fv_cmd){FV_FIXED, 0, first, FIXED, 0, 1}).error;
	while (t_now() < until) {
		uint32_t page = FIXED + first + t_below(&rng, PAGES - FIXED - first);
		uint32_t n = 1 + t_below(&rng, 8);

		n = n < PAGES - page ? n : PAGES - page;
		switch (t_below(&rng, 5)) {
		case 0:
			fv_do(a, FV_DISCARD, 0, page, n, 0, 0);
			break;
		case 1:
			fv_do(a, FV_DIRECT_READ, 0, page, 1, t_below(&rng, MODEL_POOL), 0);
			break;
		case 2:
			if (fixed)
				fv_do(a, FV_FIXED_READ, 0, first + page % FIXED, 1, page % 99, 0);
			break;
		case 3:
			fv_do(a, FV_PATCH, 0, page, n, 24, (int64_t)page);
			break;
		default:
			fv_pool(a, 0, page, n, page);
		}
		REQUIRE_OK(fv_try(a, (struct fv_cmd){FV_CHECK, 0, page, n, 0, 0}).error);
	}
	fv_check(a, 0);
	if (fixed)
		fv_do(a, FV_FIXED, 0, first, FIXED, 0, 0);
}

TEST_SECONDS("a VMM that may make children has pins told by a fork", 90)
{
	struct fakevmm a, b;

	t_daemon_fresh(&d);
	pair(&a, &b, false, true);
	REQUIRE_WITHIN(WAY_MS, told_by("fork"));
	go_round(&a);
	REQUIRE_WITHIN(SHARED_MS, number("a", "counters/pin_forks") > 0);
	CHECK_EQ(number("a", "counters/faults"), 0);
	use(&a, 5);
	end(&a, &b);
}

TEST_SECONDS("a VMM that may not, but has nothing that pins, is asked by its descriptors", 90)
{
	struct fakevmm a, b;

	t_daemon_fresh(&d);
	pair(&a, &b, true, false);
	go_round(&a);
	REQUIRE_WITHIN(WAY_MS, told_by("descriptors"));
	CHECK_EQ(number("a", "counters/pin_forks"), 0);
	CHECK_EQ(number("a", "counters/faults"), 0);
	end(&a, &b);
}

static void need_no_swap(void)
{
	if (has_swap())
		SKIP("this host has swap, by which pins are told");
}

TEST_SECONDS("a VMM of which pins cannot be told keeps its frames guarded", 120)
{
	struct fakevmm a, b;
	double faults;

	need_no_swap();
	t_daemon_fresh(&d);
	pair(&a, &b, true, true);
	REQUIRE_WITHIN(WAY_MS, told_by("guarded"));
	faults = number("a", "counters/faults");
	fv_do(&a, FV_PATCH, 0, 0, PAGES / 2, 8, 1);
	fv_check(&a, 0);
	REQUIRE_WITHIN(WAY_MS, number("a", "counters/faults") > faults);
	use(&a, 8);
	/* nothing is stuck: what was written was brought back, and is taken out like any other */
	fv_pool(&a, 0, 0, PAGES, 0);
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&a, 0) > PAGES * 8 / 10);
	CHECK_EQ(number("a", "counters/pin_forks"), 0);
	end(&a, &b);
}

/* Who lacks CAP_SYS_ADMIN does not see the type of a swap entry, by which the markers of protected
 * pages that are not there yet are told from pages that broke and were swapped out. */
TEST_SECONDS("a guarded VMM that is not root takes no page for broken that is not", 120)
{
	char folder[256];
	const char *env[] = {folder, NULL};
	struct fakevmm a, b;

	t_need_root();
	need_no_swap();
	t_daemon_fresh(&d);
	uid = 1001;
	snprintf(folder, sizeof(folder), "PSHARE_BUILD=%s", test_dir());
	files = env;
	REQUIRE_EQ(TEST_RUN(NULL, 0, "sh", "-c",
			    "chmod 711 $0 && mkdir -m 777 $0/tests && ln -s $1 $0/src", test_dir(),
			    test_built("src")),
		   0);
	pair(&a, &b, true, true);
	REQUIRE_WITHIN(WAY_MS, told_by("guarded"));
	/* what is mapped from now on is guarded from the start */
	fv_do(&a, FV_PATCH, 0, 0, PAGES, 8, 1);
	fv_pool(&a, 0, 0, PAGES, 0);
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&a, 0) > PAGES * 8 / 10);
	end(&a, &b);
}

TEST_SECONDS("threads of a guarded VMM lose nothing, and none of them hangs", 90)
{
	struct fakevmm a, b;

	need_no_swap();
	t_daemon_fresh(&d);
	pair(&a, &b, true, true);
	REQUIRE_WITHIN(WAY_MS, told_by("guarded"));
	fv_do(&a, FV_HAMMER, 0, 0, 0, 0, 2);
	for (int i = 0; i < 10; i++) {
		t_sleep(1);
		fv_do(&a, FV_OPS, 0, 0, 0, 0, 0);
	}
	REQUIRE_WITHIN(SHARED_MS, number("a", "counters/faults") > 0);
	fv_do(&a, FV_STOP, 0, 0, 0, 0, 0);
	end(&a, &b);
}

TEST_SECONDS("frames become guarded and plain again as descriptors come and go", 180)
{
	struct fakevmm a, b;
	double faults;

	need_no_swap();
	t_daemon_fresh(&d);
	pair(&a, &b, true, false);
	for (uint32_t turn = 0; turn < 3; turn++) {
		REQUIRE_WITHIN(WAY_MS, told_by("descriptors"));
		/* some are broken when it begins */
		fv_do(&a, FV_PATCH, 0, 0, PAGES / 4, 8, turn);
		if (fv_try(&a, (struct fv_cmd){.op = FV_DIRECT, .arg = 1}).error)
			SKIP("no file can be read with O_DIRECT here");
		REQUIRE_WITHIN(WAY_MS, told_by("guarded"));
		faults = number("a", "counters/faults");
		/* blocks follow, by and by; what is written before that breaks, and stays so */
		for (uint32_t page = PAGES / 4; page < PAGES; page += 8) {
			fv_do(&a, FV_PATCH, 0, page, 1, 8, turn);
			t_sleep(0.2);
			if (number("a", "counters/faults") > faults)
				break;
		}
		CHECK_GT(number("a", "counters/faults"), faults);
		use(&a, 3);
		fv_do(&a, FV_DIRECT, 0, 0, 0, 0, 0);
		fv_pool(&a, 0, 0, PAGES, 0);
		wait_shared(&a);
		fv_check(&a, 0);
	}
	REQUIRE_WITHIN(WAY_MS, told_by("descriptors"));
	until_plain(&a);
	end(&a, &b);
}

TEST_SECONDS("a VMM that may not make children has pins told by swapping pages out", 120)
{
	const char *file = getenv("PSHARE_TEST_SWAP");
	struct fakevmm a, b;

	t_need_root();
	if (!file && !has_swap())
		SKIP("no swap here, and $PSHARE_TEST_SWAP names no swap file");
	if (file)
		REQUIRE_SYS(swapon(file, 0));
	t_daemon_fresh(&d);
	pair(&a, &b, true, true);
	REQUIRE_WITHIN(WAY_MS, told_by("swap"));
	go_round(&a);
	use(&a, 8);
	CHECK_EQ(number("a", "counters/pin_forks"), 0);
	end(&a, &b);
	if (file)
		REQUIRE_SYS(swapoff(file));
}
