/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dangers: one test for each way to lose, leak, hang or slow down a guest that a manager of its
 * memory has, and a way to see that the test means something.
 *
 * What stands against each is in one table, src/sys/unsafe.h. A build with -Dinject=true takes one
 * of them out; the program dangers-unsafe then runs the test here and demands that it fails.
 */
#include "dangers.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>

#define FORKS 4u
#define SWEPT_PAGES 8192u
#define SWEPT_AT_ONCE 32u
#define SWEEPS 8u
#define HAMMER_PAGES 6000u /* enough that most are left alone long enough to be shared */

struct t_daemon d;

void start(void)
{
	t_daemon_fresh(&d);
}

struct t_vm_opts called(const char *name)
{
	return (struct t_vm_opts){.name = name, .salt = "salt of the dangers"};
}

void vm_up(struct fakevmm *v, struct t_vm_opts opts, int flags)
{
	fv_start(v, &d, opts);
	fv_map(v, PAGES, flags);
	fv_pool(v, 0, 0, PAGES, 0);
}

void guard_frames(struct fakevmm *v)
{
	struct sysinfo info;

	if (sysinfo(&info) == 0 && info.freeswap)
		SKIP("this host has swap, by which pins are told");
	fv_do(v, FV_SANDBOX, 0, 0, 0, 0, 0);
	if (fv_try(v, (struct fv_cmd){.op = FV_DIRECT, .arg = 1}).error)
		SKIP("no file can be read with O_DIRECT here");
}

void wait_shared(struct fakevmm *v)
{
	if (!fv_wait_shared(v, 0, PAGES * 9 / 10, SHARED_MS * 0.001))
		FAIL("VM %s: only %u of %u pages shared within %d ms", v->name, fv_shared(v, 0),
		     PAGES, SHARED_MS);
}

bool page_shared(struct fakevmm *v, uint32_t page)
{
	return pm_count(v->pagemap, v->base[0] + (uint64_t)page * T_PAGE, 1).file;
}

bool in_api(const char *path, const char *text)
{
	static char body[1 << 20];

	REQUIRE_EQ(t_http(&d, "GET", path, NULL, body, sizeof(body)), 200);
	return strstr(body, text) != NULL;
}

void finish(struct fakevmm *a, struct fakevmm *b)
{
	fv_end(a);
	if (b)
		fv_end(b);
	t_daemon_free(&d);
}

/* ---- lost data ------------------------------------------------------------------------------- */

/* It answers; if not, the test ends here. */
static bool alive(struct fakevmm *v)
{
	fv_do(v, FV_OPS, 0, 0, 0, 0, 0);
	return true;
}

static void hammered(double seconds)
{
	struct fakevmm a, b;

	start();
	fv_start(&a, &d, called("a"));
	fv_start(&b, &d, called("b"));
	fv_map(&a, HAMMER_PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_map(&b, HAMMER_PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&a, FV_HAMMER, 0, 0, 0, 0, 2);
	fv_do(&b, FV_HAMMER, 0, 0, 0, 0, 2);
	REQUIRE_WITHIN(SHARED_MS, alive(&a) && alive(&b) && fv_shared(&a, 0) > HAMMER_PAGES / 10);
	t_sleep(seconds);
	fv_do(&a, FV_STOP, 0, 0, 0, 0, 0);
	fv_do(&b, FV_STOP, 0, 0, 0, 0, 0);
	finish(&a, &b);
}

/* Writes all pages in turn within so many seconds. Each gets the content of another twin, and is
 * checked before. */
static void sweep(struct fakevmm *v, uint32_t round, double seconds)
{
	double start = t_now();

	for (uint32_t page = 0; page < SWEPT_PAGES; page += SWEPT_AT_ONCE) {
		double due = start + seconds * page / SWEPT_PAGES;

		while (t_now() < due)
			t_sleep(due - t_now());
		REQUIRE_OK(
			fv_try(v, (struct fv_cmd){FV_CHECK, 0, page, SWEPT_AT_ONCE, 0, 0}).error);
		fv_pool(v, 0, page, SWEPT_AT_ONCE, page + round * (SWEPT_AT_ONCE + 1));
	}
}

/* A page is due for sharing when it was left alone for one to two looks: somewhere in between, what
 * the agent is about to map is what comes to be written next. */
static void swept(void)
{
	struct fakevmm a, b;

	start();
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_start(&a, &d, called("a"));
	fv_map(&a, SWEPT_PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	for (uint32_t round = 0; round < SWEEPS; round++)
		sweep(&a, round, 1 + (round + 1) / (SWEEPS + 1.0));
	fv_check(&a, 0);
	/* else nothing was about to be mapped when it was written */
	REQUIRE_GE(t_api_number(&d, "/v1/vms/a", "counters/shared"), SWEPT_PAGES / 2);
	finish(&a, &b);
}

TEST_SECONDS("1 a write between compare and map is not lost", 120)
{
	hammered(10);
	swept();
}

TEST_SECONDS("2 a device writes through its pin into the guest's own page", 60)
{
	struct fakevmm a;
	uint32_t first = 100, fixed = 16;

	start();
	fv_start(&a, &d, called("a"));
	fv_map(&a, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_pool(&a, 0, first, fixed, 0);
	if (fv_try(&a, (struct fv_cmd){FV_FIXED, 0, first, fixed, 0, 1}).error)
		SKIP("no io_uring fixed buffers here");
	/* now the twins of the pinned pages come, and more */
	fv_pool(&a, 0, first + fixed, PAGES - first - fixed, 0);
	fv_pool(&a, 0, 0, first, 0);
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&a, 0) > PAGES * 8 / 10);
	for (uint32_t i = 0; i < 20; i++) {
		t_sleep(0.1);
		fv_do(&a, FV_FIXED_READ, 0, first + i % fixed, 1, i + 1, 0);
		fv_check(&a, 0);
	}
	fv_do(&a, FV_FIXED, 0, first, fixed, 0, 0);
	finish(&a, NULL);
}

static uint64_t word_of(struct fakevmm *v, uint32_t page, uint32_t offset)
{
	uint64_t word = 0;
	struct iovec local = {&word, 8};
	struct iovec remote = {(void *)(uintptr_t)(v->base[0] + (uint64_t)page * T_PAGE + offset),
			       8};

	REQUIRE_EQ(process_vm_readv(v->pid, &local, 1, &remote, 1, 0), 8);
	return word;
}

TEST_SECONDS("2 a device that kept a plain reference writes late, and the guest sees it", 90)
{
	struct fakevmm a, b;

	start();
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&b);
	fv_start(&a, &d, called("a"));
	fv_map(&a, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	for (uint32_t page = 1; page < 6; page++) {
		uint64_t value = 0x6c61746500ull + page;

		fv_pool(&a, 0, page, 1, page + 7);
		fv_do(&a, FV_LATE, 0, page, 1, 0, 0);
		REQUIRE_WITHIN(SHARED_MS, page_shared(&a, page));
		/* -ESRCH: the page taken out is not in this process any more */
		REQUIRE_OK(fv_try(&a, (struct fv_cmd){FV_LATE, 0, page, 1, value, 1}).error);
		REQUIRE_WITHIN(3 * QUARANTINE_MS, word_of(&a, page, 128) == value);
		fv_check(&a, 0);
	}
	finish(&a, &b);
}

/* A page of a that is in quarantine, and the word that a device will write into it late. */
static uint64_t taken_out(struct fakevmm *a, uint32_t page)
{
	fv_pool(a, 0, page, 1, page + 7);
	fv_do(a, FV_LATE, 0, page, 1, 0, 0);
	REQUIRE_WITHIN(SHARED_MS, page_shared(a, page));
	return 0x6c61746500ull + page;
}

TEST_SECONDS("2 memory that the VMM withdraws meanwhile gets a late write as well, or drops it", 90)
{
	struct fakevmm a, b;
	uint64_t value;

	start();
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&b);
	fv_start(&a, &d, called("a"));
	fv_map(&a, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	for (uint32_t page = 1; page < 4; page++) { /* 3: it is offered again before the write */
		value = taken_out(&a, page);
		fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_UNMERGEABLE);
		if (page == 3)
			fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_MERGEABLE);
		REQUIRE_OK(fv_try(&a, (struct fv_cmd){FV_LATE, 0, page, 1, value, 1}).error);
		REQUIRE_WITHIN(3 * QUARANTINE_MS, word_of(&a, page, 128) == value);
		fv_check(&a, 0);
		fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_MERGEABLE);
	}
	/* nor is the VMM ended by one into what it has made read-only */
	value = taken_out(&a, 4);
	fv_do(&a, FV_PROTECT, 0, 0, PAGES, 0, PROT_READ);
	REQUIRE_OK(fv_try(&a, (struct fv_cmd){FV_LATE, 0, 4, 1, value, 1}).error);
	t_sleep(0.0015 * QUARANTINE_MS);
	CHECK_NE(word_of(&a, 4, 128), value);
	fv_do(&a, FV_PROTECT, 0, 0, PAGES, 0, PROT_READ | PROT_WRITE);
	fv_pool(&a, 0, 4, 1, 9);
	fv_check(&a, 0);
	fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_MERGEABLE);
	/* what it discards, or maps anew, is no longer what the device wrote to */
	value = taken_out(&a, 5);
	fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_UNMERGEABLE);
	REQUIRE_OK(fv_try(&a, (struct fv_cmd){FV_LATE, 0, 5, 1, value, 1}).error);
	fv_do(&a, FV_DISCARD, 0, 5, 1, 0, 0);
	t_sleep(0.0015 * QUARANTINE_MS);
	CHECK_EQ(word_of(&a, 5, 128), 0);
	fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_MERGEABLE);
	value = taken_out(&a, 6);
	fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_UNMERGEABLE);
	REQUIRE_OK(fv_try(&a, (struct fv_cmd){FV_LATE, 0, 6, 1, value, 1}).error);
	a.base[0] = fv_do(&a, FV_UNMAP, 0, 0, 0, 0, 1);
	t_sleep(0.0015 * QUARANTINE_MS);
	fv_check(&a, 0);
	finish(&a, &b);
}

TEST_SECONDS("2 a page taken out is given back once its quarantine is over", 60)
{
	struct fakevmm a, b;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	wait_shared(&b);
	/* all guest pages are frames: what is left is the agent's own, and this program's */
	REQUIRE_WITHIN(4 * QUARANTINE_MS, pm_field_kib(a.pid, "status", "RssAnon") < 3000);
	finish(&a, &b);
}

TEST_SECONDS("3 what the VMM discards reads as zeros, shared or not", 60)
{
	struct fakevmm a, b;
	uint64_t rng = test_seed();

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	for (int turn = 0; turn < 4; turn++) {
		wait_shared(&a);
		for (int i = 0; i < 40; i++) {
			uint32_t page = t_below(&rng, PAGES), n = 1 + t_below(&rng, 60);

			n = n > PAGES - page ? PAGES - page : n;
			fv_do(&a, FV_DISCARD, 0, page, n, 0, 0);
			if (i % 3 == 0)
				fv_do(&a, FV_PATCH, 0, page, n, 64, 0x1234);
		}
		fv_check(&a, 0);
		fv_do(&a, FV_DISCARD, 0, 0, PAGES, 0, 0);
		fv_check(&a, 0);
		fv_pool(&a, 0, 0, PAGES, (uint32_t)turn);
	}
	fv_check(&b, 0);
	finish(&a, &b);
}

/* Frames of more than one block: what cannot be taken off the frames at once is zeroed in place. */
TEST_SECONDS("3 what the VMM discards reads as zeros when no mapping is left", 60)
{
	struct fakevmm a, b;

	T_NEED_FEW_MAPPINGS();
	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	for (int left = 0; left < 3; left++) {
		wait_shared(&a);
		fv_do(&a, FV_EAT, 0, 0, 0, 0, left);
		fv_do(&a, FV_DISCARD, 0, 1, PAGES - 2, 0, 0);
		fv_check(&a, 0);
		fv_do(&a, FV_PATCH, 0, 0, PAGES, 16, left);
		fv_do(&a, FV_SPIT, 0, 0, 0, 0, 0);
		fv_check(&a, 0);
		/* and a discard with mappings to be had mends what was stuck */
		fv_do(&a, FV_DISCARD, 0, 0, PAGES, 0, 0);
		fv_check(&a, 0);
		fv_pool(&a, 0, 0, PAGES, 0);
	}
	fv_check(&b, 0);
	finish(&a, &b);
}

TEST_SECONDS("4 nobody reads zeros while pages are out", 60)
{
	hammered(10);
}

TEST_SECONDS("5 a frame lives until the last who maps it has gone", 60)
{
	struct fakevmm a, b, c;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	wait_shared(&b);
	fv_do(&a, FV_PATCH, 0, 0, PAGES / 2, 8, 77);
	fv_do(&a, FV_DISCARD, 0, PAGES / 2, PAGES / 2, 0, 0);
	t_sleep(0.001 * 2 * QUARANTINE_MS);
	fv_check(&b, 0);
	/* slots given back are filled anew, with other contents */
	vm_up(&c, called("c"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_pool(&c, 0, 0, PAGES, 200);
	fv_pool(&a, 0, 0, PAGES, 200);
	wait_shared(&c);
	fv_check(&a, 0);
	fv_check(&b, 0);
	fv_check(&c, 0);
	fv_kill(&c);
	t_sleep(1);
	fv_check(&a, 0);
	fv_check(&b, 0);
	finish(&a, &b);
}

TEST_SECONDS("6 a fork of the VMM sees what the VMM had", 90)
{
	struct fakevmm a, b;

	start();
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&a, called("a"), FV_MAP_NOHUGE);
	wait_shared(&b);
	for (uint32_t i = 0; i < FORKS; i++) {
		/* New contents can be taken out again, which a fork prevents; in steps, they are
		 * taken out one by one, for long. The fork comes while that goes on. (Discarded
		 * before: what breaks in a frame's mapping is not taken out.) */
		fv_do(&a, FV_DISCARD, 0, 0, PAGES, 0, 0);
		fv_do(&a, FV_POOL, 0, 0, PAGES, 0, 5 + 2 * i);
		if (!fv_wait_shared(&a, 0, 1, SHARED_MS * 0.001))
			FAIL("fork %u: nothing was shared within %d ms", i, SHARED_MS);
		t_sleep(0.001 * i);
		fv_do(&a, FV_FORK, 0, 0, 0, 0, 0);
		fv_check(&a, 0);
	}
	/* a fork leaves pages that refuse to be taken out; a write or a new content mends that */
	fv_pool(&a, 0, 0, PAGES, 0);
	wait_shared(&a);
	finish(&a, &b);
}

TEST_SECONDS("6 guest memory that moves or goes takes its content along, or leaves none", 90)
{
	struct fakevmm a, b;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	for (int turn = 0; turn < 5; turn++) {
		wait_shared(&a);
		a.base[0] = fv_do(&a, FV_MOVE, 0, 0, 0, 0, 0);
		fv_check(&a, 0);
		fv_do(&a, FV_PATCH, 0, 0, PAGES, 256, turn);
		fv_check(&a, 0);
		fv_pool(&a, 0, 0, PAGES, (uint32_t)turn);
		wait_shared(&a);
		a.base[0] = fv_do(&a, FV_UNMAP, 0, 0, 0, 0, 1);
		fv_check(&a, 0);
		fv_pool(&a, 0, 0, PAGES, (uint32_t)turn + 9);
		fv_check(&a, 0);
	}
	fv_check(&b, 0);
	finish(&a, &b);
}

/* The agent must not have forgotten what the kernel then left in place. */
static void refused_unmap(const struct rlimit *files)
{
	static const struct fv_cmd wrong = {FV_UNMAP, 0, 0, 0, 0, FV_UNMAP_WRONG};
	struct fakevmm a, b;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	if (files)
		REQUIRE_SYS(prlimit(a.pid, RLIMIT_NOFILE, files, NULL));
	CHECK_EQ(fv_try(&a, wrong).error, -EINVAL);
	/* nobody else has the frames any more */
	fv_do(&b, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	t_sleep(0.002 * QUARANTINE_MS);
	fv_check(&a, 0);
	fv_check(&b, 0);
	finish(&a, &b);
}

TEST_SECONDS("6 guest memory that the kernel refuses to unmap keeps its frames", 60)
{
	refused_unmap(NULL);
}

TEST_SECONDS("6 nor is it lost when no descriptor is left to see that it is still there", 60)
{
	static const struct rlimit none = {0, 0};

	refused_unmap(&none);
}
