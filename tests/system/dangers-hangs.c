/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dangers-hangs: a guest waits for ever, or longer than it should; or is slower than it was
 * (dangers.c). */
#include "dangers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "wire/wire.h"

#define SETTLE_MAX_NS 1000000000ull

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
	guard_frames(&a);
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
	CHECK_GT(t_api_number(&d, "/v1/vms/a", "counters/faults"), 0);
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
	fv_start(&a, &d, called("a"));
	guard_frames(&a);
	fv_map(&a, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_pool(&a, 0, 0, PAGES, 0);
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

/* Of all threads: a fakevmm that was told nothing uses none of its own. */
static double cpu_seconds(const struct fakevmm *v)
{
	struct timespec t = {0};
	clockid_t clock;

	CHECK_EQ(clock_getcpuclockid(v->pid, &clock), 0);
	CHECK_EQ(clock_gettime(clock, &t), 0);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The ring memory of the daemon's one VM; nobody keeps a descriptor of it. */
static struct ps_ring_map *ring_of_vm(void)
{
	char path[128], line[256], range[64] = "";
	struct ps_ring_map *map = MAP_FAILED;
	FILE *maps;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)d.pid);
	maps = fopen(path, "re");
	REQUIRE(maps);
	while (!*range && fgets(line, sizeof(line), maps))
		if (strstr(line, "memfd:pshare-ring"))
			CHECK_EQ(sscanf(line, "%63s", range), 1);
	fclose(maps);
	snprintf(path, sizeof(path), "/proc/%d/map_files/%s", (int)d.pid, range);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == EPERM)
		SKIP("no right to open another process's memory by /proc/PID/map_files");
	CHECK_GE(fd, 0);
	map = mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	REQUIRE(map != MAP_FAILED);
	return map;
}

/* Orders are there, and no room for the answers; pages are to be hashed, and no room for the hints:
 * the agent must not ask for room all the time, nor scan the same block for each time it asks. */
TEST_SECONDS("14 a daemon that makes no room costs its VMs no CPU", 60)
{
	struct ps_ring_map *ring;
	struct fakevmm v;
	uint64_t looked;
	uint32_t head;
	double used;

	start();
	fv_start(&v, &d, called("a"));
	fv_map(&v, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	t_sleep(2);
	kill(d.pid, SIGSTOP);
	t_sleep(0.5);
	ring = ring_of_vm();
	head = ring->up.head;
	__atomic_store_n(&ring->up.head, ring->up.tail - PS_RING_ENTRIES, __ATOMIC_SEQ_CST);
	ring->down.entry[ring->down.tail % PS_RING_ENTRIES] = (struct ps_entry){.op = PS_D_SHARE};
	__atomic_fetch_add(&ring->down.tail, 1, __ATOMIC_SEQ_CST);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	t_sleep(3); /* they are armed, and then to be hashed */
	used = cpu_seconds(&v);
	looked = __atomic_load_n(&ring->stats.looked, __ATOMIC_RELAXED);
	t_sleep(1);
	used = cpu_seconds(&v) - used;
	looked = __atomic_load_n(&ring->stats.looked, __ATOMIC_RELAXED) - looked;
	t_note("in a second: CPU %.3f s, looks at pages %.0f", used, (double)looked);
	CHECK_LT(used, 0.1);
	CHECK_LT(looked, 8 * PAGES);
	__atomic_fetch_sub(&ring->down.tail, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&ring->up.head, head, __ATOMIC_SEQ_CST);
	munmap(ring, sizeof(*ring));
	kill(d.pid, SIGCONT);
	fv_check(&v, 0);
	finish(&v, NULL);
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

/* Pages of a region of that many that the host puts into huge ones, when asked. */
static uint32_t huge_of(uint32_t npages)
{
	size_t size = (size_t)npages * T_PAGE;
	char *at = mmap(NULL, size + T_BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	char *first = at + (T_BLOCK - (uintptr_t)at % T_BLOCK) % T_BLOCK;
	int pagemap = pm_open(0);
	uint32_t huge;

	REQUIRE(at != MAP_FAILED && pagemap >= 0);
	REQUIRE_SYS(madvise(first, size, MADV_HUGEPAGE));
	memset(first, 1, size);
	huge = pm_count(pagemap, (uintptr_t)first, npages).huge;
	munmap(at, size + T_BLOCK);
	close(pagemap);
	return huge;
}

/* As many as these tests use. */
static void need_huge_pages(void)
{
	char text[64] = "";

	t_slurp("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	if (!*text || strstr(text, "[never]"))
		SKIP("this kernel has no transparent huge pages, or they are off");
	if (huge_of(8 * 512) < 8 * 512)
		SKIP("this host has no 16 MiB of huge pages to give: its memory is in pieces");
}

TEST_SECONDS("16 guest memory is still populated with huge pages under the agent", 60)
{
	struct fakevmm a;
	uint32_t huge;

	need_huge_pages();
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
	double want;

	need_huge_pages();
	start(); /* at Mem.AllocGuestLargePage 0 */
	fv_start(&a, &d, called("a"));
	/* offered when the huge pages are there: what is offered before gets small ones */
	fv_map(&a, 8 * 512, FV_MAP_PLAIN);
	fv_do(&a, FV_MADVISE, 0, 0, 8 * 512, 0, MADV_HUGEPAGE);
	fv_do(&a, FV_UNIQUE, 0, 0, 8 * 512, 0, 0);
	fv_do(&a, FV_MADVISE, 0, 0, 8 * 512, 0, MADV_MERGEABLE);
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

/* The kernel settles a first write where the page lies: no thread, and no mapping is cut. */
TEST_SECONDS("18 what is written cuts no mapping, and goes back to anonymous memory in time", 90)
{
	struct fakevmm a, b;
	long before;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE);
	vm_up(&b, called("b"), FV_MAP_NOHUGE);
	wait_shared(&a);
	REQUIRE_WITHIN(SHARED_MS, page_shared(&a, 0));
	before = pm_mappings(a.pid);
	/* the very first page first: nothing was written before it */
	fv_do(&a, FV_PATCH, 0, 0, 1, 8, 3);
	for (uint32_t page = 0; page < PAGES; page += 5)
		fv_do(&a, FV_PATCH, 0, page, 1, 8, 3);
	CHECK_LE(pm_mappings(a.pid), before + 8);
	fv_do(&a, FV_PATCH, 0, 0, PAGES, 8, 3);
	CHECK_LE(pm_mappings(a.pid), before + 8);
	t_sleep(1); /* the figures are from twice a second */
	CHECK_EQ(t_api_number(&d, "/v1/vms/a", "counters/faults"), 0);
	CHECK_EQ(t_api_number(&d, "/v1/vms/a", "counters/stuck"), 0);
	REQUIRE_WITHIN(SHARED_MS,
		       t_api_number(&d, "/v1/vms/a", "counters/unshared") >= PAGES * 8 / 10);
	REQUIRE_WITHIN(SHARED_MS, t_api_number(&d, "/v1/vms/a", "broken") == 0);
	CHECK_GE(t_api_number(&d, "/v1/vms/a", "counters/brought_back") +
			 t_api_number(&d, "/v1/vms/a", "counters/shared_again"),
		 PAGES * 8 / 10);
	fv_do(&a, FV_FORK, 0, 0, 0, 0, 0);
	fv_check(&a, 0);
	finish(&a, &b);
}

/* Pages in each look, in so many seconds: how often the memory is looked at is the machine's. */
static double looked_in(double seconds)
{
	double pages = t_api_number(&d, "/v1/vms/a", "counters/looked");
	double looks = t_api_number(&d, "/v1/vms/a", "counters/passes");

	t_sleep(seconds);
	pages = t_api_number(&d, "/v1/vms/a", "counters/looked") - pages;
	looks = t_api_number(&d, "/v1/vms/a", "counters/passes") - looks;
	return looks > 0 ? pages / looks : 0;
}

/* Looking costs CPU for ever, so what rests is looked at seldom, though never no more. */
TEST_SECONDS("memory that rests is looked at less and less, and its writes are noticed", 150)
{
	struct fakevmm a, b;
	double first, later;

	start();
	fv_start(&a, &d, called("a"));
	fv_map(&a, 16 * PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	fv_do(&a, FV_UNIQUE, 0, 0, 16 * PAGES, 0, 0);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	t_sleep(1);
	first = looked_in(8);
	t_sleep(30);
	later = looked_in(24);
	t_note("pages in a look: %.0f, then %.0f", first, later);
	CHECK_GT(later, 0);
	CHECK_LT(later, first / 3);
	fv_pool(&a, 0, 1000, PAGES, 0);
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&a, 0) > PAGES / 2);
	fv_check(&a, 0);
	finish(&a, &b);
}

/* Kernels before 6.17 move, and a VMM may expect to move, one mapping only. */
TEST_SECONDS("18 memory that is withdrawn is one mapping again", 90)
{
	struct fakevmm a, b;

	start();
	vm_up(&a, called("a"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	vm_up(&b, called("b"), FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	for (int turn = 0; turn < 3; turn++) {
		wait_shared(&a);
		fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_UNMERGEABLE);
		CHECK_EQ(pm_mappings_in(a.pid, a.base[0], PAGES), 1);
		fv_check(&a, 0);
		fv_do(&a, FV_MADVISE, 0, 0, PAGES, 0, MADV_MERGEABLE);
	}
	finish(&a, &b);
}

TEST_SECONDS("18 sharing stops short of the limit of mappings", 240)
{
	struct fakevmm a;
	long max, most = 0, before = -1, now, first;
	uint32_t pages = 60000, still = 0, left;
	double refused;
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
	REQUIRE_LT(most, max / 2); /* lone pages, as these are, have half of what may be used */
	t_note("the daemon says that %.0f are because of sharing",
	       t_api_number(&d, "/v1/vms/a", "mappings"));
	CHECK_GT(t_api_number(&d, "/v1/vms/a", "mappings"), 0.9 * (double)(now - first));
	CHECK_LT(t_api_number(&d, "/v1/vms/a", "mappings"), 1.1 * (double)(now - first));
	t_sleep(8); /* each was refused in its 1st, 2nd, 4th look: in one of 256 from now on */
	refused = t_api_number(&d, "/v1/vms/a", "counters/refused/mappings");
	CHECK_GT(refused, pages / 8);
	t_sleep(8);
	refused = t_api_number(&d, "/v1/vms/a", "counters/refused/mappings") - refused;
	t_note("%.0f were tried again in 8 s", refused);
	CHECK_LT(refused, pages / 16);
	fv_check(&a, 0);
	/* room again: what was refused, the last pages, comes soon */
	fv_do(&a, FV_UNIQUE, 0, 0, pages / 2, 0, 0);
	left = fv_shared(&a, 0);
	t_note("%u pages are still shared", left);
	REQUIRE_WITHIN(150000, fv_shared(&a, 0) > left + pages / 20);
	fv_check(&a, 0);
	fv_do(&a, FV_PATCH, 0, 0, pages, 24, 5);
	fv_check(&a, 0);
	finish(&a, NULL);
}
