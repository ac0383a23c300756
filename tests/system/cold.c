/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cold: pages that are out, in every state, and all that may happen to them.
 *
 * The daemon is of paper (lib/paper.h): it says targets, and the test sees what becomes of them, by
 * the agent's figures and by the kernel's. The VMM keeps a model of every byte.
 */
#include "cold.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/memstate.h"

#define QUARTER (PAGES / 4)
#define STAGE_MS 300u
#define ALL (PS_TARGET_STAGE | PS_TARGET_TWIN | PS_TARGET_ZIP | PS_TARGET_SWAP)

struct t_daemon d;
struct paper p;
struct fakevmm v;
int said_fd;
static uint32_t more_flags; /* of the configuration */

void start(int flags)
{
	t_need_product();
	t_daemon_init(&d);
	paper_start(&p, &d, STAGE_MS);
	p.config.flags |= more_flags;
	fv_start(&v, &d, (struct t_vm_opts){.name = "cold", .stderr_fd = said_fd});
	fv_map(&v, PAGES, flags);
	paper_meet(&p);
}

void finish(void)
{
	fv_end(&v);
	paper_end(&p);
	t_rmdir(d.dir);
}

static void swap_on(void)
{
	int fd = paper_swap_file();

	paper_swap(&p, fd, SWAP_CAP);
	close(fd);
}

static uint32_t present(void)
{
	return pm_count(v.pagemap, v.base[0], PAGES).present;
}

static bool is_there(uint32_t page)
{
	return pm_count(v.pagemap, v.base[0] + (uint64_t)page * PS_PAGE_SIZE, 1).present;
}

/* All of it staged, and no further. */
void stage_all(void)
{
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_SWAP, PAGES, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.staged >= PAGES * 9 / 10);
}

/* Contents that compress, each of its own: a word in zeros. */
static void write_thin(int64_t value)
{
	fv_do(&v, FV_ZERO, 0, 0, PAGES, 0, 0);
	fv_do(&v, FV_PATCH, 0, 0, PAGES, 64, value << 20);
}

static void zip_all(void)
{
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_ZIP, PAGES, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.zipped >= PAGES * 9 / 10);
}

static void swap_all(void)
{
	swap_on();
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_SWAP, PAGES, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.swapped >= PAGES * 9 / 10);
}

/* Nothing is out, by the agent's own figures too. */
void all_back(void)
{
	paper_target(&p, 0, 0, MEMSTATE_HIGH);
	fv_check(&v, 0);
	PAPER_WAIT(&p, OUT_MS, s.staged + s.twin + s.zipped + s.swapped == 0);
}

/* Pages in every state. */
static void every_state(void)
{
	p.target.zip_max_pages = 1u << 20;
	p.shared = 0;
	write_thin(1);
	swap_on();
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_SWAP, QUARTER, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.swapped >= QUARTER - 8);
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_ZIP, 3 * QUARTER, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.zipped >= 2 * QUARTER - 8);
	/* some of the zipped become twins of frames that they gave the content for */
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_TWIN | PS_TARGET_ZIP, 3 * QUARTER,
		     MEMSTATE_SOFT);
	for (uint32_t page = 0; page < PAGES && p.shared < QUARTER; page += 16)
		paper_share(&p, p.base + page, page, 8);
	CHECK_GE(p.shared, QUARTER / 4);
	/* and the last stay staged: nothing that keeps them is allowed any more */
	p.target.zip_max_pages = 1;
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_ZIP, PAGES, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS,
		   s.twin >= QUARTER / 8 && s.zipped && s.swapped && s.staged >= QUARTER / 8);
}

TEST("a staged page comes back when it is touched, whole, and a page that is not stays out")
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	stage_all();
	CHECK_LE(present(), PAGES / 10);
	fv_do(&v, FV_READ, 0, 100, 50, 0, 0);
	fv_check(&v, 0);
	paper_target(&p, 0, 0, MEMSTATE_HIGH);
	PAPER_WAIT(&p, OUT_MS, s.staged_back >= 40);
	fv_do(&v, FV_PATCH, 0, 0, PAGES, 8, 1);
	fv_check(&v, 0);
	CHECK_EQ(present(), PAGES);
	finish();
}

TEST("a page goes out to the compressed cache and comes back, again and again")
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	for (int turn = 0; turn < 3; turn++) {
		write_thin(turn + 1);
		zip_all();
		CHECK_LE(present(), PAGES / 5);
		all_back();
		fv_do(&v, FV_PATCH, 0, 0, PAGES, 8, turn);
		fv_check(&v, 0);
	}
	finish();
}

TEST("a page goes out to the swap file and comes back, with its neighbours")
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	swap_all();
	CHECK_LE(pm_field_kib(v.pid, "status", "RssAnon"), 4096 + PAGES * 4 / 5);
	paper_target(&p, 0, 0, MEMSTATE_HIGH);
	fv_do(&v, FV_READ, 0, 1024 + 3, 1, 0, 0);
	PAPER_WAIT(&p, OUT_MS, s.swapins > 1 && s.promotions == 1);
	fv_check(&v, 0);
	fv_do(&v, FV_PATCH, 0, 0, PAGES, 8, 7);
	fv_check(&v, 0);
	finish();
}

TEST("pages in every state are read, written and read again")
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	every_state();
	all_back();
	every_state();
	paper_target(&p, 0, 0, MEMSTATE_HIGH);
	fv_do(&v, FV_PATCH, 0, 0, PAGES, 8, 7);
	fv_check(&v, 0);
	CHECK_EQ(present(), PAGES);
	finish();
}

TEST("no more goes to the disk than is wanted, however slow it is")
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	write_thin(1);
	stage_all();
	swap_on();
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_SWAP, FEW, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.swapped >= FEW - 8);
	t_sleep(0.5);
	CHECK_LE(paper_stats(&p).swapped, FEW);
	finish();
}

/* From outside, as another process. Returns how long it took. */
static double read_at(uint32_t page, uint32_t offset, uint64_t *word)
{
	struct iovec local = {word, sizeof(*word)};
	struct iovec remote = {(void *)(uintptr_t)(v.base[0] + (uint64_t)page * T_PAGE + offset),
			       sizeof(*word)};
	double start = t_now();

	REQUIRE_EQ(process_vm_readv(v.pid, &local, 1, &remote, 1, 0), (ssize_t)sizeof(*word));
	return t_now() - start;
}

/* ---- what is compared, and how long -------------------------------------------------------- */

TEST_SECONDS("1 a page that is out is compared with the frame that it is told of", 60)
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	write_thin(1);
	zip_all();
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_TWIN | PS_TARGET_ZIP, PAGES, MEMSTATE_SOFT);
	CHECK_EQ(paper_share(&p, p.base, 0, 1), 1);
	p.shared = 0;
	paper_order(&p, p.base + 1, 0); /* not its content */
	CHECK_EQ(p.shared, 0);
	CHECK_EQ(p.cause, PS_CAUSE_CHANGED);
	fv_check(&v, 0);
	finish();
}

TEST_SECONDS("2 a device writes late into a staged page, and the guest sees it", 60)
{
	uint64_t word = 0;
	uint32_t key = 0;

	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	p.config.stage_ms = p.config.quarantine_ms = 3000;
	paper_config(&p);
	write_thin(1);
	while ((pool_key(key) >> 1 & 3) != 3) /* one that compresses */
		key++;
	fv_pool(&v, 0, 5, 1, key);
	fv_do(&v, FV_LATE, 0, 5, 1, 0, 0);
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_ZIP, PAGES, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.staged + s.zipped >= PAGES * 9 / 10);
	t_sleep(0.5);
	/* -ESRCH: the page taken out is not in this process any more */
	REQUIRE_OK(fv_try(&v, (struct fv_cmd){FV_LATE, 0, 5, 1, 0x6c617465, 1}).error);
	PAPER_WAIT(&p, OUT_MS, s.zipped >= PAGES * 9 / 10);
	read_at(5, 128, &word);
	CHECK_EQ(word, 0x6c617465u);
	fv_check(&v, 0);
	finish();
}

/* ---- what a VMM does to its memory --------------------------------------------------------- */

TEST_SECONDS("3 what is out and discarded reads as zeros, and costs nothing any more", 90)
{
	uint64_t rng = test_seed();

	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	every_state();
	for (int i = 0; i < 60; i++) {
		uint32_t page = t_below(&rng, PAGES), n = 1 + t_below(&rng, 60);

		n = n > PAGES - page ? PAGES - page : n;
		fv_do(&v, FV_DISCARD, 0, page, n, 0, 0);
		if (i % 3 == 0)
			fv_do(&v, FV_PATCH, 0, page, n, 64, 0x1234);
	}
	fv_check(&v, 0);
	PAPER_WAIT(&p, OUT_MS, s.out_discards > 0);
	every_state();
	fv_do(&v, FV_DISCARD, 0, 0, PAGES, 0, 0);
	PAPER_WAIT(&p, OUT_MS, s.staged + s.twin + s.zipped + s.swapped == 0 && !s.zip_payload);
	fv_check(&v, 0);
	finish();
}

TEST_SECONDS("6 memory that moves, goes, is locked or withdrawn takes along what is out of it", 120)
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	every_state();
	v.base[0] = fv_do(&v, FV_MOVE, 0, 0, 0, 0, 0);
	fv_check(&v, 0);
	PAPER_WAIT(&p, OUT_MS, p.added == 2);
	all_back();
	every_state();
	v.base[0] = fv_do(&v, FV_UNMAP, 0, 0, 0, 0, 1);
	fv_check(&v, 0);
	PAPER_WAIT(&p, OUT_MS, s.staged + s.twin + s.zipped + s.swapped == 0 && !s.zip_payload);
	PAPER_WAIT(&p, OUT_MS, p.added == 3);
	every_state();
	fv_do(&v, FV_MADVISE, 0, 0, PAGES, 0, MADV_UNMERGEABLE);
	CHECK_EQ(present(), PAGES);
	fv_check(&v, 0);
	fv_do(&v, FV_MADVISE, 0, 0, PAGES, 0, MADV_MERGEABLE);
	PAPER_WAIT(&p, OUT_MS, p.added == 4);
	all_back();
	every_state();
	if (!fv_try(&v, (struct fv_cmd){.op = FV_LOCK}).error)
		CHECK_EQ(present(), PAGES);
	fv_check(&v, 0);
	finish();
}

TEST_SECONDS("6 a forked child has what was out of its parent", 90)
{
	start(FV_MAP_NOHUGE);
	every_state();
	fv_do(&v, FV_FORK, 0, 0, 0, 0, 0);
	fv_check(&v, 0);
	finish();
}

TEST_SECONDS("a VM whose daemon dies while it is out goes on, and meets the next one", 120)
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	every_state();
	paper_die(&p);
	fv_do(&v, FV_READ, 0, 0, PAGES / 2, 0, 0);
	paper_meet(&p);
	fv_check(&v, 0);
	every_state();
	paper_die(&p);
	paper_meet(&p);
	/* twins of the store that has gone are elsewhere soon, so that it can go */
	PAPER_WAIT(&p, OUT_MS, s.twin == 0);
	fv_check(&v, 0);
	finish();
}

TEST_SECONDS("a VM that is told to leave its domain has no twin there any more", 60)
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	every_state();
	paper_leave(&p);
	PAPER_WAIT(&p, OUT_MS, p.left == 1);
	PAPER_WAIT(&p, OUT_MS, s.twin == 0);
	fv_check(&v, 0);
	finish();
}

/* Whose reference is given back reads its frame no more: the daemon makes another page of it. */
TEST_SECONDS("5 a twin that is coming in keeps the VM in its domain until it is in", 60)
{
	uint64_t word = 0;
	pid_t child;

	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	p.target.zip_max_pages = 1u << 20;
	p.shared = 0;
	write_thin(1);
	zip_all();
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_TWIN | PS_TARGET_ZIP, PAGES, MEMSTATE_SOFT);
	REQUIRE_EQ(paper_share(&p, p.base + FEW, 0, 8), 8u);
	child = t_sys(fork());
	if (!child) {
		read_at(FEW + 3, 64, &word);
		_exit(word != (1 << 20) + FEW + 3);
	}
	t_sleep(0.1); /* it waits by now */
	paper_leave(&p);
	PAPER_WAIT(&p, OUT_MS, p.left == 1);
	memset(p.store, 0xa5, 8 * PS_PAGE_SIZE);
	t_wait(child, 30, &(int){0});
	fv_check(&v, 0);
	finish();
}

/* ---- who waits for what -------------------------------------------------------------------- */

TEST_SECONDS("14 nobody waits for a daemon that has stopped", 120)
{
	uint64_t slowest;

	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	every_state();
	paper_target(&p, 0, 0, MEMSTATE_HIGH);
	/* this program is the daemon, and does nothing meanwhile */
	slowest = fv_do(&v, FV_READ, 0, 0, PAGES, 0, 0);
	CHECK_LT(slowest, 2000000000ull);
	fv_check(&v, 0);
	finish();
}

/* The first page from `from` on that is not there. */
static uint32_t first_out(uint32_t from)
{
	while (pm_count(v.pagemap, v.base[0] + (uint64_t)from * T_PAGE, 1).present)
		REQUIRE_LT(++from, PAGES);
	return from;
}

/* Pages 0.. are in the swap file, the last ones staged. */
TEST_SECONDS("14 nobody waits for another page's disk", 60)
{
	uint64_t word = 0;
	uint32_t page;
	pid_t child;

	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	write_thin(1);
	swap_on();
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_SWAP, FEW, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.swapped >= FEW);
	p.target.zip_max_pages = 1;
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_ZIP, PAGES, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.staged >= PAGES - FEW - 16);
	paper_target(&p, 0, 0, MEMSTATE_HIGH);
	page = first_out(0);
	child = t_sys(fork());
	if (!child) {
		read_at(page, 64, &word);
		_exit(word != (1 << 20) + page);
	}
	t_sleep(0.1); /* it waits by now */
	page = first_out(PAGES - QUARTER);
	if (read_at(page, 64, &word) > 0.3)
		FAIL("a staged page waited for the disk of a swapped one");
	CHECK_EQ(word, (1 << 20) + page);
	t_wait(child, 30, &(int){0});
	fv_check(&v, 0);
	finish();
}

TEST("a page that does not compress goes to the swap file, the others to the cache")
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	swap_on();
	paper_target(&p, ALL, PAGES, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.zipped > PAGES / 4 && s.swapped > PAGES / 4 && s.staged < 64);
	fv_check(&v, 0);
	finish();
}

/* A VM of huge pages, of which some are staged as samples. */
static void start_sampled_huge(void)
{
	more_flags = PS_CONFIG_LARGE;
	start(FV_MAP_DONTFORK);
	p.config.sample_pages = 8;
	p.config.sample_ms = 1000;
	paper_config(&p);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	if (pm_count(v.pagemap, v.base[0], PAGES).huge < PAGES / 2)
		SKIP("no huge pages here");
}

TEST_SECONDS("huge pages are sampled in one piece, and come back so", 90)
{
	start_sampled_huge();
	PAPER_WAIT(&p, OUT_MS, s.sampled >= 8);
	PAPER_WAIT(&p, OUT_MS, s.staged >= PS_BLOCK_PAGES);
	fv_check(&v, 0); /* all of it is touched */
	PAPER_WAIT(&p, OUT_MS, s.touched >= 1);
	fv_check(&v, 0);
	p.config.sample_pages = 0;
	paper_config(&p);
	PAPER_WAIT(&p, OUT_MS, s.staged == 0);
	CHECK_GE(pm_count(v.pagemap, v.base[0], PAGES).huge, PAGES / 2);
	fv_check(&v, 0);
	finish();
}

/* The kernel cannot split a huge page to which somebody holds a plain reference, and moves it in
 * one piece only to where there is no page table. */
TEST_SECONDS("a huge page that cannot be split comes back, and nobody waits for who holds it", 90)
{
	double began;

	start_sampled_huge();
	for (uint32_t page = 5; page < PAGES; page += PS_BLOCK_PAGES)
		fv_do(&v, FV_HOLD, 0, page, 1, 0, 1);
	PAPER_WAIT(&p, OUT_MS, s.staged == PAGES);
	fv_do(&v, FV_MADVISE, 0, 0, PAGES, 0, MADV_NOHUGEPAGE);
	began = t_now();
	fv_check(&v, 0);
	CHECK_LT(t_now() - began, 8);
	fv_do(&v, FV_HOLD, 0, 0, 0, 0, 0);
	finish();
}

TEST_SECONDS("huge pages that are staged as samples go out by the page when pages are wanted", 90)
{
	start_sampled_huge();
	PAPER_WAIT(&p, OUT_MS, s.staged >= PS_BLOCK_PAGES);
	p.config.sample_ms = 60000; /* none new */
	paper_config(&p);
	swap_on();
	p.target.break_blocks = PAGES / PS_BLOCK_PAGES;
	paper_target(&p, PS_TARGET_BREAK | PS_TARGET_STAGE | PS_TARGET_SWAP, PAGES, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.swapped >= PAGES * 9 / 10);
	all_back();
	finish();
}

/* Here and there, so that nobody seems to read all of it. */
TEST_SECONDS("what was touched while it was out goes out last", 60)
{
	uint32_t touched = 0, there = 0;
	bool out[FEW];
	uint64_t looks;

	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	write_thin(1);
	zip_all();
	for (uint32_t i = 0; i < FEW; i++) { /* some are on their way yet: they are not missed */
		out[i] = !is_there(i * (PAGES / FEW));
		touched += out[i];
		fv_do(&v, FV_READ, 0, i * (PAGES / FEW), 1, 0, 0);
	}
	paper_target(&p, PS_TARGET_RESUME, 0, MEMSTATE_HIGH);
	PAPER_WAIT(&p, OUT_MS, s.staged + s.zipped == 0);
	/* until pages have been looked at again, all of them may have been written a moment ago */
	looks = paper_stats(&p).pass;
	PAPER_WAIT(&p, OUT_MS, s.pass >= looks + 3);
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_ZIP, PAGES / 2, MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.zipped >= PAGES / 2 - 8);
	for (uint32_t i = 0; i < FEW; i++)
		there += out[i] && is_there(i * (PAGES / FEW));
	t_note("%u of %u that were touched are there", there, touched);
	CHECK_GE(touched, FEW * 3 / 4);
	CHECK_GE(there + 4, touched);
	all_back();
	finish();
}

TEST("what is compressed goes on to the swap file when too little else is found")
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	write_thin(1);
	zip_all();
	swap_on();
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_ZIP | PS_TARGET_SWAP, PAGES * 2,
		     MEMSTATE_HARD);
	PAPER_WAIT(&p, OUT_MS, s.swapped >= PAGES / 2);
	all_back();
	finish();
}

#define ANEW_FIRST 200u /* in the last of the batches that are written at the same time */
#define ANEW_TIMES 3u

/* One at a time: the handle that comes free is the next that is given. */
TEST_SECONDS("1 a page that is compressed anew while it is being written is not what is on disk",
	     90)
{
	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	p.target.zip_max_pages = 1u << 20;
	write_thin(1);
	zip_all();
	PAPER_WAIT(&p, OUT_MS, s.zipped == PAGES);
	swap_on();
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_ZIP | PS_TARGET_SWAP, PAGES + FEW,
		     MEMSTATE_SOFT);
	PAPER_WAIT(&p, OUT_MS, s.swap_bytes > 0); /* they are being written */
	for (uint32_t i = 0; i < ANEW_TIMES; i++) {
		uint64_t zips = paper_stats(&p).zips;

		fv_do(&v, FV_PATCH, 0, ANEW_FIRST + i, 1, 64, 2 << 20);
		PAPER_WAIT(&p, OUT_MS, s.zips > zips);
	}
	PAPER_WAIT(&p, OUT_MS * 2, s.swapouts > 4 * FEW - 16);
	fv_check(&v, 0);
	finish();
}

TEST_SECONDS("the working set is what is touched", 90)
{
	struct ps_agent_stats now;

	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	p.config.sample_pages = 32;
	p.config.sample_ms = 1000;
	paper_config(&p);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	/* a quarter is in use: read again and again */
	for (double end = t_now() + 9; t_now() < end; t_sleep(0.05))
		fv_do(&v, FV_READ, 0, 0, QUARTER, 0, 0);
	now = paper_stats(&p);
	t_note("%lu of %u pages active: slow %lu, fast %lu", now.active, PAGES, now.active_slow,
	       now.active_fast);
	CHECK_GT(now.sampled, 100);
	CHECK_GT(now.active, PAGES / 10);
	CHECK_LT(now.active, PAGES * 6 / 10);
	fv_check(&v, 0);
	finish();
}

TEST_SECONDS("SUSPEND puts all of it out, RESUME brings it back ahead of use, with progress", 90)
{
	struct ps_agent_stats now;

	start(FV_MAP_DONTFORK); /* huge pages too */
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	swap_on();
	paper_target(&p, ALL | PS_TARGET_SUSPEND, 0, MEMSTATE_HIGH);
	PAPER_WAIT(&p, OUT_MS, s.moving_total && s.zipped + s.swapped >= PAGES * 95 / 100);
	PAPER_WAIT(&p, OUT_MS, s.moving_todo == 0);
	CHECK_LE(present(), PAGES / 20);
	paper_target(&p, PS_TARGET_RESUME, 0, MEMSTATE_HIGH);
	PAPER_WAIT(&p, OUT_MS, s.staged + s.twin + s.zipped + s.swapped == 0);
	CHECK_EQ(present(), PAGES);
	now = paper_stats(&p);
	CHECK_EQ(now.promotions, 0); /* nobody had to touch it */
	fv_check(&v, 0);
	finish();
}

TEST_SECONDS("who reads all memory brings it in, and it goes out again: no promotion", 90)
{
	struct ps_agent_stats now;
	uint64_t word;

	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	write_thin(1);
	p.target.promote_max = 100;
	zip_all();
	for (uint32_t page = 0; page < PAGES; page++) {
		read_at(page, 64, &word);
		REQUIRE_EQ(word, (1u << 20) + page);
	}
	PAPER_WAIT(&p, OUT_MS, s.scanned_in >= PAGES * 8 / 10);
	PAPER_WAIT(&p, OUT_MS, s.zipped >= PAGES * 9 / 10);
	now = paper_stats(&p);
	CHECK_LT(now.promotions, 2 * 64 + PAGES / 10);
	fv_check(&v, 0);
	finish();
}

/* The kernel lets a debugger wait for no userfaultfd. */
TEST("a debugger reads what is out, or is told that it cannot: it sees no wrong byte")
{
	char path[64];
	int fd;

	start(FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	write_thin(1);
	zip_all();
	paper_target(&p, 0, 0, MEMSTATE_HIGH);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)v.pid);
	fd = t_sys(open(path, O_RDONLY | O_CLOEXEC));
	for (uint32_t page = 0; page < PAGES; page++) {
		off_t at = (off_t)(v.base[0] + (uint64_t)page * T_PAGE + 64);
		uint64_t word = 0;
		ssize_t n = pread(fd, &word, sizeof(word), at);

		if (n < 0)
			REQUIRE_EQ(errno, EIO);
		else
			REQUIRE_EQ(word, (1u << 20) + page);
	}
	close(fd);
	fv_check(&v, 0);
	finish();
}
