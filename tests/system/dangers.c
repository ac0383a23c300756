/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dangers: one test for each way to lose, leak, hang or slow down a guest that a manager of its
 * memory has, and a way to see that the test means something.
 *
 * A build with -Dinject=true takes a defence out when $PSHARE_TEST_UNSAFE names it; the program
 * dangers-unsafe then runs the test here and demands that it fails. Where a defence closes a
 * window of microseconds, the hook widens it (some milliseconds) so that the test meets it.
 *
 * name             danger  where   without the defence
 * compare-before        1  agent   a page is compared, time passes, it is taken out and the frame
 *                                  is mapped without another look
 * copy-pinned           2  agent   a page that MOVE refuses (EBUSY) is copied and mapped over
 * no-quarantine         2  agent   a page taken out is given back at once
 * no-discard            3  agent   MADV_DONTNEED goes to the kernel alone
 * unregister-early      4  agent   the range is unregistered while its pages are out, time passes
 * punch-early           5  daemon  a frame is given back when the first of its users leaves it
 * no-fork               6  agent   fork() does not wait for what is out; pages are out for long
 * no-remap              6  agent   mremap() and munmap() go to the kernel alone
 * one-store             7  daemon  all domains share one store
 * writable-store        8  daemon  agents get a store that they can write to
 * keep-salt             9  both    the salt stays in memory
 * any-user             10  daemon  a salt is believed from whoever says it
 * settler-mallocs      12  agent   the thread that settles faults calls malloc and free
 * ask-daemon           14  agent   a write fault waits until the daemon has answered
 * register-early       16  agent   a region is registered for missing pages as soon as it is there
 * no-map-limit         18  agent   mappings are counted by nobody
 *
 * Not here: 11 and 13 (one thread that acts and reads events; MOVE of a part of a huge page) have
 * no defence that could be taken out of a finished build; their tests below must not hang. 17
 * (drops of second-level tables) cannot be seen from user space.
 */
#include "harness/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/fakevmm.h"

#define PAGES 1024u
#define HAMMER_PAGES 6000u /* enough that most are left alone long enough to be shared */
#define SHARED_MS 20000
#define SETTLE_MAX_NS 1000000000ull
#define QUARANTINE_MS 2000

static struct t_daemon d;

static void start(void)
{
	t_daemon_fresh(&d);
}

static struct t_vm_opts called(const char *name)
{
	return (struct t_vm_opts){.name = name, .salt = "salt of the dangers"};
}

/* A VM with one region of 4 KiB pages, all of them with twins in every other such VM. */
static void vm_up(struct fakevmm *v, struct t_vm_opts opts, int flags)
{
	fv_start(v, &d, opts);
	fv_map(v, PAGES, flags);
	fv_pool(v, 0, 0, PAGES, 0);
}

static void wait_shared(struct fakevmm *v)
{
	if (!fv_wait_shared(v, 0, PAGES * 9 / 10, SHARED_MS * 0.001))
		FAIL("VM %s: only %u of %u pages shared within %d ms", v->name, fv_shared(v, 0),
		     PAGES, SHARED_MS);
}

static void finish(struct fakevmm *a, struct fakevmm *b)
{
	fv_end(a);
	if (b)
		fv_end(b);
	t_daemon_free(&d);
}

/* ---- lost data ------------------------------------------------------------------------------- */

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
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&a, 0) > HAMMER_PAGES / 10);
	t_sleep(seconds);
	fv_do(&a, FV_STOP, 0, 0, 0, 0, 0);
	fv_do(&b, FV_STOP, 0, 0, 0, 0, 0);
	finish(&a, &b);
}

TEST_SECONDS("1 a write between compare and map is not lost", 60)
{
	hammered(10);
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

static bool page_shared(struct fakevmm *v, uint32_t page)
{
	return pm_count(v->pagemap, v->base[0] + (uint64_t)page * T_PAGE, 1).file;
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
	for (uint32_t i = 0; i < 120; i++) {
		/* part of it is on its way into sharing at any time */
		fv_pool(&a, 0, (i * 97) % (PAGES / 2), PAGES / 4, i);
		t_sleep(0.001 * (i % 40));
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
		fv_do(&a, FV_UNMAP, 0, 0, 0, 0, 1);
		fv_check(&a, 0);
		fv_pool(&a, 0, 0, PAGES, (uint32_t)turn + 9);
		fv_check(&a, 0);
	}
	fv_check(&b, 0);
	finish(&a, &b);
}

/* ---- leaks ----------------------------------------------------------------------------------- */

static uint32_t some_shared(struct fakevmm *v)
{
	uint32_t page = 0;

	while (page < PAGES && !page_shared(v, page))
		page++;
	REQUIRE_LT(page, PAGES);
	return page;
}

TEST_SECONDS("7 no mapping of one domain can be grown over pages of another", 60)
{
	struct t_vm_opts red = called("red"), same = called("same"), blue = called("blue");
	struct fakevmm a, b, c;
	uint64_t secret = pool_key(333);

	start();
	red.salt = same.salt = "red";
	blue.salt = "blue";
	/* the first frames of both domains; then the secret */
	vm_up(&b, blue, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&c, same, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_pool(&b, 0, 0, PAGES, 0);
	for (uint32_t p = 0; p < PAGES; p += 64) {
		fv_pool(&b, 0, p, 64, 0);
		fv_pool(&c, 0, p, 64, 0);
	}
	wait_shared(&b);
	wait_shared(&c);
	fv_start(&a, &d, red);
	fv_map(&a, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&a, FV_POOL, 0, 0, PAGES, 333, 0);
	wait_shared(&a);
	/* who is of the domain finds it: the way of looking works */
	CHECK_GT(fv_do(&c, FV_GROW, 0, some_shared(&c), 1, secret, 4096), 0);
	CHECK_EQ(fv_do(&b, FV_GROW, 0, some_shared(&b), 1, secret, 4096), 0);
	fv_kill(&b);
	fv_kill(&c);
	finish(&a, NULL);
}

/* Every descriptor of a memfd that backs a private mapping, in a process: can it be written to? */
static uint32_t writable_stores(pid_t pid)
{
	char dir[64], path[384], link[256], info[1024];
	uint32_t n = 0;
	struct dirent *e;
	DIR *fds;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	fds = opendir(dir);
	while (fds && (e = readdir(fds))) {
		ssize_t len;
		char *flags;

		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		len = readlink(path, link, sizeof(link) - 1);
		if (len <= 0)
			continue;
		link[len] = '\0';
		/* the rings are written by both sides */
		if (!strstr(link, "memfd:") || !strstr(link, "store"))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", (int)pid, e->d_name);
		t_slurp(path, info, sizeof(info));
		flags = strstr(info, "flags:");
		n += flags && (strtoul(flags + 6, NULL, 8) & O_ACCMODE) != O_RDONLY;
	}
	if (fds)
		closedir(fds);
	return n;
}

TEST_SECONDS("8 no descriptor outside of the daemon can write to a store", 60)
{
	struct fakevmm a, b;
	char path[64], line[512];
	uint32_t shared_writable = 0, stores = 0;
	FILE *f;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	CHECK_EQ(writable_stores(a.pid), 0);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)a.pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		stores += strstr(line, "memfd:") && strstr(line, "store");
		shared_writable += strstr(line, "memfd:") && strstr(line, "store") &&
				   strstr(line, "w-s") != NULL;
	}
	if (f)
		fclose(f);
	CHECK_GT(stores, 0); /* else the name has changed and nothing was looked at */
	CHECK_EQ(shared_writable, 0);
	finish(&a, &b);
}

static bool in_range(int mem, uintptr_t at, uintptr_t end, const char *text)
{
	static char buf[65 * T_PAGE];
	size_t len = strlen(text), step = sizeof(buf) - T_PAGE;

	for (; at < end; at += step) {
		size_t want = end - at < sizeof(buf) ? end - at : sizeof(buf);
		ssize_t n = pread(mem, buf, want, (off_t)at);

		if (n > 0 && memmem(buf, (size_t)n, text, len))
			return true;
	}
	return false;
}

/* Is the text anywhere in the memory of a process? */
static bool in_memory(pid_t pid, const char *text)
{
	char path[64], line[512], perm[8];
	int mem, pagemap = pm_open(pid);
	struct page_region range[64];
	unsigned long start_at, end;
	bool found = false;
	FILE *maps;
	uint32_t n;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	REQUIRE(maps && mem >= 0);
	while (!found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &start_at, &end, perm) != 3 || perm[0] != 'r')
			continue;
		/* present pages only: who reads a page that is out waits for the agent */
		for (uintptr_t at = start_at;
		     !found && (n = pm_present(pagemap, &at, end, range, 64));)
			for (uint32_t i = 0; !found && i < n; i++)
				found = in_range(mem, range[i].start, range[i].end, text);
	}
	fclose(maps);
	close(mem);
	close(pagemap);
	return found;
}

static bool in_file(const char *path, const char *text)
{
	static char buf[1 << 20];
	ssize_t n;

	n = t_slurp(path, buf, sizeof(buf));
	return n > 0 && memmem(buf, (size_t)n, text, strlen(text));
}

static bool in_proc(pid_t pid, const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return in_file(path, text);
}

static bool in_api(const char *path, const char *text)
{
	static char body[1 << 20];

	REQUIRE_EQ(t_http(&d, "GET", path, NULL, body, sizeof(body)), 200);
	return strstr(body, text) != NULL;
}

TEST_SECONDS("9 the salt is in no list of processes, no log, no answer and no memory", 60)
{
	/* made at run time: this program's own image is not what is looked for */
	char salt[64], other[64], json[128], log[192];
	struct t_vm_opts opts = called("a");
	struct fakevmm a;

	snprintf(salt, sizeof(salt), "first-%016lx%016lx", t_mix(test_seed()),
		 t_mix(test_seed() + 1));
	snprintf(other, sizeof(other), "other-%016lx%016lx", t_mix(test_seed() + 2),
		 t_mix(test_seed() + 3));
	start();
	opts.salt = salt;
	vm_up(&a, opts, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	snprintf(json, sizeof(json), "{\"salt\":\"%s\"}", other);
	REQUIRE_EQ(t_vm_setting_put(&d, "a", "sched.mem.pshare.salt", json), 200);
	snprintf(log, sizeof(log), "%s/log", d.dir);
	for (int i = 0; i < 2; i++) {
		const char *text = i ? other : salt;

		CHECK(!in_proc(a.pid, "cmdline", text));
		CHECK(!in_proc(a.pid, "environ", text));
		CHECK(!in_proc(d.pid, "cmdline", text));
		CHECK(!in_proc(d.pid, "environ", text));
		CHECK(!in_file(log, text));
		CHECK(!in_api("/v1/vms", text));
		CHECK(!in_api("/v1/status", text));
		CHECK(!in_api("/v1/vms/a/settings", text));
		CHECK(!in_api("/metrics", text));
		CHECK(!in_memory(a.pid, text));
		CHECK(!in_memory(d.pid, text));
	}
	finish(&a, NULL);
}

static uint32_t frames_in_common(struct fakevmm *a, struct fakevmm *b)
{
	static uint64_t of_a[PAGES], of_b[PAGES];
	uint32_t common = 0;

	pm_read(a->pagemap, a->base[0], of_a, PAGES);
	pm_read(b->pagemap, b->base[0], of_b, PAGES);
	for (uint32_t i = 0; i < PAGES; i++)
		for (uint32_t k = 0; k < PAGES; k++)
			common += pm_pfn(of_a[i]) && pm_pfn(of_a[i]) == pm_pfn(of_b[k]) &&
				  pm_pfn(of_a[i]) != pm_zero_pfn();
	return common;
}

TEST_SECONDS("10 another user who names the same salt joins nobody", 60)
{
	struct t_vm_opts other = called("other");
	struct fakevmm a, b, c;

	start();
	other.uid = 1001;
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&c, other, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	wait_shared(&b);
	wait_shared(&c);
	for (int salting = 2; salting >= 0; salting--) {
		char value[4];

		snprintf(value, sizeof(value), "%d", salting);
		REQUIRE_EQ(t_setting_put(&d, "Mem.ShareForceSalting", value), 200);
		REQUIRE_WITHIN(SHARED_MS, frames_in_common(&a, &b) > PAGES / 2);
		CHECK_EQ(frames_in_common(&a, &c), 0);
		CHECK_EQ(frames_in_common(&b, &c), 0);
	}
	fv_end(&c);
	finish(&a, &b);
}

TEST_SECONDS("10 a salt changed while pages are in a long quarantine is obeyed, and answered", 90)
{
	struct fakevmm a, b;
	double began;

	start();
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareQuarantineMs", "12000"), 200);
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	wait_shared(&b);
	began = t_now();
	REQUIRE_EQ(t_vm_setting_put(&d, "a", "sched.mem.pshare.salt", "{\"salt\":\"blue\"}"), 200);
	t_note("answered after %.1f s", t_now() - began);
	/* or it was not waited for, and nothing is shown */
	CHECK_GT(t_now() - began, 8);
	CHECK_EQ(frames_in_common(&a, &b), 0);
	fv_check(&a, 0);
	finish(&a, &b);
}

/* ---- hangs ----------------------------------------------------------------------------------- */

TEST_SECONDS("11 calls that make events come back, a thousand times, while pages are shared", 120)
{
	struct fakevmm a, b;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&b);
	for (uint32_t i = 0; i < 330; i++) {
		fv_pool(&a, 0, (i * 131) % (PAGES / 2), PAGES / 2, i);
		fv_do(&a, FV_DISCARD, 0, (i * 61) % PAGES, 1, 0, 0);
		fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, i & 1 ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
		if (i % 8 == 0)
			a.base[0] = fv_do(&a, FV_MOVE, 0, 0, 0, 0, 0);
		t_sleep(0.001 * (i % 20));
	}
	fv_check(&a, 0);
	fv_check(&b, 0);
	finish(&a, &b);
}

TEST_SECONDS("12 a fault under malloc's own lock is settled", 120)
{
	struct fakevmm a;
	uint64_t heap;
	uint32_t shared = 0;

	start();
	fv_start(&a, &d, called("a"));
	fv_map(&a, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	heap = fv_do(&a, FV_HEAP, 0, 0, 0, 0, 0);
	for (int turn = 0; turn < 6; turn++) {
		struct pm_count c;

		t_sleep(2);
		c = pm_count(a.pagemap, heap, 1500);
		shared = c.file > shared ? c.file : shared;
		fv_do(&a, FV_HEAP, 0, 0, 0, 0, 1);
	}
	t_note("at most %u pages of the heap were shared", shared);
	CHECK_GT(shared, 100);
	finish(&a, NULL);
}

TEST_SECONDS("13 huge pages with references into them hang nobody", 90)
{
	struct fakevmm a, b;

	start();
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&a, called("a"), FV_MAP_DONTFORK);
	if (fv_try(&a, (struct fv_cmd){FV_FIXED, 0, 5, 8, 0, 1}).error)
		SKIP("no io_uring fixed buffers here");
	for (uint32_t i = 0; i < 40; i++) {
		t_sleep(0.1);
		fv_do(&a, FV_FIXED_READ, 0, 5 + i % 8, 1, i, 0);
		fv_do(&a, FV_PATCH, 0, 100, 300, 8 * i, i);
		fv_check(&a, 0);
	}
	fv_do(&a, FV_FIXED, 0, 5, 8, 0, 0);
	fv_pool(&a, 0, 0, PAGES, 0);
	t_sleep(3);
	/* where the kernel's move can loop, what ever was a huge page is left alone */
	t_note("%u of %u pages shared in the end", fv_shared(&a, 0), PAGES);
	fv_check(&a, 0);
	finish(&a, &b);
}

TEST_SECONDS("14 writes are settled with the daemon standing still, and with it dead", 60)
{
	struct fakevmm a, b;
	uint64_t slowest;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	wait_shared(&b);
	kill(d.pid, SIGSTOP);
	slowest = fv_do(&a, FV_PATCH, 0, 0, PAGES, 40, 1);
	t_note("slowest write with the daemon standing still: %.2f ms", (double)slowest * 1e-6);
	CHECK_LT(slowest, SETTLE_MAX_NS);
	fv_check(&a, 0);
	t_daemon_kill(&d, SIGKILL);
	slowest = fv_do(&b, FV_PATCH, 0, 0, PAGES, 40, 1);
	t_note("slowest write with the daemon dead: %.2f ms", (double)slowest * 1e-6);
	CHECK_LT(slowest, SETTLE_MAX_NS);
	fv_check(&b, 0);
	fv_end(&a);
	fv_end(&b);
	t_rmdir(d.dir);
}

TEST_SECONDS("15 writes are settled when the process may have no more memory", 60)
{
	struct fakevmm a, b;
	struct rlimit none = {0, 0};
	uint64_t slowest;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	wait_shared(&a);
	REQUIRE_SYS(prlimit(a.pid, RLIMIT_AS, &none, NULL));
	REQUIRE_SYS(prlimit(a.pid, RLIMIT_DATA, &none, NULL));
	slowest = fv_do(&a, FV_PATCH, 0, 0, PAGES, 48, 1);
	t_note("slowest write: %.2f ms", (double)slowest * 1e-6);
	CHECK_LT(slowest, SETTLE_MAX_NS);
	fv_check(&a, 0);
	for (uint32_t i = 0; i < 20; i++) {
		fv_pool(&a, 0, 0, PAGES, i);
		t_sleep(0.1);
		fv_check(&a, 0);
	}
	fv_check(&b, 0);
	finish(&a, &b);
}

/* ---- slow ------------------------------------------------------------------------------------ */

TEST_SECONDS("16 guest memory is still populated with huge pages under the agent", 60)
{
	struct fakevmm a;
	char text[64] = "";
	uint32_t huge;

	t_slurp("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	if (!*text || strstr(text, "[never]"))
		SKIP("this kernel has no transparent huge pages, or they are off");
	start();
	REQUIRE_EQ(t_setting_put(&d, "Mem.AllocGuestLargePage", "1"), 200);
	fv_start(&a, &d, called("a"));
	fv_map(&a, 8 * 512, FV_MAP_DONTFORK);
	t_sleep(1.5); /* the agent has the region, and goes over it, before the guest touches it */
	fv_pool(&a, 0, 0, 8 * 512, 0);
	huge = pm_count(a.pagemap, a.base[0], 8 * 512).huge;
	t_note("%u of %u pages are in huge pages", huge, 8 * 512);
	CHECK_GE(huge, 6 * 512);
	/* and they stay whole */
	t_sleep(3);
	CHECK_GE(pm_count(a.pagemap, a.base[0], 8 * 512).huge, 6 * 512);
	fv_check(&a, 0);
	finish(&a, NULL);
}

TEST_SECONDS("16 huge pages with nothing to share in them stay, and are shown", 60)
{
	struct fakevmm a;
	char text[64] = "";
	double want;

	t_slurp("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	if (!*text || strstr(text, "[never]"))
		SKIP("this kernel has no transparent huge pages, or they are off");
	start(); /* at Mem.AllocGuestLargePage 0 */
	fv_start(&a, &d, called("a"));
	fv_map(&a, 8 * 512, FV_MAP_DONTFORK);
	fv_do(&a, FV_UNIQUE, 0, 0, 8 * 512, 0, 0);
	t_sleep(4);
	want = pm_count(a.pagemap, a.base[0], 8 * 512).huge * (double)T_PAGE;
	t_note("%.0f bytes in huge pages", want);
	CHECK_GT(want, 0);
	REQUIRE_WITHIN(SHARED_MS, t_api_number(&d, "/v1/vms/a", "large") == want);
	fv_check(&a, 0);
	finish(&a, NULL);
}

TEST_SECONDS("15 memory that the VMM locks is not shared any more, and shown with the reason", 60)
{
	struct fakevmm a, b;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE);
	vm_up(&b, called("b"), FV_MAP_NOHUGE);
	wait_shared(&a);
	fv_do(&a, FV_LOCK, 0, 0, 0, 0, 0);
	CHECK_EQ(fv_shared(&a, 0), 0);
	fv_check(&a, 0);
	REQUIRE_WITHIN(SHARED_MS, in_api("/v1/vms/a", "\"locked\""));
	CHECK_EQ(t_api_number(&d, "/v1/vms/a", "regions/0/size"), PAGES * T_PAGE);
	finish(&a, &b);
}

TEST_SECONDS(
	"18 what is written goes back to the guest whole, and is not stuck in a frame's mapping",
	60)
{
	struct fakevmm a, b;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE);
	vm_up(&b, called("b"), FV_MAP_NOHUGE);
	wait_shared(&a);
	REQUIRE_WITHIN(SHARED_MS, page_shared(&a, 0));
	/* the very first page first: nothing was written before it */
	fv_do(&a, FV_PATCH, 0, 0, 1, 8, 3);
	fv_do(&a, FV_PATCH, 0, 0, PAGES, 8, 3);
	t_sleep(1); /* the figures are from twice a second */
	CHECK_EQ(t_api_number(&d, "/v1/vms/a", "counters/stuck"), 0);
	fv_do(&a, FV_FORK, 0, 0, 0, 0, 0);
	fv_check(&a, 0);
	finish(&a, &b);
}

TEST_SECONDS("18 sharing stops short of the limit of mappings", 150)
{
	struct fakevmm a;
	long max, most = 0, before = -1, now, first;
	uint32_t pages = 60000, still = 0;
	char text[32];

	t_slurp("/proc/sys/vm/max_map_count", text, sizeof(text));
	max = atol(text);
	if (max > 70000)
		SKIP("vm.max_map_count is %ld here: too many to come near it", max);
	start();
	fv_start(&a, &d, called("a"));
	fv_map(&a, pages, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&a, FV_UNIQUE, 0, 0, pages, 0, 0);
	first = pm_mappings(a.pid);
	/* every second page has twins: runs of one page, two mappings each */
	for (uint32_t p = 0; p < pages; p += 2)
		fv_do(&a, FV_POOL, 0, p, 1, p / 2 * 7, 1);
	for (int i = 0; i < 180 && still < 8; i++) {
		t_sleep(0.5);
		now = pm_mappings(a.pid);
		most = now > most ? now : most;
		still = now == before ? still + 1 : 0;
		before = now;
	}
	t_note("%ld mappings at most of %ld, %u pages shared", most, max, fv_shared(&a, 0));
	CHECK_GT(most, max / 4);
	CHECK_LT(most, max * 85 / 100);
	t_note("the daemon says that %.0f are because of sharing",
	       t_api_number(&d, "/v1/vms/a", "mappings"));
	CHECK_GT(t_api_number(&d, "/v1/vms/a", "mappings"), 0.9 * (double)(now - first));
	CHECK_LT(t_api_number(&d, "/v1/vms/a", "mappings"), 1.1 * (double)(now - first));
	fv_check(&a, 0);
	fv_do(&a, FV_PATCH, 0, 0, pages, 24, 5);
	fv_check(&a, 0);
	finish(&a, NULL);
}
