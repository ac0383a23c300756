/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * figures: what is shown of a VM beside what it did: memory in use, memory saved, the agent's own.
 */
#include "harness/harness.h"

#include "lib/fakevmm.h"

#define PAGES 8192u
#define BYTES ((double)PAGES * T_PAGE)
#define SOON_MS 60000

static struct t_daemon d;
static struct fakevmm v;

static double vm(const char *way)
{
	return t_api_number(&d, "/v1/vms/one", way);
}

static void start(uint32_t pages)
{
	t_daemon_fresh(&d);
	fv_start(&v, &d, (struct t_vm_opts){.name = "one", .salt = "figures"});
	fv_map(&v, pages, FV_MAP_DONTFORK | FV_MAP_NOHUGE);
}

static void end(void)
{
	fv_end(&v);
	t_daemon_free(&d);
}

/* Everything was looked at n times from now on. */
static void looks(double n)
{
	double before = vm("counters/passes");

	REQUIRE_WITHIN(SOON_MS, vm("counters/passes") >= before + n);
}

TEST_SECONDS("memory that was only read is neither in use nor saved", 90)
{
	start(PAGES);
	REQUIRE_WITHIN(SOON_MS, vm("size") == BYTES);
	fv_do(&v, FV_READ, 0, 0, PAGES, 0, 0);
	looks(4);
	CHECK_EQ(vm("GRANT"), 0);
	CHECK_EQ(vm("ZERO"), 0);
	CHECK_EQ(vm("SHRDSVD"), 0);
	CHECK_EQ(t_api_number(&d, "/v1/status", "pshare/saving"), 0);
	end();
}

TEST_SECONDS("zeros that were written are saved, until they are discarded", 200)
{
	start(PAGES);
	fv_do(&v, FV_ZERO, 0, 0, PAGES, 0, 0);
	REQUIRE_WITHIN(SOON_MS, vm("ZERO") == BYTES);
	CHECK_EQ(vm("GRANT"), BYTES);
	CHECK_EQ(vm("SHRDSVD"), BYTES);
	REQUIRE_WITHIN(SOON_MS, vm("quarantined") == 0);
	fv_do(&v, FV_DISCARD, 0, 0, PAGES, 0, 0);
	fv_do(&v, FV_READ, 0, 0, PAGES, 0, 0);
	REQUIRE_WITHIN(SOON_MS, vm("ZERO") == 0);
	REQUIRE_WITHIN(SOON_MS, vm("GRANT") == 0);
	end();
}

TEST_SECONDS("GRANT is there at once, however seldom memory is looked at; what waits is told", 90)
{
	start(PAGES);
	t_setting_put(&d, "Mem.ShareRateFirst", "0");
	t_setting_put(&d, "Mem.ShareScanTime", "600");
	t_setting_put(&d, "Mem.ShareRateMax", "1");
	looks(1);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	REQUIRE_WITHIN(SOON_MS, vm("GRANT") == BYTES);
	CHECK_LT(vm("progress/looked_percent"), 5);
	CHECK_GT(vm("progress/left_s"), PAGES / 2.0);
	end();
}

TEST_SECONDS("of the agent's tables only what is memory counts", 90)
{
	start(1u << 20);
	fv_do(&v, FV_POOL, 0, 0, PAGES, 1, 1);
	REQUIRE_WITHIN(SOON_MS, vm("GRANT") == BYTES);
	looks(4);
	CHECK_GT(vm("overhead/agent"), PAGES);
	CHECK_LT(vm("overhead/agent"), 1 << 20); /* 5 bytes a page are 5 MiB */
	end();
}
