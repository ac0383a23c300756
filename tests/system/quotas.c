/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * quotas: what one VM, one user, may make the daemon hold, and what that takes from others. With
 * agents of paper: they claim memory, hint pages and hold frames that they do not have.
 */
#include "harness/harness.h"

#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/cgroup.h"
#include "lib/peer.h"

#define STRANGER 65534u
#define ANSWER_MS 10000
#define SALT "the salt of quotas"
#define HINTS_FREE 4096u /* that every VM may have (daemon/grant.c) */
#define MIB 1048576.0
/* So many hashes may agree in the bits that an index keeps: then one hint is not kept. */
#define COLLISIONS 20

static struct t_daemon d;

static void start(void)
{
	(void)test_built("src/daemon/pshared");
	t_daemon_init(&d);
	t_daemon_start(&d, NULL, NULL, NULL);
}

static void fill(uint8_t page[T_PAGE], uint32_t key)
{
	for (uint32_t i = 0; i < T_PAGE / 8; i++)
		((uint64_t *)(void *)page)[i] = t_mix(key * 4096ull + i) | 1;
}

static uint64_t hash_of(const struct peer *p, uint32_t key)
{
	_Alignas(64) uint8_t page[T_PAGE];

	fill(page, key);
	return XXH3_64bits_withSeed(page, T_PAGE, p->domain.seed);
}

static void hint(struct peer *p, uint32_t page, uint64_t hash)
{
	while (!peer_up(p, PS_U_HINT, 0, 0, page, hash)) {
		peer_ring(p);
		t_sleep(0.001);
	}
}

static double vm_number(const char *vm, const char *way)
{
	char path[64];

	snprintf(path, sizeof(path), "/v1/vms/%s", vm);
	return t_api_number(&d, path, way);
}

/* The daemon has taken what the ring holds. */
static void settle(struct peer *p)
{
	peer_ring(p);
	REQUIRE_WITHIN(ANSWER_MS,
		       __atomic_load_n(&p->map->up.head, __ATOMIC_ACQUIRE) == p->map->up.tail);
}

/* Answers what is ordered as an honest agent whose page number is its key. Frames that it got. */
static uint32_t serve(struct peer *p)
{
	struct ps_entry order;
	uint32_t shares = 0;

	while (peer_down(p, &order)) {
		if (order.op == PS_D_WANT) {
			fill(p->map->content[order.slot], order.page);
			while (!peer_up(p, PS_U_CONTENT, 0, order.slot, order.page,
					hash_of(p, order.page)))
				peer_ring(p);
		} else {
			while (!peer_up(p, PS_U_SHARED, 0, 0, order.page, order.arg))
				peer_ring(p);
			shares++;
		}
	}
	peer_ring(p);
	return shares;
}

/* ---- hints ----------------------------------------------------------------------------------- */

TEST("memory that was rewritten again and again takes no place: every twin is still found")
{
	enum { PAGES = 4096, ROUNDS = 6, TWINS = 1000 };
	struct peer a, b;
	uint32_t shares = 0;
	double begun;

	start();
	peer_join(&a, &d, "a", SALT);
	peer_join(&b, &d, "b", SALT);
	REQUIRE_OK(peer_region(&a, PS_MSG_REGION_ADD, 0, PAGES, 0));
	REQUIRE_OK(peer_region(&b, PS_MSG_REGION_ADD, 0, PAGES, 0));
	for (uint64_t round = 1; round <= ROUNDS; round++)
		for (uint32_t page = 0; page < PAGES; page++)
			hint(&a, page, t_mix(round << 32 | page));
	settle(&a);
	CHECK_GE(vm_number("a", "hints/held"), PAGES - COLLISIONS);
	CHECK_EQ(vm_number("a", "hints/evicted"), 0);
	for (uint32_t page = 0; page < TWINS; page++)
		hint(&a, page, hash_of(&a, page));
	settle(&a);
	for (uint32_t page = 0; page < TWINS; page++)
		hint(&b, page, hash_of(&b, page));
	for (begun = t_now(); shares < 2 * TWINS && !t_late(begun, 10); t_sleep(0.002))
		shares += serve(&a) + serve(&b);
	CHECK_EQ(shares, 2 * TWINS);
	CHECK_LE(vm_number("a", "hints/held"), PAGES - TWINS);
	t_daemon_free(&d);
}

TEST("who hints more than he has loses his own oldest, and is told to hint anew when that may help")
{
	enum { PAGES = 65536, HONEST = 4000 };
	struct peer a, b;
	double evicted;

	start();
	peer_join(&b, &d, "b", SALT);
	REQUIRE_OK(peer_region(&b, PS_MSG_REGION_ADD, 0, HONEST, 0));
	for (uint32_t page = 0; page < HONEST; page++)
		hint(&b, page, t_mix(1ull << 40 | page));
	settle(&b);
	peer_join(&a, &d, "a", SALT);
	REQUIRE_OK(peer_region(&a, PS_MSG_REGION_ADD, 0, PAGES, 0));
	for (uint32_t page = 0; page < PAGES; page++)
		hint(&a, page, t_mix(2ull << 40 | page));
	settle(&a);
	evicted = vm_number("a", "hints/evicted");
	CHECK_GT(evicted, PAGES / 2);
	CHECK_LE(vm_number("a", "hints/held"), PAGES - evicted);
	CHECK_EQ(vm_number("b", "hints/held"), HONEST);
	CHECK_EQ(vm_number("b", "hints/evicted"), 0);
	/* it gets the memory that it spoke of */
	peer_look_large((uint64_t)PAGES * T_PAGE);
	REQUIRE_WITHIN(ANSWER_MS, vm_number("a", "hints/quota") >= PAGES);
	REQUIRE_EQ(peer_hear(&a, PS_MSG_REHINT, ANSWER_MS), PS_MSG_REHINT);
	CHECK_EQ(vm_number("a", "hints/held"), 0);
	for (uint32_t page = 0; page < PAGES; page++)
		hint(&a, page, t_mix(2ull << 40 | page));
	settle(&a);
	CHECK_GE(vm_number("a", "hints/held"), PAGES - COLLISIONS);
	CHECK_EQ(vm_number("a", "hints/evicted"), evicted);
	CHECK_EQ(b.rehints, 0);
	t_daemon_free(&d);
}

/* ---- others ---------------------------------------------------------------------------------- */

/* A process of another user; it lives until stranger_end(). */
struct stranger {
	pid_t pid;
	int ready, go;
};

static struct stranger stranger_start(void (*body)(void))
{
	int ready[2], go[2];
	struct stranger s;
	char byte = 0;

	REQUIRE_SYS(pipe(ready));
	REQUIRE_SYS(pipe(go));
	s = (struct stranger){.pid = fork(), .ready = ready[0], .go = go[1]};
	if (!s.pid) {
		close(go[1]);
		if (setgroups(0, NULL) || setgid(STRANGER) || setuid(STRANGER))
			_exit(2);
		body();
		if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) < 0)
			_exit(3);
		_exit(0);
	}
	close(ready[1]);
	close(go[0]);
	if (read(s.ready, &byte, 1) != 1)
		t_fail("the stranger ended");
	return s;
}

static void stranger_end(struct stranger *s)
{
	int status;

	close(s->go);
	close(s->ready);
	REQUIRE(!t_wait(s->pid, 10, &status));
	CHECK_EQ(status, 0);
}

static uint64_t host_pages(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES);
}

#define CLAIMANTS 24u
static struct peer claimant[CLAIMANTS];

/* Sixteen times the host, again and again; hints all over it. */
static void claim(void)
{
	uint64_t pages = host_pages() * 15;
	char name[32];

	pages = pages < PS_PAGES_MAX - PS_BLOCK_PAGES ? pages : PS_PAGES_MAX - PS_BLOCK_PAGES;
	for (uint32_t i = 0; i < CLAIMANTS; i++) {
		snprintf(name, sizeof(name), "claim-%u", i);
		peer_join(&claimant[i], &d, name, "claims");
		peer_region(&claimant[i], PS_MSG_REGION_ADD, 0, (uint32_t)pages, 0);
		for (uint32_t n = 0; n < 200; n++)
			hint(&claimant[i], (uint32_t)(t_mix(n) % pages), t_mix(n + i * 10000));
		peer_ring(&claimant[i]);
	}
}

/* What CONFIG says last within a second and a half. */
static uint32_t rate_now(struct peer *p)
{
	double end = t_now() + 1.5;

	while (t_now() < end)
		peer_hear(p, PS_MSG_CONFIG, 100);
	return p->config.pages_per_second;
}

TEST("claims of memory that nobody has slow no other user, and take no hint from him")
{
	enum { PAGES = 100000 };
	struct stranger s;
	struct peer p;
	uint32_t before, after;

	t_need_root();
	start();
	t_setting_put(&d, "Mem.ShareScanTime", "0");
	t_setting_put(&d, "Mem.ShareRateMax", "4194304");
	peer_look_large((uint64_t)PAGES * T_PAGE);
	peer_join(&p, &d, "honest", SALT);
	REQUIRE_OK(peer_region(&p, PS_MSG_REGION_ADD, 0, PAGES, 0));
	before = rate_now(&p);
	for (uint32_t page = 0; page < PAGES; page++)
		hint(&p, page, t_mix(page));
	settle(&p);
	CHECK_GE(vm_number("honest", "hints/held"), PAGES - COLLISIONS);
	s = stranger_start(claim);
	after = rate_now(&p);
	t_note("pages a second: %u alone, %u beside %u claims", before, after, CLAIMANTS);
	CHECK_GT(before, 1000u);
	CHECK_GE(after, before / 10 * 6); /* a quarter for being a user, half for having memory */
	CHECK_GE(vm_number("honest", "hints/held"), PAGES - COLLISIONS);
	CHECK_EQ(vm_number("honest", "hints/evicted"), 0);
	stranger_end(&s);
	t_daemon_free(&d);
}

/* One frame, and a page in each block that is to have it: a table of 2 KiB each. */
static void scatter(void)
{
	enum { BLOCKS = 100000 };
	struct peer *p = &claimant[0];
	uint64_t hash;
	double begun;

	peer_join(p, &d, "scatter", "scatters");
	peer_region(p, PS_MSG_REGION_ADD, 0, BLOCKS * PS_BLOCK_PAGES, 0);
	hash = hash_of(p, 1);
	hint(p, 1, hash);
	hint(p, 2, hash);
	settle(p);
	for (begun = t_now(); !serve(p) && !t_late(begun, 5); t_sleep(0.002))
		;
	for (uint32_t block = 1; block < BLOCKS; block++) {
		hint(p, block * PS_BLOCK_PAGES, hash);
		if (block % 1024 == 0)
			serve(p);
	}
	settle(p);
	serve(p);
	settle(p);
}

/* A process that is so many VMs, and grows when it is told to by the end of the pipe. */
static pid_t many_vms(const char *name, unsigned int vms, uint64_t grows, int wait, int ready)
{
	pid_t pid = fork();

	REQUIRE_SYS(pid);
	if (pid)
		return pid;
	for (unsigned int i = 0; i < vms; i++) {
		struct peer p;
		char full[32];

		snprintf(full, sizeof(full), "%s%u", name, i);
		peer_join(&p, &d, full, SALT);
		if (peer_region(&p, PS_MSG_REGION_ADD, 0, 65536, 0) < 0)
			_exit(1);
	}
	(void)!write(ready, "", 1);
	(void)!read(wait, &(char){0}, 1);
	peer_look_large(grows);
	pause();
	_exit(0);
}

TEST_SECONDS("of more VMs than are read at a time, the last has what it has grown to as well", 120)
{
	static const char *const name[] = {"a", "b", "c"};
	enum { VMS = 100 };
	int wait[2], ready[2];
	pid_t pid[3];

	start();
	REQUIRE_SYS(pipe(wait));
	REQUIRE_SYS(pipe(ready));
	for (int i = 0; i < 3; i++) {
		pid[i] = many_vms(name[i], VMS, i == 2 ? 400u << 20 : 0, wait[0], ready[1]);
		REQUIRE_EQ(read(ready[0], &(char){0}, 1), 1);
	}
	REQUIRE_WITHIN(ANSWER_MS, vm_number("c99", "hints/quota") > HINTS_FREE);
	t_sleep(3);
	CHECK_LT(vm_number("c99", "hints/quota"), HINTS_FREE + 800);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(write(wait[1], "", 1), 1);
	REQUIRE_WITHIN(ANSWER_MS, vm_number("c99", "hints/quota") > HINTS_FREE + 1024);
	for (int i = 0; i < 3; i++) {
		kill(pid[i], SIGKILL);
		REQUIRE(!t_wait(pid[i], 5, NULL));
	}
	t_daemon_free(&d);
}

/* CPU time of the daemon, s. */
static double cpu(void)
{
	unsigned long user = 0, sys = 0;
	char path[64], text[1024];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)d.pid);
	REQUIRE(t_slurp(path, text, sizeof(text)) > 0);
	at = strrchr(text, ')');
	REQUIRE(at && sscanf(at + 1, " %*c%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%lu%lu", &user, &sys) == 2);
	return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

TEST_SECONDS("with whom a VM shares is told for little, however much it hints", 120)
{
	enum { PAGES = 200000, OTHERS = 60, TIMES = 60 };
	static struct peer others[OTHERS];
	struct peer a;
	char name[32], answer[4096];
	double before;

	start();
	peer_look_large((uint64_t)2 * PAGES * T_PAGE * OTHERS / 16);
	peer_join(&a, &d, "a", SALT);
	REQUIRE_OK(peer_region(&a, PS_MSG_REGION_ADD, 0, PAGES, 0));
	for (unsigned int i = 0; i < OTHERS; i++) {
		snprintf(name, sizeof(name), "o%u", i);
		peer_join(&others[i], &d, name, SALT);
		REQUIRE_OK(peer_region(&others[i], PS_MSG_REGION_ADD, 0, 512, 0));
	}
	REQUIRE_WITHIN(ANSWER_MS, vm_number("a", "hints/quota") >= PAGES);
	for (uint32_t page = 0; page < PAGES; page++)
		hint(&a, page, t_mix(page));
	settle(&a);
	REQUIRE_GE(vm_number("a", "hints/held"), PAGES / 2);
	before = cpu();
	for (int i = 0; i < TIMES; i++)
		REQUIRE_EQ(t_http(&d, "GET", "/v1/vms/a/family", NULL, answer, sizeof(answer)),
			   200);
	CHECK_LT(cpu() - before, 0.6);
	t_daemon_free(&d);
}

TEST("pages spread one a block are charged by what they cost: the daemon does not grow without end")
{
	struct stranger s;
	double before, grown;

	t_need_root();
	if (host_pages() * 16 < 100000ull * PS_BLOCK_PAGES)
		SKIP("the host is too small to claim so much");
	start();
	before = t_api_number(&d, "/v1/status", "metadata_bytes");
	s = stranger_start(scatter);
	grown = (t_api_number(&d, "/v1/status", "metadata_bytes") - before) / MIB;
	t_note("the daemon holds %.1f MiB for it", grown);
	CHECK_GT(grown, 5);
	CHECK_LT(grown, 80);
	CHECK_GT(vm_number("scatter", "counters/refused/limit"), 0);
	stranger_end(&s);
	REQUIRE_WITHIN(ANSWER_MS, t_api_number(&d, "/v1/status", "vms") == 0);
	REQUIRE_WITHIN(ANSWER_MS, t_api_number(&d, "/v1/status", "metadata_bytes") - before < MIB);
	t_daemon_free(&d);
}

#define SEATS 40u /* sessions that the daemon below has room for */

static void few_seats(void *arg)
{
	struct rlimit limit = {64 + 8 * SEATS, 64 + 8 * SEATS}; /* as in setup.c */

	(void)arg;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		_exit(9);
}

static void take_a_seat(void)
{
	peer_join(&claimant[0], &d, "stranger", "strangers");
}

TEST("one user does not get all connections: who comes later finds room")
{
	static struct peer p[SEATS];
	struct stranger s;
	uint32_t n = 0;
	char name[32];

	t_need_root();
	(void)test_built("src/daemon/pshared");
	t_daemon_init(&d);
	t_daemon_start(&d, NULL, few_seats, NULL);
	for (uint32_t i = 0; i < SEATS; i++) {
		union peer_msg m;

		snprintf(name, sizeof(name), "vm-%u", i);
		peer_connect(&p[i], &d);
		peer_hello_make(&p[i], &m, name);
		(void)peer_say(&p[i], PS_MSG_HELLO, &m, NULL, 0);
		n += peer_hear(&p[i], PS_MSG_DOMAIN, ANSWER_MS) == PS_MSG_DOMAIN;
	}
	CHECK_GE(n, SEATS / 2 - 1);
	CHECK_LE(n, SEATS / 2 + 1);
	s = stranger_start(take_a_seat);
	stranger_end(&s);
	t_daemon_free(&d);
}

/* ---- the daemon's own limit ------------------------------------------------------------------ */

#define GROUP_LIMIT (24u << 20)
#define GROUP_TEXT "25165824"

/* Both have the same contents on the first n pages, and bring and map what they are told to, until
 * nothing more comes. Frames mapped, of both. */
static uint32_t share_pages(struct peer *a, struct peer *b, uint32_t n)
{
	uint32_t shares = 0, quiet = 0;

	for (uint32_t page = 0; page < n; page++) {
		uint64_t hash = hash_of(a, page);

		hint(a, page, hash);
		hint(b, page, hash);
		if (page % 64 == 0)
			shares += serve(a) + serve(b);
	}
	while (quiet < 500) {
		uint32_t more = serve(a) + serve(b);

		shares += more;
		quiet = more ? 0 : quiet + 1;
		t_sleep(0.002);
	}
	return shares;
}

static void join_both(struct peer *a, struct peer *b, uint32_t pages)
{
	peer_join(a, &d, "a", SALT);
	peer_join(b, &d, "b", SALT);
	REQUIRE_OK(peer_region(a, PS_MSG_REGION_ADD, 0, pages, 0));
	REQUIRE_OK(peer_region(b, PS_MSG_REGION_ADD, 0, pages, 0));
}

TEST("a daemon in a small control group makes no more frames than fit; its successor lives there too")
{
	enum { PAGES = 12000 }; /* twice what fits */
	struct peer a, b, again_a, again_b;
	char dir[128];
	double common;

	(void)test_built("src/daemon/pshared");
#ifdef __SANITIZE_ADDRESS__
	SKIP("the daemon alone is too large for that group under AddressSanitizer");
#endif
	if (!t_cgroup_make(dir, sizeof(dir), GROUP_TEXT))
		SKIP("no memory cgroup can be made here");
	t_daemon_init(&d);
	peer_look_large(4ull * PAGES * T_PAGE);
	t_daemon_start(&d, NULL, t_cgroup_enter_self, dir);
	join_both(&a, &b, PAGES);
	t_note("%u frames mapped", share_pages(&a, &b, PAGES));
	common = t_api_number(&d, "/v1/status", "pshare/common");
	t_note("common %.1f of %.1f MiB", common / MIB, GROUP_LIMIT / MIB);
	CHECK_GT(common, GROUP_LIMIT / 8);
	CHECK_LT(common, GROUP_LIMIT);
	/* the guests map its store, whose memory stays with the group */
	REQUIRE_SYS(kill(d.pid, 0));
	t_daemon_kill(&d, SIGKILL);
	t_daemon_start(&d, NULL, t_cgroup_enter_self, dir);
	join_both(&again_a, &again_b, PAGES);
	CHECK_LT(share_pages(&again_a, &again_b, PAGES), PAGES / 2);
	REQUIRE_SYS(kill(d.pid, 0));
	CHECK_GE(t_api_number(&d, "/v1/status", "vms"), 2);
	/* when the old store goes, there is room again */
	peer_close(&a);
	peer_close(&b);
	CHECK_GT(share_pages(&again_a, &again_b, PAGES), 0);
	CHECK_GT(t_api_number(&d, "/v1/status", "pshare/common"), common / 2);
	t_daemon_free(&d);
	rmdir(dir);
}
