/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pressure: the daemon under a budget (Mem.ManagedMB), with agents of paper that have memory: the
 * states, the order of preference, who gives how much, and what is promised to whom. Real guests
 * are tests/guest/pressure.
 */
#include "harness/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cgroup.h"
#include "lib/paper-vm.h"
#include "policy/memstate.h"

#define MS 20000
#define PAGES_PER_MB 256
#define BUDGET \
	256	  /* MB. minFree is 15.4; high from 61 free; clear below 15.4, soft 9.8, hard 4.9 */
#define VM_MB 160 /* size of each VM */

static struct t_daemon d;

static void start_with(const char *const *extra)
{
	const char *args[16] = {"--set", ("Mem.ManagedMB=" T_STR(BUDGET)), "--swap-dir", "/var/tmp",
				"--set", "Mem.ShareQuarantineMs=100"};
	char body[65536];
	int n = 6;

	for (; extra && *extra && n < 15; extra++)
		args[n++] = *extra;
	(void)test_built("src/daemon/pshared");
	t_daemon_init(&d);
	t_daemon_start(&d, args, NULL, NULL);
	REQUIRE_EQ(t_http(&d, "GET", "/v1/status", NULL, body, sizeof(body)), 200);
	if (!strstr(body, "\"host\":{\"state\":\"high\"")) {
		t_daemon_free(&d);
		SKIP("this host itself is not in high state: it has too little memory free");
	}
}

static void start(void)
{
	start_with(NULL);
}

static bool answers(const char *path, const char *part)
{
	char body[65536];

	return t_http(&d, "GET", path, NULL, body, sizeof(body)) == 200 && strstr(body, part);
}

/* The memory's state, as the API says it. */
static bool state_is(const char *state)
{
	char part[32];

	snprintf(part, sizeof(part), "\"state\":\"%s\",\"domains\"", state);
	return answers("/v1/status", part);
}

static double vm_number(const char *vm, const char *way)
{
	char path[64];

	snprintf(path, sizeof(path), "/v1/vms/%s", vm);
	return t_api_number(&d, path, way) / 1048576;
}

/* So that so many tenths of an MB are free of the budget, as the daemon sees it. */
static void leave_free(struct paper_vm *p, double mb)
{
	double taken = t_api_number(&d, "/v1/status", "memory/consumed") / 1048576;
	double more = BUDGET - taken - mb;

	p->board->use = (uint32_t)((double)p->board->use + more * PAGES_PER_MB);
}

/* Waits until the daemon has seen all that VMs use, and that they use no more. b: may be NULL. */
static void settle(const struct paper_vm *a, const struct paper_vm *b)
{
	double all = (double)(a->board->use + (b ? b->board->use : 0)) / PAGES_PER_MB, was, now = 0;
	int64_t begun = test_now_ns();

	do {
		REQUIRE(!test_late(begun, MS));
		was = now;
		test_sleep_ms(600);
		now = t_api_number(&d, "/v1/status", "memory/consumed") / 1048576;
	} while (now < all || now - was > 0.2 || was - now > 0.2);
}

/* A setting of a VM, by its JSON value. */
static int set_vm(const char *vm, const char *name, const char *value)
{
	char body[400];

	snprintf(body, sizeof(body), "{\"value\": %s}", value);
	return t_vm_setting_put(&d, vm, name, body);
}

/* ---- states -------------------------------------------------------------------------------- */

TEST("states are walked down and up again under a budget, one at a time, each with its means")
{
	static const double free_mb[] = {12, 7, 3.5, 1};
	static const char *const names[] = {"high", "clear", "soft", "hard", "low"};
	struct paper_vm a, b;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	paper_vm_start(&b, &d, "b", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	a.board->speed = b.board->speed = 0; /* nothing comes of what is ordered yet */
	REQUIRE_WITHIN(MS, state_is("high"));
	test_sleep_ms(1500);
	CHECK_EQ(a.board->target.state, MEMSTATE_HIGH);
	CHECK_EQ(a.board->flags_seen & ~PS_TARGET_COLLAPSE, 0);
	b.board->use = 110 * PAGES_PER_MB;
	for (unsigned int i = 0; i < 4; i++) {
		settle(&a, &b);
		leave_free(&a, free_mb[i]);
		REQUIRE_WITHIN(MS, state_is(names[i + 1]));
		REQUIRE_WITHIN(MS, a.board->target.state == i + 1);
	}
	CHECK_EQ(a.board->flags_of[MEMSTATE_CLEAR] & PS_TARGET_STAGE, 0);
	/* no balloon here: so soft takes out already */
	CHECK_EQ(a.board->flags_of[MEMSTATE_SOFT] & PS_TARGET_STAGE, PS_TARGET_STAGE);
	CHECK_EQ(a.board->flags_of[MEMSTATE_HARD] & (PS_TARGET_ZIP | PS_TARGET_SWAP),
		 PS_TARGET_ZIP | PS_TARGET_SWAP);
	CHECK_GT(a.board->target.out_pages + b.board->target.out_pages, 0);
	/* now they give what they are to give: up again by their own means, as far as clear */
	a.board->speed = b.board->speed = 1000;
	REQUIRE_WITHIN(MS, state_is("clear"));
	CHECK_GT(a.board->out + b.board->out, 0);
	/* and to high when their guests need less */
	a.board->use = b.board->use = 20 * PAGES_PER_MB;
	REQUIRE_WITHIN(MS, state_is("high"));
	REQUIRE_WITHIN(MS, a.board->target.out_pages == 0);
	paper_vm_end(&a);
	paper_vm_end(&b);
	t_daemon_free(&d);
}

TEST("without a budget the host's own memory says the state; thresholds are set, and have to fall")
{
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 100 * PAGES_PER_MB);
	test_sleep_ms(1200);
	REQUIRE_WITHIN(MS, state_is("high"));
	CHECK_EQ(t_setting_put(&d, "Mem.StateClearPct", "64"), 400);
	CHECK_EQ(t_setting_put(&d, "Mem.StateHighPct", "1000"), 200);
	CHECK_EQ(t_setting_put(&d, "Mem.MemMinFreePct", "50"), 200);
	/* half of 256 is to be free, and a 160 are not: 150 free of 128 is above clear, though */
	CHECK_EQ(t_setting_put(&d, "Mem.StateClearPct", "900"), 200);
	REQUIRE_WITHIN(MS, state_is("clear"));
	CHECK(answers("/v1/status", "\"budget\":{\"state\":\"clear\""));
	CHECK_EQ(t_setting_put(&d, "Mem.MemMinFreePct", "0"), 200);
	CHECK_EQ(t_setting_put(&d, "Mem.StateClearPct", "100"), 200);
	CHECK_EQ(t_setting_put(&d, "Mem.StateHighPct", "400"), 200);
	CHECK_EQ(t_setting_put(&d, "Mem.ManagedMB", "0"), 200);
	REQUIRE_WITHIN(MS, state_is("high"));
	CHECK(answers("/v1/status", "\"budget\":null"));
	paper_vm_end(&a);
	t_daemon_free(&d);
}

TEST("share before swap: nothing goes out while blocks are worth breaking, all are broken first")
{
	struct paper_vm a, b;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	paper_vm_start(&b, &d, "b", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	a.board->cowh = b.board->cowh = 10000;
	a.board->breaks = b.board->breaks = true;
	test_sleep_ms(300);
	CHECK_EQ(a.board->target.flags & PS_TARGET_BREAK, 0); /* plenty: they stay whole */
	a.board->use = 130 * PAGES_PER_MB;
	b.board->use = 122 * PAGES_PER_MB;
	REQUIRE_WITHIN(MS, a.board->broken == VM_MB / 2);
	REQUIRE_WITHIN(MS, a.board->out + b.board->out > 0);
	CHECK(a.board->broke_before_out || !a.board->out);
	CHECK(b.board->broke_before_out || !b.board->out);
	REQUIRE_WITHIN(MS, state_is("clear"));
	paper_vm_end(&a);
	paper_vm_end(&b);
	t_daemon_free(&d);
}

TEST("blocks that are never broken hold a host up for seconds, not for ever")
{
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", 300 * PAGES_PER_MB, 20 * PAGES_PER_MB);
	a.board->cowh = 20000;
	test_sleep_ms(300);
	a.board->use = 250 * PAGES_PER_MB;
	REQUIRE_WITHIN(MS, a.board->out > 0);
	CHECK_EQ(a.board->broken, 0);
	REQUIRE_WITHIN(MS, state_is("clear"));
	paper_vm_end(&a);
	t_daemon_free(&d);
}

TEST("blocks that give nothing by sharing are broken for what has to go out, and no more of them")
{
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", 300 * PAGES_PER_MB, 20 * PAGES_PER_MB);
	a.board->whole = a.board->breaks = true;
	a.board->speed = 32; /* it takes seconds: orders are given four times a second meanwhile */
	test_sleep_ms(300);
	CHECK_EQ(a.board->target.flags & PS_TARGET_BREAK, 0);
	a.board->use = 253 * PAGES_PER_MB;
	REQUIRE_WITHIN(MS, a.board->out >= 8 * PAGES_PER_MB);
	REQUIRE_WITHIN(MS, state_is("clear"));
	CHECK_LE(a.board->broken * 512, a.board->out * 3 / 2 + 4 * 512);
	paper_vm_end(&a);
	t_daemon_free(&d);
}

TEST("when memory has been plentiful for long, blocks may become huge again")
{
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	test_sleep_ms(1500);
	CHECK_EQ(a.board->target.flags & PS_TARGET_COLLAPSE, 0);
	CHECK_EQ(t_setting_put(&d, "LPage.LPageDefragAfter", "1"), 200);
	REQUIRE_WITHIN(MS, a.board->target.flags & PS_TARGET_COLLAPSE);
	CHECK_EQ(t_setting_put(&d, "LPage.LPageDefragEnable", "0"), 200);
	REQUIRE_WITHIN(MS, !(a.board->target.flags & PS_TARGET_COLLAPSE));
	paper_vm_end(&a);
	t_daemon_free(&d);
}

/* ---- who gives how much --------------------------------------------------------------------- */

TEST("with more shares a VM keeps more, and all together have what there is")
{
	struct paper_vm a, b;
	double all;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	paper_vm_start(&b, &d, "b", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	REQUIRE_EQ(set_vm("a", "sched.mem.shares", "\"high\""), 200);
	REQUIRE_EQ(set_vm("b", "sched.mem.shares", "\"low\""), 200);
	b.board->use = a.board->use = 150 * PAGES_PER_MB;
	REQUIRE_WITHIN(MS, a.board->out + b.board->out > 0);
	REQUIRE_WITHIN(MS, state_is("clear"));
	CHECK_GT(vm_number("a", "memory/SZTGT"), 1.5 * vm_number("b", "memory/SZTGT"));
	CHECK_GT(b.board->out, 4 * a.board->out);
	all = t_api_number(&d, "/v1/status", "memory/consumed") / 1048576;
	CHECK_GT(all, BUDGET - 50);
	CHECK_LT(all, BUDGET);
	paper_vm_end(&a);
	paper_vm_end(&b);
	t_daemon_free(&d);
}

/* Targets are reckoned each fifteen seconds, and who has just come has none. */
TEST("in soft a VM that comes, and grows, is not told to give all that it has")
{
	static const double free_mb[] = {12, 8.3};
	struct paper_vm a, b, c;

	start();
	CHECK_EQ(t_setting_put(&d, "Mem.BalancePeriod", "120"), 200);
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	paper_vm_start(&b, &d, "b", VM_MB * PAGES_PER_MB, 110 * PAGES_PER_MB);
	a.board->speed = b.board->speed = 0; /* they give nothing: the state stays what it is */
	for (unsigned int i = 0; i < 2; i++) {
		settle(&a, &b);
		leave_free(&a, free_mb[i]);
		REQUIRE_WITHIN(MS, a.board->target.state == MEMSTATE_CLEAR + i);
	}
	test_sleep_ms(2000);
	paper_vm_start(&c, &d, "c", VM_MB * PAGES_PER_MB, PAGES_PER_MB / 2);
	c.board->speed = 0;
	test_sleep_ms(500);
	c.board->use = PAGES_PER_MB;
	test_sleep_ms(3000);
	t_note("at most %u of %u pages ordered out", c.board->most_out, c.board->resident);
	CHECK_EQ(a.board->target.state, MEMSTATE_SOFT);
	CHECK_LT(c.board->most_out, PAGES_PER_MB / 2);
	paper_vm_end(&a);
	paper_vm_end(&b);
	paper_vm_end(&c);
	t_daemon_free(&d);
}

TEST("an idle VM pays the tax: it gives, and the one at work keeps")
{
	struct paper_vm a, b;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 40 * PAGES_PER_MB);
	paper_vm_start(&b, &d, "b", VM_MB * PAGES_PER_MB, 40 * PAGES_PER_MB);
	a.board->active = 100;
	b.board->active = 2;
	a.board->speed = b.board->speed = 0; /* nobody gives before both are seen whole */
	a.board->use = b.board->use = 140 * PAGES_PER_MB;
	settle(&a, &b);
	test_sleep_ms(2500); /* and targets reckoned from that */
	a.board->speed = b.board->speed = 1u << 20;
	REQUIRE_WITHIN(MS, b.board->out > 0 && state_is("clear"));
	CHECK_LT(a.board->out, 5 * PAGES_PER_MB);
	CHECK_GT(b.board->out, 20 * PAGES_PER_MB);
	REQUIRE_WITHIN(MS, t_api_number(&d, "/v1/vms/a", "memory/ASHRS") ==
				   t_api_number(&d, "/v1/vms/b", "memory/ASHRS"));
	paper_vm_end(&a);
	paper_vm_end(&b);
	t_daemon_free(&d);
}

TEST("a reservation is never taken, and one that does not fit is refused with the figures")
{
	char body[65536];
	struct paper_vm a, b;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 150 * PAGES_PER_MB);
	REQUIRE_EQ(set_vm("a", "sched.mem.min", "148"), 200);
	paper_vm_start(&b, &d, "b", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	CHECK_EQ(t_http(&d, "PUT", "/v1/vms/b/settings/sched.mem.min", "{\"value\": 150}", body,
			sizeof(body)),
		 409);
	CHECK_IN("a reservation of 150 MB does not fit: ", body);
	CHECK_IN("256 MB managed", body);
	CHECK_EQ(set_vm("b", "sched.mem.shares", "1000000"), 200);
	b.board->use = 150 * PAGES_PER_MB;
	REQUIRE_WITHIN(MS, b.board->out > 0 && state_is("clear"));
	CHECK_LE(a.board->out, 3 * PAGES_PER_MB);
	paper_vm_end(&a);
	paper_vm_end(&b);
	t_daemon_free(&d);
}

TEST("what starts gets what it asked for before, and a reservation that does not fit is refused")
{
	char body[65536];
	struct peer p;

	start();
	CHECK_EQ(t_http(&d, "PUT", "/v1/admission",
			"{\"settings\": {\"sched.mem.min\": 300, \"sched.mem.max\": 400}}", body,
			sizeof(body)),
		 409);
	CHECK_IN(
		"a reservation of 300 MB does not fit: 240 MB are left (256 MB managed, less 15 MB "
		"minFree, less 0 MB reserved)",
		body);
	CHECK_EQ(t_http(&d, "PUT", "/v1/admission",
			"{\"settings\": {\"sched.mem.min\": 500, \"sched.mem.max\": 400}}", body,
			sizeof(body)),
		 400);
	REQUIRE_EQ(t_http(&d, "PUT", "/v1/admission",
			  "{\"settings\": {\"sched.mem.min\": 100, \"sched.mem.max\": 120, "
			  "\"sched.mem.shares\": \"high\", \"sched.swap.dir\": \"/var/tmp\"}}",
			  body, sizeof(body)),
		   200);
	/* it counts from now on, for 60 seconds or as long as the process lives */
	CHECK_EQ(t_api_number(&d, "/v1/admission", "reserved"), 100 * 1048576);
	peer_join(&p, &d, "p", NULL);
	CHECK_EQ(t_api_number(&d, "/v1/vms/p", "memory/AMIN"), 100);
	CHECK_EQ(t_api_number(&d, "/v1/vms/p", "memory/AMAX"), 120);
	CHECK(answers("/v1/vms/p/settings", "\"value\":\"high\""));
	CHECK(answers("/v1/vms/p/settings", "\"value\":\"/var/tmp\""));
	peer_close(&p);
	t_daemon_free(&d);
}

TEST("a VM above its limit gives the difference, whatever the state")
{
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 100 * PAGES_PER_MB);
	test_sleep_ms(500);
	CHECK_EQ(a.board->out, 0);
	REQUIRE_EQ(set_vm("a", "sched.mem.max", "60"), 200);
	REQUIRE_WITHIN(MS, a.board->out > 38 * PAGES_PER_MB);
	test_sleep_ms(1500);
	CHECK_LT(a.board->out, 44 * PAGES_PER_MB);
	CHECK(state_is("high"));
	REQUIRE_EQ(set_vm("a", "sched.mem.max", "-1"), 200);
	REQUIRE_WITHIN(MS, a.board->target.out_pages == 0);
	paper_vm_end(&a);
	t_daemon_free(&d);
}

/* ---- low ----------------------------------------------------------------------------------- */

TEST("a VM whose control group is nearly full gives what that lacks, on a host that has plenty")
{
	struct paper_vm a;
	char dir[256];

	if (!t_cgroup_make(dir, sizeof(dir), "134217728")) /* minFree of it is 7.7 MB */
		SKIP("no memory cgroup can be made here");
	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 1);
	REQUIRE(t_cgroup_enter(dir, a.pid));
	a.board->use = 100 * PAGES_PER_MB;
	test_sleep_ms(3000);
	CHECK_EQ(a.board->out, 0);
	a.board->use = 124 * PAGES_PER_MB;
	REQUIRE_WITHIN(MS, a.board->out >= 2 * PAGES_PER_MB);
	CHECK(state_is("high"));
	CHECK_LE(a.board->out, 16 * PAGES_PER_MB);
	paper_vm_end(&a);
	t_daemon_free(&d);
	rmdir(dir);
}

TEST("VMs in one control group that is nearly full give together what it lacks, not each")
{
	struct paper_vm vm[4];
	uint64_t out = 0;
	char dir[256];

	if (!t_cgroup_make(dir, sizeof(dir), "134217728"))
		SKIP("no memory cgroup can be made here");
	start();
	for (size_t i = 0; i < 4; i++) {
		paper_vm_start(&vm[i], &d, (const char *[]){"a", "b", "c", "d"}[i],
			       VM_MB * PAGES_PER_MB, 1);
		REQUIRE(t_cgroup_enter(dir, vm[i].pid));
	}
	for (size_t i = 0; i < 4; i++)
		vm[i].board->use = 30 * PAGES_PER_MB + PAGES_PER_MB / 2;
	REQUIRE_WITHIN(MS, vm[0].board->out && vm[1].board->out && vm[2].board->out &&
				   vm[3].board->out);
	test_sleep_ms(4000);
	for (size_t i = 0; i < 4; i++)
		out += vm[i].board->out;
	t_note("%.1f MiB out", (double)out / PAGES_PER_MB);
	CHECK_GE(out, PAGES_PER_MB);
	CHECK_LE(out, 5 * PAGES_PER_MB); /* 2.2 MiB; 8.7 if each gives all of it */
	CHECK(state_is("high"));
	for (size_t i = 0; i < 4; i++)
		paper_vm_end(&vm[i]);
	t_daemon_free(&d);
	rmdir(dir);
}

TEST("claims of mappings, zeros and a quarantine cost nobody else, and save nobody from giving")
{
	struct paper_vm a, b;
	double before;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	paper_vm_start(&b, &d, "b", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	test_sleep_ms(1500);
	before = t_api_number(&d, "/v1/status", "memory/consumed") / 1048576;
	a.board->boasts = true;
	test_sleep_ms(2500);
	CHECK_LE(t_api_number(&d, "/v1/status", "memory/consumed") / 1048576, before + 1);
	a.board->use = b.board->use = 140 * PAGES_PER_MB; /* more than the budget */
	REQUIRE_WITHIN(MS, a.board->out > 10 * PAGES_PER_MB && b.board->out > 10 * PAGES_PER_MB);
	t_note("out: %u MiB of who boasts, %u of the other one", a.board->out / PAGES_PER_MB,
	       b.board->out / PAGES_PER_MB);
	paper_vm_end(&a);
	paper_vm_end(&b);
	t_daemon_free(&d);
}

TEST("in low the VM furthest above its target is held back, this is said, and it is let go")
{
	struct paper_vm a, b;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 100 * PAGES_PER_MB);
	paper_vm_start(&b, &d, "b", VM_MB * PAGES_PER_MB, 60 * PAGES_PER_MB);
	a.board->speed = b.board->speed = 0;
	REQUIRE_EQ(set_vm("b", "sched.mem.shares", "1000000"), 200);
	test_sleep_ms(300);
	a.board->use = 150 * PAGES_PER_MB;
	b.board->use = 110 * PAGES_PER_MB;
	REQUIRE_WITHIN(MS, state_is("low"));
	REQUIRE_WITHIN(MS, a.board->target.flags & PS_TARGET_SLOW);
	CHECK_EQ(b.board->target.flags & PS_TARGET_SLOW, 0);
	CHECK(answers("/v1/vms/a", "\"held\":true"));
	CHECK(answers("/v1/vms/b", "\"held\":false"));
	CHECK_EQ(t_api_number(&d, "/v1/status", "memory/held"), 1);
	a.board->speed = b.board->speed = 1000;
	REQUIRE_WITHIN(MS, !(a.board->target.flags & PS_TARGET_SLOW));
	REQUIRE_WITHIN(MS, state_is("clear"));
	CHECK_EQ(t_api_number(&d, "/v1/status", "memory/held"), 0);
	paper_vm_end(&a);
	paper_vm_end(&b);
	t_daemon_free(&d);
}

TEST("when nothing is left one more VM is held back each turn, and who comes takes of the others")
{
	const char *const rarely[] = {"--set", "Mem.BalancePeriod=120", NULL};
	struct paper_vm vm[5];
	double before;

	start_with(rarely);
	for (size_t i = 0; i < 4; i++) {
		paper_vm_start(&vm[i], &d, (const char *[]){"a", "b", "c", "d"}[i],
			       VM_MB * PAGES_PER_MB, 10 * PAGES_PER_MB);
		vm[i].board->speed = 0;
	}
	test_sleep_ms(1500);
	for (size_t i = 0; i < 4; i++)
		vm[i].board->use = 80 * PAGES_PER_MB;
	REQUIRE_WITHIN(MS, state_is("low"));
	REQUIRE_WITHIN(2000, t_api_number(&d, "/v1/status", "memory/held") == 3);
	test_sleep_ms(1500);
	before = vm_number("a", "memory/SZTGT");
	paper_vm_start(&vm[4], &d, "e", VM_MB * PAGES_PER_MB, 1);
	vm[4].board->speed = 0;
	test_sleep_ms(1000); /* that it came has been dealt with */
	vm[4].board->use = 60 * PAGES_PER_MB;
	REQUIRE_WITHIN(4000, vm_number("a", "memory/SZTGT") < before - 5);
	CHECK(state_is("low"));
	for (size_t i = 0; i < 5; i++)
		paper_vm_end(&vm[i]);
	t_daemon_free(&d);
}

TEST("nobody is held back for long, and a VM that ends while it is held is not counted on")
{
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", 300 * PAGES_PER_MB, 100 * PAGES_PER_MB);
	a.board->speed = 0;
	test_sleep_ms(300);
	a.board->use = 260 * PAGES_PER_MB;
	REQUIRE_WITHIN(MS, a.board->target.flags & PS_TARGET_SLOW);
	REQUIRE_WITHIN(MS, !(a.board->target.flags & PS_TARGET_SLOW));
	REQUIRE_WITHIN(MS, a.board->target.flags & PS_TARGET_SLOW);
	paper_vm_end(&a);
	REQUIRE_WITHIN(MS, t_api_number(&d, "/v1/status", "memory/held") == 0);
	REQUIRE_WITHIN(MS, state_is("high"));
	t_daemon_free(&d);
}

/* ---- swap files ----------------------------------------------------------------------------- */

TEST("each VM gets a swap file without a name, on a disk, as large as what may be in it")
{
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	REQUIRE_WITHIN(MS, a.board->swap_cap == (uint64_t)VM_MB << 20);
	CHECK_EQ(a.board->swap_links, 0u);
	CHECK(a.board->swap_is_file);
	REQUIRE_EQ(set_vm("a", "sched.mem.min", "60"), 200);
	REQUIRE_WITHIN(MS, a.board->swap_cap == (uint64_t)(VM_MB - 60) << 20);
	paper_vm_end(&a);
	t_daemon_free(&d);
}

TEST("where nothing can be swapped to, compression goes on, and show says why")
{
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", 300 * PAGES_PER_MB, 20 * PAGES_PER_MB);
	REQUIRE_EQ(set_vm("a", "sched.swap.dir", "\"/dev/shm\""), 200);
	REQUIRE_EQ(set_vm("a", "sched.swap.dir", "\"relative\""), 400);
	REQUIRE_WITHIN(MS, answers("/v1/vms/a", "sched.swap.dir") ||
				   answers("/v1/vms/a", "\"swap\":\"\""));
	CHECK_EQ(t_setting_put(&d, "Mem.MemSwapEnable", "0"), 200);
	CHECK(answers("/v1/vms/a", "\"swap\":\"Mem.MemSwapEnable is 0\""));
	a.board->use = 250 * PAGES_PER_MB;
	REQUIRE_WITHIN(MS, a.board->out > 0);
	CHECK_EQ(a.board->flags_seen & PS_TARGET_SWAP, 0);
	CHECK_EQ(a.board->target.zip_max_pages, 300 * PAGES_PER_MB / 10);
	CHECK_EQ(t_setting_put(&d, "Mem.MemZipEnable", "0"), 200);
	REQUIRE_WITHIN(MS, a.board->target.zip_max_pages == 0);
	CHECK(answers("/v1/vms/a", "\"compress\":\"Mem.MemZipEnable is 0\""));
	paper_vm_end(&a);
	t_daemon_free(&d);
}

TEST("a disk that fails is said, and costs the reclaim")
{
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 20 * PAGES_PER_MB);
	a.board->refuse = true;
	REQUIRE_WITHIN(MS, answers("/v1/vms/a", "its swap file cannot be written: No space left"));
	paper_vm_end(&a);
	t_daemon_free(&d);
}

/* ---- orders -------------------------------------------------------------------------------- */

TEST("reclaim takes what it was told, by every means, and says what came of it")
{
	char body[65536];
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 100 * PAGES_PER_MB);
	a.board->speed = 300;
	REQUIRE_EQ(t_http(&d, "PUT", "/v1/vms/a/reclaim", "{\"value\": 31457280}", body,
			  sizeof(body)),
		   200);
	CHECK_IN("\"wanted\":31457280", body);
	REQUIRE_WITHIN(MS, answers("/v1/vms/a/reclaim", "\"over\":true"));
	CHECK_GE(t_api_number(&d, "/v1/vms/a/reclaim", "moved"), 31457280);
	CHECK_LT(a.board->out, 40 * PAGES_PER_MB);
	REQUIRE_WITHIN(MS, a.board->target.out_pages == 0); /* once: it is left alone again */
	CHECK(state_is("high"));
	paper_vm_end(&a);
	t_daemon_free(&d);
}

TEST("suspend pushes all out, resume brings all back, and both say when they are done")
{
	char body[65536];
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 100 * PAGES_PER_MB);
	a.board->speed = 1000;
	REQUIRE_EQ(t_http(&d, "PUT", "/v1/vms/a/suspend", "{\"value\": true}", body, sizeof(body)),
		   200);
	REQUIRE_WITHIN(MS, answers("/v1/vms/a/suspend", "\"over\":true"));
	CHECK_EQ(a.board->resident, 0);
	CHECK(a.board->flags_seen & PS_TARGET_SUSPEND);
	CHECK(answers("/v1/vms/a", "\"suspended\":true"));
	REQUIRE_WITHIN(MS, !(a.board->target.flags & PS_TARGET_SUSPEND));
	REQUIRE_EQ(t_http(&d, "PUT", "/v1/vms/a/resume", "{\"value\": true}", body, sizeof(body)),
		   200);
	REQUIRE_WITHIN(MS, answers("/v1/vms/a/resume", "\"over\":true"));
	CHECK_EQ(a.board->out, 0);
	CHECK(answers("/v1/vms/a", "\"suspended\":false"));
	CHECK_EQ(t_http(&d, "PUT", "/v1/vms/nobody/suspend", "{\"value\": true}", body,
			sizeof(body)),
		 404);
	paper_vm_end(&a);
	t_daemon_free(&d);
}

/* PUT of something that is done to a. */
static int put_a(const char *what, const char *json, char *body, size_t size)
{
	char path[64], value[64];

	snprintf(path, sizeof(path), "/v1/vms/a/%s", what);
	snprintf(value, sizeof(value), "{\"value\": %s}", json);
	return t_http(&d, "PUT", path, value, body, size);
}

TEST("a VM is not suspended while it is about to be forked, nor the other way round")
{
	char body[65536];
	struct paper_vm a;

	start();
	paper_vm_start(&a, &d, "a", VM_MB * PAGES_PER_MB, 100 * PAGES_PER_MB);
	a.board->speed = 300;
	REQUIRE_EQ(put_a("fork", "\"publish\"", body, sizeof(body)), 200);
	CHECK_EQ(put_a("suspend", "true", body, sizeof(body)), 409);
	CHECK_IN("a is being forked", body);
	REQUIRE_EQ(put_a("fork", "\"drop\"", body, sizeof(body)), 200);
	REQUIRE_EQ(put_a("suspend", "true", body, sizeof(body)), 200);
	REQUIRE_WITHIN(MS, a.board->out > 10 * PAGES_PER_MB);
	REQUIRE_EQ(put_a("fork", "\"publish\"", body, sizeof(body)), 200);
	REQUIRE_WITHIN(5000, answers("/v1/vms/a/suspend", "\"over\":true"));
	CHECK(answers("/v1/vms/a/suspend", "\"error\":\"Device or resource busy\""));
	CHECK(answers("/v1/vms/a", "\"suspended\":false"));
	REQUIRE_WITHIN(MS, a.board->out == 0);
	REQUIRE_EQ(put_a("fork", "\"drop\"", body, sizeof(body)), 200);
	paper_vm_end(&a);
	t_daemon_free(&d);
}

TEST("a daemon that starts anew asks for no more than is missing")
{
	static const char *const args[] = {"--set", "Mem.ManagedMB=" T_STR(BUDGET), NULL};
	struct paper_vm a, again;
	uint32_t out;

	start();
	paper_vm_start(&a, &d, "a", 300 * PAGES_PER_MB, 250 * PAGES_PER_MB);
	REQUIRE_WITHIN(MS, a.board->out > 0 && state_is("clear"));
	out = a.board->out;
	t_daemon_kill(&d, SIGKILL);
	REQUIRE_WITHIN(MS, a.board->cut);
	t_daemon_start(&d, args, NULL, NULL);
	/* an agent comes again with what it has out */
	paper_vm_start(&again, &d, "a", 300 * PAGES_PER_MB, 250 * PAGES_PER_MB - out);
	test_sleep_ms(2000);
	CHECK_LE(again.board->out, 4 * PAGES_PER_MB);
	paper_vm_end(&a);
	paper_vm_end(&again);
	t_daemon_free(&d);
}
