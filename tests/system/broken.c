/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broken: pages that the kernel copied when the guest wrote to a frame (danger 6b).
 *
 * Such a page lies in a store's mapping, and leaves it only in a batch of the agent's worker
 * (src/agent/reshare.c): it is closed, tested for pins, kept in a pipe, and replaced. Whatever the
 * VMM and its devices do meanwhile, no write is lost, and nobody sees a frame that is not his.
 *
 * What a build with -Dinject=true can take out (dangers-unsafe.c runs the tests here without):
 *
 * no-close      pages are not write-protected while they are replaced
 * no-pin-test   every page of a batch is taken for unpinned
 * no-keep       a page that is replaced is not kept for its quarantine
 * no-discard    MADV_DONTNEED goes to the kernel alone
 * stale-fault   a write fault is settled as if its page were still what it was then
 * pause-batch   no defence: time passes between the steps of a batch
 * slow-settler  no defence: the settler hears of a fault when its page has been opened
 *
 * How pins are told is tested in pins.c.
 */
#include "harness/harness.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/fakevmm.h"

#define PAGES 1024u
#define SHARED_MS 40000
#define FIXED 16u /* pages that a device holds */
#define SECONDS 10
#define NOHUGE (FV_MAP_NOHUGE | FV_MAP_DONTFORK)

static struct t_daemon d;

static struct t_vm_opts called(const char *name)
{
	return (struct t_vm_opts){.name = name, .salt = "salt of the broken"};
}

static double number(const char *vm, const char *way)
{
	char path[64];

	snprintf(path, sizeof(path), "/v1/vms/%s", vm);
	return t_api_number(&d, path, way);
}

static uint32_t shared_in(struct fakevmm *v, uint32_t page, uint32_t n)
{
	return pm_count(v->pagemap, v->base[0] + (uint64_t)page * T_PAGE, n).file;
}

static void pair(struct fakevmm *a, struct fakevmm *b, int flags)
{
	fv_start(a, &d, called("a"));
	fv_start(b, &d, called("b"));
	fv_map(a, PAGES, flags);
	fv_map(b, PAGES, flags);
	fv_pool(a, 0, 0, PAGES, 0);
	fv_pool(b, 0, 0, PAGES, 0);
	REQUIRE_WITHIN(SHARED_MS,
		       fv_shared(a, 0) > PAGES * 9 / 10 && fv_shared(b, 0) > PAGES * 9 / 10);
}

static void wait_shared(struct fakevmm *v)
{
	REQUIRE_WITHIN(SHARED_MS, fv_shared(v, 0) > PAGES * 9 / 10);
}

static void end(struct fakevmm *a, struct fakevmm *b)
{
	fv_check(a, 0);
	fv_end(a);
	if (b) {
		fv_check(b, 0);
		fv_end(b);
	}
	REQUIRE_WITHIN(SHARED_MS, pm_memfd_bytes(d.pid, "pshare-store") <= 0);
	t_daemon_free(&d);
}

TEST_SECONDS("a broken page that is discarded reads as zeros, and its neighbours keep theirs", 90)
{
	struct fakevmm a, b;
	double unshared;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	/* broken this moment: no look has found it */
	fv_do(&a, FV_PATCH, 0, 0, PAGES / 2, 8, 1);
	fv_do(&a, FV_DISCARD, 0, 3, PAGES / 4, 0, 0);
	fv_check(&a, 0);
	for (uint32_t page = 5 + PAGES / 4; page < PAGES - 4; page += 5)
		fv_do(&a, FV_DISCARD, 0, page, 1 + page % 3, 0, 0);
	fv_check(&a, 0);
	/* found */
	fv_pool(&a, 0, 0, PAGES, 0);
	wait_shared(&a);
	unshared = number("a", "counters/unshared");
	fv_do(&a, FV_PATCH, 0, PAGES / 2, PAGES / 2, 48, 7);
	REQUIRE_WITHIN(SHARED_MS, number("a", "counters/unshared") - unshared > PAGES * 3 / 8);
	for (uint32_t page = PAGES / 2; page < PAGES - 4; page += 7)
		fv_do(&a, FV_DISCARD, 0, page, 1 + page % 4, 0, 0);
	fv_check(&a, 0);
	fv_do(&a, FV_PATCH, 0, 0, PAGES, 16, 5);
	end(&a, &b);
}

TEST_SECONDS("the reference of a broken page is given back, and its slot is filled anew", 90)
{
	struct fakevmm a, b, c;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	fv_do(&a, FV_PATCH, 0, 0, PAGES, 8, 1);
	fv_do(&b, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	/* nobody maps a frame, and all memory of the store has been given back */
	REQUIRE_WITHIN(SHARED_MS, pm_memfd_bytes(d.pid, "pshare-store") <= 0);
	fv_start(&c, &d, called("c"));
	fv_map(&c, PAGES, NOHUGE);
	fv_pool(&c, 0, 0, PAGES, 170);
	wait_shared(&c); /* with itself */
	fv_check(&a, 0);
	fv_check(&b, 0);
	fv_do(&a, FV_DISCARD, 0, 0, PAGES / 2, 0, 0);
	fv_do(&b, FV_DISCARD, 0, PAGES / 2, PAGES / 2, 0, 0);
	fv_check(&a, 0);
	fv_check(&b, 0);
	fv_check(&c, 0);
	fv_end(&c);
	end(&a, &b);
}

TEST_SECONDS("a page that diverged and became equal again is shared where it lies", 200)
{
	struct fakevmm a, b;
	long before;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	before = pm_mappings_in(a.pid, a.base[0], PAGES);
	for (uint32_t turn = 0; turn < 3; turn++) {
		double again = number("a", "counters/shared_again");

		/* every other one: mappings keep their frames, and nothing is tidied */
		for (uint32_t page = 0; page < PAGES; page += 2)
			fv_do(&a, FV_PATCH, 0, page, 1, 8, 1);
		REQUIRE_WITHIN(SHARED_MS, number("a", "broken") > PAGES * 3 / 8 * T_PAGE);
		for (uint32_t page = 0; page < PAGES; page += 2)
			fv_pool(&a, 0, page, 1, page);
		wait_shared(&a);
		REQUIRE_WITHIN(SHARED_MS,
			       number("a", "counters/shared_again") - again > PAGES * 3 / 8);
		fv_check(&a, 0);
	}
	/* a page has gone round three times, and no mapping stays behind */
	REQUIRE_WITHIN(SHARED_MS, pm_mappings_in(a.pid, a.base[0], PAGES) <= before + 16);
	end(&a, &b);
}

/* A look stops where it has no tokens left, in the middle of a block, and goes on there. In every
 * 16th look a block's hinted pages are hashed as well: more than there are tokens at once. */
TEST_SECONDS("a look with more broken pages to hash than it has tokens comes to its end", 240)
{
	struct fakevmm a, b;
	double hinted, passes;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	hinted = number("a", "counters/hinted");
	/* some frames stay, or the mappings would be tidied away */
	for (uint32_t page = 0; page < PAGES; page += 32)
		fv_do(&a, FV_UNIQUE, 0, page + 1, 31, 0, 0);
	REQUIRE_WITHIN(SHARED_MS, number("a", "counters/hinted") - hinted > PAGES * 9 / 10);
	t_setting_put(&d, "Mem.ShareRateFirst", "0");
	t_setting_put(&d, "Mem.ShareRateMax", "256");
	passes = number("a", "counters/passes");
	/* each of the two blocks has had a full look by then */
	REQUIRE_WITHIN(6 * SHARED_MS, number("a", "counters/passes") > passes + 17);
	end(&a, &b);
}

TEST_SECONDS("a broken page that became zeros is the kernel's zero page", 90)
{
	struct fakevmm a, b;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	for (uint32_t page = 0; page < PAGES; page += 2)
		fv_do(&a, FV_ZERO, 0, page, 1, 0, 0);
	REQUIRE_WITHIN(SHARED_MS, fv_zero(&a, 0) > PAGES * 3 / 8);
	fv_check(&a, 0);
	fv_do(&a, FV_PATCH, 0, 0, PAGES, 8, 3);
	end(&a, &b);
}

TEST_SECONDS("broken pages whose mapping has no frame left come back, and mappings merge", 90)
{
	struct fakevmm a, b;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	fv_do(&a, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	REQUIRE_WITHIN(2 * SHARED_MS, number("a", "counters/brought_back") > PAGES * 8 / 10);
	REQUIRE_WITHIN(SHARED_MS, pm_mappings_in(a.pid, a.base[0], PAGES) <= 8);
	fv_check(&a, 0);
	/* and are taken out like any others */
	fv_pool(&a, 0, 0, PAGES, 0);
	wait_shared(&a);
	end(&a, &b);
}

/* Threads of the VMM write all pages again and again, most of them with contents that have twins:
 * they break, are shared again and brought back all the time. */
TEST_SECONDS("no write is lost while broken pages are shared again and brought back", 90)
{
	struct fakevmm a, b;

	t_daemon_fresh(&d);
	fv_start(&a, &d, called("a"));
	fv_start(&b, &d, called("b"));
	fv_map(&a, PAGES, NOHUGE);
	fv_map(&b, PAGES, NOHUGE);
	fv_do(&a, FV_HAMMER, 0, 0, 0, 0, 2);
	fv_do(&b, FV_HAMMER, 0, 0, 0, 0, 2);
	for (uint32_t i = 0; i < SECONDS; i++) {
		t_sleep(1);
		fv_do(&a, FV_OPS, 0, 0, 0, 0, 0);
		fv_do(&b, FV_OPS, 0, 0, 0, 0, 0);
	}
	REQUIRE_WITHIN(2 * SHARED_MS, number("a", "counters/batches") > 0);
	fv_do(&a, FV_STOP, 0, 0, 0, 0, 0);
	fv_do(&b, FV_STOP, 0, 0, 0, 0, 0);
	end(&a, &b);
}

/* A page is written over and over, a byte at a time, while batches go on around it: a write that
 * hits the moment in which its page is replaced must stay. */
TEST_SECONDS("a write in each moment of a batch stays", 200)
{
	struct fakevmm a, b;
	uint64_t rng = test_seed();

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	for (uint32_t round = 0; round < 6; round++) {
		double until = t_now() + 2.5;

		/* all break, and become what b has: each is shared again, by and by */
		fv_do(&a, FV_PATCH, 0, 0, PAGES, 8, round);
		fv_pool(&a, 0, 0, PAGES, 0);
		while (t_now() < until) {
			uint32_t page = t_below(&rng, PAGES);

			fv_do(&a, FV_PATCH, 0, page, 1, 32, (int64_t)t_below(&rng, 1u << 20));
			REQUIRE_OK(fv_try(&a, (struct fv_cmd){FV_CHECK, 0, page, 1, 0, 0}).error);
		}
		fv_check(&a, 0);
	}
	/* On a busy machine there was no batch yet, or all pages of a mapping broke before a look:
	 * those are brought back, and shared from there. One that breaks between two frames is
	 * shared again where it lies. */
	fv_pool(&a, 0, 0, PAGES, 0);
	wait_shared(&a);
	for (uint32_t page = 0; page < PAGES; page += 2)
		fv_pool(&a, 0, page, 1, page);
	REQUIRE_WITHIN(2 * SHARED_MS, number("a", "counters/shared_again") > 0);
	end(&a, &b);
}

/* An even page that a batch has closed right now, as the kernel says; any even one, if it has
 * closed none. Pages picked blindly met one to five that were closed, in all of this test. */
static uint32_t closed_page(struct fakevmm *v, uint64_t *rng)
{
	static uint64_t entry[PAGES];
	uint32_t start = t_below(rng, PAGES / 2) * 2;

	for (uint32_t tries = 0; tries < 50; tries++) {
		REQUIRE_EQ(pm_read(v->pagemap, v->base[0], entry, PAGES), PAGES);
		for (uint32_t i = 0; i < PAGES; i += 2) {
			uint32_t page = (start + i) % PAGES;

			if ((entry[page] & PM_UFFD_WP) && (entry[page] & PM_PRESENT))
				return page;
		}
		t_sleep(0.001);
	}
	return start;
}

/* Who waits at a closed page goes on when it is opened, and writes. The settler may have heard
 * of the fault, and not have dealt with it: what is written since must stay. */
TEST_SECONDS("writes after a fault that is heard of late stay", 200)
{
	struct fakevmm a, b;
	uint64_t rng = test_seed();
	double faults = 0;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	/* Where batches are quick nobody may meet one: then it is no use to go on. */
	for (uint32_t round = 0; faults < 6 && round < (faults ? 16 : 4); round++) {
		double until = t_now() + 2.5;

		/* no two that follow each other: each takes its time in a slow batch */
		for (uint32_t page = 0; page < PAGES; page += 2) {
			fv_do(&a, FV_PATCH, 0, page, 1, 8, round);
			fv_pool(&a, 0, page, 1, page);
		}
		while (t_now() < until) {
			uint32_t page = closed_page(&a, &rng);
			double written = 0;

			for (uint32_t i = 0; !i || t_now() < written; i++) {
				fv_do(&a, FV_PATCH, 0, page, 1, i % MODEL_PATCHES * 8,
				      (int64_t)t_below(&rng, 1u << 20));
				REQUIRE_OK(fv_try(&a, (struct fv_cmd){FV_CHECK, 0, page, 1, 0, 0})
						   .error);
				written = i ? written : t_now() + 0.04; /* then it went on */
			}
		}
		fv_check(&a, 0);
		faults = number("a", "counters/faults");
	}
	end(&a, &b);
}

/* ---- devices --------------------------------------------------------------------------------- */

/* Pages first..first+FIXED-1 of a are broken, held by a device, and then what b has too. */
static void hold(struct fakevmm *a, uint32_t first)
{
	fv_do(a, FV_PATCH, 0, first, FIXED, 8, 99);
	if (fv_try(a, (struct fv_cmd){FV_FIXED, 0, first, FIXED, 0, 1}).error)
		SKIP("no io_uring fixed buffers here");
	fv_pool(a, 0, first, FIXED, first);
}

TEST_SECONDS("a device writes through its pin into a broken page", 120)
{
	struct fakevmm a, b;
	uint32_t first = 100;
	double pinned;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	hold(&a, first);
	pinned = number("a", "counters/refused/pinned");
	/* others go round, so that there are batches; the held ones are asked about in some */
	for (uint32_t i = 0; i < 20; i++) {
		fv_pool(&a, 0, first, FIXED, first);
		fv_pool(&a, 0, 200, 64, i % 2 ? 200 : 7);
		t_sleep(0.5);
		fv_do(&a, FV_FIXED_READ, 0, first + i % FIXED, 1, i + 1, 0);
		fv_check(&a, 0);
	}
	REQUIRE_WITHIN(SHARED_MS, number("a", "counters/refused/pinned") > pinned);
	fv_do(&a, FV_FIXED, 0, first, FIXED, 0, 0);
	/* let go: shared again */
	fv_pool(&a, 0, first, FIXED, first);
	REQUIRE_WITHIN(2 * SHARED_MS, shared_in(&a, first, FIXED) == FIXED);
	end(&a, &b);
}

TEST_SECONDS("O_DIRECT reads into broken pages come to the guest", 120)
{
	struct fakevmm a, b;
	uint64_t rng = test_seed();
	double until;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	if (fv_try(&a, (struct fv_cmd){.op = FV_DIRECT, .arg = 1}).error)
		SKIP("no file can be read with O_DIRECT here");
	until = t_now() + SECONDS;
	while (t_now() < until) {
		uint32_t page = t_below(&rng, PAGES), key = t_below(&rng, MODEL_POOL);

		fv_do(&a, FV_DIRECT_READ, 0, page, 1, key, 0);
		if (key % 2)
			fv_pool(&a, 0, page, 1, page);
		REQUIRE_OK(fv_try(&a, (struct fv_cmd){FV_CHECK, 0, page, 1, 0, 0}).error);
	}
	fv_check(&a, 0);
	REQUIRE_WITHIN(2 * SHARED_MS, number("a", "counters/shared_again") > 0);
	fv_do(&a, FV_DIRECT, 0, 0, 0, 0, 0);
	end(&a, &b);
}

static bool guest_has(struct fakevmm *v, uint32_t page, uint64_t key)
{
	static uint8_t now[T_PAGE], want[T_PAGE];
	struct iovec local = {now, T_PAGE};
	struct iovec remote = {(void *)(uintptr_t)(v->base[0] + (uint64_t)page * T_PAGE), T_PAGE};

	content_fill(want, key);
	REQUIRE_EQ(process_vm_readv(v->pid, &local, 1, &remote, 1, 0), T_PAGE);
	return memcmp(now, want, T_PAGE) == 0;
}

/* Where the test for pins is out, the buffers stand for plain references, which nobody sees: the
 * page goes from under the device, which writes within the quarantine. */
static void late_write(uint32_t key_before)
{
	struct fakevmm a, b;
	uint32_t first = 100;

	t_daemon_fresh(&d);
	t_setting_put(&d, "Mem.ShareQuarantineMs", "30000"); /* a busy device is in time */
	pair(&a, &b, NOHUGE);
	hold(&a, first);
	if (key_before)
		fv_pool(&a, 0, first, FIXED, key_before);
	else /* they are brought back: no mapping of theirs has a frame */
		fv_do(&a, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	/* refused, or replaced this moment */
	REQUIRE_WITHIN(2 * SHARED_MS,
		       number("a", "counters/refused/pinned") > 0 ||
			       shared_in(&a, first, FIXED) > 0 ||
			       (!key_before && number("a", "counters/brought_back") > PAGES / 2));
	for (uint32_t i = 0; i < FIXED; i++)
		fv_do(&a, FV_FIXED_READ, 0, first + i, 1, 300 + i, 0);
	for (uint32_t i = 0; i < FIXED; i++)
		REQUIRE_WITHIN(SHARED_MS, guest_has(&a, first + i, pool_key(300 + i)));
	t_setting_put(&d, "Mem.ShareQuarantineMs", "100"); /* the end waits for it */
	fv_do(&a, FV_FIXED, 0, first, FIXED, 0, 0);
	end(&a, &b);
}

TEST_SECONDS("a late write into a page that was shared again comes to the guest", 120)
{
	late_write(100);
}

TEST_SECONDS("a late write into a page that was brought back comes to the guest", 120)
{
	late_write(0);
}

/* What a device holds stays in the store's mapping when the VMM withdraws its memory, and lies
 * before the nursery of the region that takes it back. */
TEST_SECONDS("pages left behind, and offered again, read as zeros when they are discarded", 120)
{
	struct fakevmm a, b;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	for (uint32_t turn = 0; turn < 4; turn++) {
		fv_do(&a, FV_PATCH, 0, 1, FIXED, 8, turn);
		if (fv_try(&a, (struct fv_cmd){FV_FIXED, 0, 1, FIXED, 0, 1}).error)
			SKIP("no io_uring fixed buffers here");
		fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_UNMERGEABLE);
		CHECK_EQ(shared_in(&a, 0, PAGES), 0);
		if (turn % 2)
			fv_do(&a, FV_DISCARD, 0, 3, 2, 0, 0);
		fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_MERGEABLE);
		fv_do(&a, FV_DISCARD, 0, 2, FIXED / 2, 0, 0);
		fv_check(&a, 0);
		t_sleep(4 * (turn / 2)); /* taken back by then, with a nursery; or not */
		fv_do(&a, FV_DISCARD, 0, 0, PAGES, 0, 0);
		fv_check(&a, 0);
		fv_do(&a, FV_FIXED, 0, 0, 0, 0, 0);
		fv_pool(&a, 0, 0, PAGES, 0);
		wait_shared(&a);
	}
	end(&a, &b);
}

/* ---- the VMM and the daemon, in the middle of a batch ---------------------------------------- */

static void forks(int64_t by)
{
	struct fakevmm a, b;

	t_daemon_fresh(&d);
	pair(&a, &b, FV_MAP_NOHUGE);
	for (uint32_t i = 0; i < 8; i++) {
		fv_do(&a, FV_PATCH, 0, 0, PAGES, 8, i);
		fv_pool(&a, 0, 0, PAGES, 0);
		t_sleep(0.3 + 0.17 * i);
		fv_do(&a, FV_FORK, 0, 0, 0, 0, by);
		fv_check(&a, 0);
	}
	fv_pool(&a, 0, 0, PAGES, 0);
	wait_shared(&a);
	end(&a, &b);
}

TEST_SECONDS("a fork() in the middle of batches: parent and child see what the VMM had", 120)
{
	forks(FV_BY_FORK);
}

TEST_SECONDS("a _Fork() in the middle of batches: parent and child see what the VMM had", 120)
{
	forks(FV_BY_FORK_ALONE);
}

TEST_SECONDS("a bare clone() in the middle of batches leaves the VMM as it was", 120)
{
	struct fakevmm a, b;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE); /* the child has nothing of it: it checks nothing */
	for (uint32_t i = 0; i < 8; i++) {
		fv_do(&a, FV_PATCH, 0, 0, PAGES, 8, i);
		fv_pool(&a, 0, 0, PAGES, 0);
		t_sleep(0.3 + 0.17 * i);
		fv_do(&a, FV_FORK, 0, 0, 0, 0, FV_BY_CLONE);
		fv_check(&a, 0);
	}
	wait_shared(&a);
	end(&a, &b);
}

TEST_SECONDS("a daemon that dies in the middle of batches is not missed", 150)
{
	struct fakevmm a, b;

	t_daemon_fresh(&d);
	pair(&a, &b, NOHUGE);
	for (uint32_t i = 0; i < 5; i++) {
		fv_do(&a, FV_PATCH, 0, 0, PAGES, 8, i);
		fv_pool(&a, 0, 0, PAGES, 0);
		t_sleep(0.4 + 0.3 * i);
		t_daemon_kill(&d, SIGKILL);
		fv_check(&a, 0);
		fv_do(&a, FV_PATCH, 0, 0, PAGES / 2, 16, i);
		fv_do(&a, FV_DISCARD, 0, PAGES / 4, PAGES / 8, 0, 0);
		fv_check(&a, 0);
		fv_check(&b, 0);
		t_daemon_start(&d, NULL, NULL, NULL);
		t_daemon_full_speed(&d);
	}
	fv_pool(&a, 0, 0, PAGES, 0);
	fv_pool(&b, 0, 0, PAGES, 0);
	REQUIRE_WITHIN(2 * SHARED_MS, number("a", "SHRD") > PAGES * 9 / 10 * T_PAGE &&
					      number("b", "SHRD") > PAGES * 9 / 10 * T_PAGE);
	end(&a, &b);
}
