/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * deaths: who may die, stop or run out, while guests go on.
 *
 * The guests are fake VMMs whose threads write, read, discard and count at random (lib/hammer.h):
 * they end at the first wrong byte. So each test does something terrible for a while, then asks
 * three things: are all guests alive and right? did none wait long? is anything left behind?
 */
#include "harness/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cgroup.h"
#include "lib/fakevmm.h"
#include "sys/probe.h"

#define VMS 3u
#define PAGES 4096u
#define THREADS 2
#define SHARED_MS 40000
/* 64 operations of a guest. Who hangs, hangs for ever; with a load of 19 it was 2.6 s. */
#define STALL_MAX_NS 10000000000ull

struct scene {
	struct t_daemon d;
	struct fakevmm v[VMS];
	uint64_t rng;
	uint32_t small; /* FV_MAP_NOHUGE where this kernel cannot share what was huge */
};

static void daemon_up(struct scene *s)
{
	t_daemon_start(&s->d, NULL, NULL, NULL);
	t_daemon_full_speed(&s->d);
}

static void vm_up(struct scene *s, uint32_t i)
{
	static uint32_t born;
	char name[32];

	snprintf(name, sizeof(name), "vm-%u", born++);
	fv_start(&s->v[i], &s->d, (struct t_vm_opts){.name = name, .salt = "one"});
	fv_map(&s->v[i], PAGES, FV_MAP_DONTFORK | s->small);
	fv_do(&s->v[i], FV_HAMMER, 0, 0, 0, 0, THREADS);
}

static void scene_make(struct scene *s)
{
	const char *why;

	memset(s, 0, sizeof(*s));
	t_need_product();
	s->rng = test_seed();
	s->small = sys_probe_move_loops(&why) == SYS_PROBE_FINE ? 0 : FV_MAP_NOHUGE;
	t_daemon_init(&s->d);
}

static void scene_start(struct scene *s)
{
	scene_make(s);
	daemon_up(s);
	for (uint32_t i = 0; i < VMS; i++)
		vm_up(s, i);
	for (uint32_t i = 0; i < VMS; i++)
		REQUIRE_WITHIN(SHARED_MS, fv_shared(&s->v[i], 0) > PAGES / 8);
}

static bool store_empty(struct scene *s)
{
	return t_api_number(&s->d, "/v1/status", "pshare/common") == 0 &&
	       t_api_number(&s->d, "/v1/status", "vms") == 0 && pm_memfd_bytes(s->d.pid, NULL) == 0;
}

static void report_left(struct scene *s)
{
	t_note("left: common %.0f, vms %.0f, memfds of the daemon %lld bytes",
	       t_api_number(&s->d, "/v1/status", "pshare/common"),
	       t_api_number(&s->d, "/v1/status", "vms"), pm_memfd_bytes(s->d.pid, NULL));
}

static uint32_t open_fds(pid_t pid)
{
	char path[64];
	uint32_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Ends the guests, which verify every byte, and looks at what is left. */
static void scene_end(struct scene *s)
{
	double start;

	for (uint32_t i = 0; i < VMS; i++) {
		if (!s->v[i].pid)
			continue;
		fv_do(&s->v[i], FV_STOP, 0, 0, 0, 0, 0);
		fv_end(&s->v[i]);
	}
	start = t_now();
	while (!store_empty(s) && !t_late(start, 20))
		t_sleep(0.05);
	report_left(s);
	CHECK(store_empty(s));
	t_daemon_free(&s->d);
}

static void all_alive(struct scene *s)
{
	for (uint32_t i = 0; i < VMS; i++)
		REQUIRE(!s->v[i].pid || fv_alive(&s->v[i]));
}

/* Everybody did something since, and nobody waited for long. */
static uint64_t worst_stall(struct scene *s)
{
	uint64_t worst = 0;

	for (uint32_t i = 0; i < VMS; i++) {
		uint64_t ns = s->v[i].pid ? fv_do(&s->v[i], FV_STALL, 0, 0, 0, 0, 0) : 0;

		worst = ns > worst ? ns : worst;
	}
	return worst;
}

/* ---- the daemon dies ------------------------------------------------------------------------- */

/* Different stores that a process maps: one, once it has moved to the present daemon's. */
static uint32_t stores_mapped(pid_t pid)
{
	char path[64], line[512], perm[8];
	unsigned long inode[64], ino;
	uint32_t n = 0, i;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, "memfd:pshare-store") ||
		    sscanf(line, "%*s %7s %*s %*s %lu", perm, &ino) != 2 || perm[3] != 'p')
			continue;
		for (i = 0; i < n && inode[i] != ino; i++)
			;
		if (i == n && n < 64)
			inode[n++] = ino;
	}
	if (f)
		fclose(f);
	return n;
}

TEST_SECONDS("a daemon killed a hundred times costs no guest a byte, and leaves no store behind",
	     200)
{
	static struct scene s;
	uint32_t fds[VMS];

	scene_start(&s);
	for (uint32_t i = 0; i < VMS; i++)
		fds[i] = open_fds(s.v[i].pid);
	for (int kills = 0; kills < 100; kills++) {
		t_sleep(0.001 * (50 + t_below(&s.rng, 700)));
		t_daemon_kill(&s.d, SIGKILL);
		all_alive(&s);
		if (t_below(&s.rng, 4) == 0)
			t_sleep(0.001 * t_below(&s.rng, 500));
		daemon_up(&s);
	}
	t_note("slowest batch of operations: %.0f ms", (double)worst_stall(&s) * 1e-6);
	for (uint32_t i = 0; i < VMS; i++) {
		REQUIRE_WITHIN(SHARED_MS, fv_shared(&s.v[i], 0) > PAGES / 8);
		/* everybody moves to the new store */
		REQUIRE_WITHIN(150000, stores_mapped(s.v[i].pid) <= 1);
		/* pipes of what is in quarantine, a store that has just been let go, come and go */
		REQUIRE_WITHIN(SHARED_MS, open_fds(s.v[i].pid) <= fds[i] + 3);
	}
	scene_end(&s);
}

/* Frames whose twins went with the daemon would keep the whole of its store. */
TEST_SECONDS("what nobody else has any more does not keep a dead daemon's store", 90)
{
	static struct scene s;

	scene_make(&s);
	daemon_up(&s);
	for (uint32_t i = 0; i < 2; i++) {
		fv_start(&s.v[i], &s.d, (struct t_vm_opts){.name = i ? "b" : "a", .salt = "lone"});
		/* each content once in a VM */
		fv_map(&s.v[i], 512, FV_MAP_NOHUGE);
		fv_pool(&s.v[i], 0, 0, MODEL_POOL, 0);
	}
	for (uint32_t i = 0; i < 2; i++)
		REQUIRE(fv_wait_shared(&s.v[i], 0, MODEL_POOL, SHARED_MS * 0.001));
	fv_end(&s.v[1]);
	t_daemon_kill(&s.d, SIGKILL);
	fv_check(&s.v[0], 0);
	daemon_up(&s);
	t_sleep(3);
	CHECK_EQ(fv_shared(&s.v[0], 0), MODEL_POOL); /* not at once: a twin may still come */
	REQUIRE_WITHIN(60000, fv_shared(&s.v[0], 0) == 0 && stores_mapped(s.v[0].pid) <= 1);
	fv_check(&s.v[0], 0);
	fv_end(&s.v[0]);
	t_daemon_free(&s.d);
}

/* Told to end, a daemon has time to tidy up; what guests map is not its to tidy. */
TEST_SECONDS("a daemon told to end, again and again, costs no guest a byte", 150)
{
	static struct scene s;

	scene_start(&s);
	for (int ends = 0; ends < 25; ends++) {
		t_sleep(0.001 * (100 + t_below(&s.rng, 1500)));
		t_daemon_kill(&s.d, ends & 1 ? SIGTERM : SIGINT);
		all_alive(&s);
		t_sleep(0.001 * t_below(&s.rng, 1000));
		all_alive(&s);
		daemon_up(&s);
	}
	for (uint32_t i = 0; i < VMS; i++)
		REQUIRE_WITHIN(SHARED_MS, fv_shared(&s.v[i], 0) > PAGES / 8);
	scene_end(&s);
}

TEST_SECONDS("a daemon that stands still for seconds keeps no guest waiting", 90)
{
	static struct scene s;
	uint64_t before, after;

	scene_start(&s);
	for (int stops = 0; stops < 3; stops++) {
		worst_stall(&s);
		kill(s.d.pid, SIGSTOP);
		before = fv_do(&s.v[0], FV_OPS, 0, 0, 0, 0, 0);
		t_sleep(4);
		after = fv_do(&s.v[0], FV_OPS, 0, 0, 0, 0, 0);
		CHECK_LT(worst_stall(&s), STALL_MAX_NS);
		CHECK_GT(after, before + 1000);
		all_alive(&s);
		kill(s.d.pid, SIGCONT);
		t_sleep(1);
	}
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&s.v[0], 0) > PAGES / 8);
	scene_end(&s);
}

TEST_SECONDS("a guest starts without a daemon, and is picked up when one appears", 60)
{
	static struct scene s;

	scene_make(&s);
	vm_up(&s, 0);
	vm_up(&s, 1);
	t_sleep(1);
	CHECK_EQ(fv_shared(&s.v[0], 0), 0);
	daemon_up(&s);
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&s.v[0], 0) > PAGES / 8);
	REQUIRE_WITHIN(SHARED_MS, fv_shared(&s.v[1], 0) > PAGES / 8);
	scene_end(&s);
}

/* ---- a VM dies ------------------------------------------------------------------------------- */

TEST_SECONDS("VMs killed while they share leave the others right and nothing behind", 120)
{
	static struct scene s;

	scene_start(&s);
	for (int kills = 0; kills < 30; kills++) {
		uint32_t i = t_below(&s.rng, VMS);

		t_sleep(0.001 * t_below(&s.rng, 1200));
		fv_kill(&s.v[i]);
		all_alive(&s);
		vm_up(&s, i);
	}
	for (uint32_t i = 0; i < VMS; i++)
		REQUIRE_WITHIN(SHARED_MS, fv_shared(&s.v[i], 0) > PAGES / 8);
	scene_end(&s);
}

/* Its process lives, so its frames would count as mapped, and its old life never leave a domain. */
TEST_SECONDS("a VMM that executes itself anew leaves nothing of its former life", 90)
{
	static struct fakevmm a, b;
	static struct t_daemon d;

	t_daemon_fresh(&d);
	CHECK_EQ(t_setting_put(&d, "Mem.ShareForceSalting", "0"), 200);
	fv_start(&a, &d, (struct t_vm_opts){.name = "a"});
	fv_start(&b, &d, (struct t_vm_opts){.name = "b"});
	fv_map(&b, 512, FV_MAP_NOHUGE);
	fv_pool(&b, 0, 0, MODEL_POOL, 0);
	for (int life = 0; life < 3; life++) {
		if (life)
			fv_exec(&a);
		fv_map(&a, 512, FV_MAP_NOHUGE);
		fv_pool(&a, 0, 0, MODEL_POOL, 0);
		REQUIRE(fv_wait_shared(&a, 0, MODEL_POOL, SHARED_MS * 0.001));
		CHECK_EQ(t_api_number(&d, "/v1/status", "vms"), 2);
	}
	/* a change waits for all that hold frames where they may not: also for a former life */
	CHECK_EQ(t_setting_put(&d, "Mem.ShareForceSalting", "2"), 200);
	fv_check(&a, 0);
	fv_check(&b, 0);
	fv_end(&a);
	fv_end(&b);
	t_daemon_free(&d);
}

TEST_SECONDS("VMs that stand still while they share hold up nobody", 90)
{
	static struct scene s;

	scene_start(&s);
	for (int stops = 0; stops < 6; stops++) {
		uint32_t i = t_below(&s.rng, VMS);

		worst_stall(&s);
		kill(s.v[i].pid, SIGSTOP);
		t_sleep(2);
		for (uint32_t k = 0; k < VMS; k++)
			if (k != i)
				CHECK_LT(fv_do(&s.v[k], FV_STALL, 0, 0, 0, 0, 0), STALL_MAX_NS);
		kill(s.v[i].pid, SIGCONT);
		t_sleep(0.3);
	}
	scene_end(&s);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void small_files(void *arg)
{
	struct rlimit limit = {*(rlim_t *)arg, *(rlim_t *)arg};

	setrlimit(RLIMIT_FSIZE, &limit);
}

static void small_space(void *arg)
{
	struct rlimit limit = {*(rlim_t *)arg, *(rlim_t *)arg};

	setrlimit(RLIMIT_AS, &limit);
}

static void few_files(void *arg)
{
	struct rlimit limit = {*(rlim_t *)arg, *(rlim_t *)arg};

	setrlimit(RLIMIT_NOFILE, &limit);
}

/* The daemon meets a limit when its stores grow, or at once. Whatever it does, guests are right; if
 * it ends, it says why, and guests go on without it. */
static void daemon_limited(void (*limit)(void *), rlim_t value)
{
	static struct scene s;

	scene_make(&s);
	t_daemon_start(&s.d, NULL, limit, &value);
	t_daemon_full_speed(&s.d);
	for (uint32_t i = 0; i < VMS; i++)
		vm_up(&s, i);
	t_sleep(8);
	all_alive(&s);
	CHECK_LT(worst_stall(&s), STALL_MAX_NS);
	REQUIRE_SYS(kill(s.d.pid, 0));
	scene_end(&s);
}

TEST_SECONDS("a store that may not grow: the daemon goes on, guests are right", 60)
{
	daemon_limited(small_files, 512 * T_PAGE);
}

TEST_SECONDS("a daemon without address space goes on, guests are right", 60)
{
	daemon_limited(small_space, 96ul << 20);
}

TEST_SECONDS("a daemon with few file descriptors serves whom it can, and goes on", 60)
{
	daemon_limited(few_files, 16);
}

/* A VM that has used up its mappings: no more is shared there; what is shared can be written. */
static void mappings_reached(int64_t left_first, int64_t left_then)
{
	static struct scene s;
	struct fakevmm *v = &s.v[0];

	T_NEED_FEW_MAPPINGS();
	scene_start(&s);
	fv_do(v, FV_EAT, 0, 0, 0, 0, left_first);
	t_sleep(4);
	all_alive(&s);
	fv_do(v, FV_SPIT, 0, 0, 0, 0, 0);
	t_sleep(3);
	fv_do(v, FV_EAT, 0, 0, 0, 0, left_then);
	t_sleep(4);
	all_alive(&s);
	CHECK_LT(worst_stall(&s), STALL_MAX_NS);
	fv_do(v, FV_SPIT, 0, 0, 0, 0, 0);
	REQUIRE_WITHIN(SHARED_MS, fv_shared(v, 0) > PAGES / 16);
	scene_end(&s);
}

TEST_SECONDS("a VM with few mappings left goes on, right, and shares again when it has some", 90)
{
	mappings_reached(2000, 200);
}

TEST_SECONDS("a VM with no mapping left goes on, right, and shares again when it has some", 90)
{
	mappings_reached(3, 1);
}

/* The kernel kills the daemon when its stores outgrow the limit, or lets it fail. */
TEST_SECONDS("a daemon that runs into its memory limit takes no guest along", 60)
{
	static struct scene s;
	char dir[128];

	t_need_product();
	if (!t_cgroup_make(dir, sizeof(dir), "6291456"))
		SKIP("no memory cgroup can be made here");
	scene_make(&s);
	t_daemon_start(&s.d, NULL, t_cgroup_enter_self, dir);
	t_daemon_full_speed(&s.d);
	for (uint32_t i = 0; i < VMS; i++)
		vm_up(&s, i);
	t_sleep(10);
	all_alive(&s);
	CHECK_LT(worst_stall(&s), STALL_MAX_NS);
	kill(s.d.pid, SIGKILL);
	t_wait(s.d.pid, 5, &(int){0});
	t_sleep(0.5);
	rmdir(dir);
	/* and without a limit all is well again */
	daemon_up(&s);
	for (uint32_t i = 0; i < VMS; i++)
		REQUIRE_WITHIN(SHARED_MS, fv_shared(&s.v[i], 0) > PAGES / 8);
	scene_end(&s);
}

/* A guest's memory counts against its own group: sharing must not need more than it gives. */
TEST_SECONDS("a VM close to its memory limit is not killed by being shared", 60)
{
	static struct scene s;
	char dir[128];

	t_need_product();
	if (!t_cgroup_make(dir, sizeof(dir), "33554432"))
		SKIP("no memory cgroup can be made here");
	scene_make(&s);
	daemon_up(&s);
	vm_up(&s, 0);
	vm_up(&s, 1);
	/* pages charged before stay where they are: new ones, and the agent's, count here */
	REQUIRE(t_cgroup_enter(dir, s.v[0].pid));
	t_sleep(10);
	all_alive(&s);
	scene_end(&s);
	rmdir(dir);
}
