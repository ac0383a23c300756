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
	if (!test_reads_map_zero_page())
		SKIP("this kernel gives memory that is only read pages of its own");
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
	if (test_reads_map_zero_page())
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
	if (!test_reads_map_zero_page())
		SKIP("this kernel gives memory that is only read pages of its own: tables, too");
	start(1u << 20);
	fv_do(&v, FV_POOL, 0, 0, PAGES, 1, 1);
	REQUIRE_WITHIN(SOON_MS, vm("GRANT") == BYTES);
	looks(4);
	CHECK_GT(vm("overhead/agent"), PAGES);
	CHECK_LT(vm("overhead/agent"), 1 << 20); /* 5 bytes a page are 5 MiB */
	end();
}

/* Of all cells of the VM's picture, those with that letter; -1 where there is no answer. */
static int cells(char letter)
{
	static char body[65536];
	const char *at;
	int n = 0;

	if (t_http(&d, "GET", "/v1/vms/one/picture", NULL, body, sizeof(body)) != 200)
		return -1;
	at = strstr(body, "\"regions\":[");
	at = at ? strstr(at, "\"states\":\"") : NULL;
	if (!at)
		return 0;
	for (at += strlen("\"states\":\""); *at && *at != '"'; at++)
		n += *at == letter;
	return n;
}

/* A quarter unique, a quarter zeros, a quarter one page again and again. */
TEST_SECONDS("a VM's sketch has its pages and their doubles, and not what was given back", 240)
{
	const char *route = "/v1/vms/one/likeness";
	uint32_t part = PAGES / 4;
	double weight, pages, tokens;

	start(PAGES);
	fv_do(&v, FV_UNIQUE, 0, 0, part, 0, 0);
	fv_do(&v, FV_ZERO, 0, part, part, 0, 0);
	fv_do(&v, FV_POOL, 0, 2 * part, part, 0, 0); /* one page, again and again */
	REQUIRE_WITHIN(SOON_MS, cells('s') == (int)part);
	t_sleep(11); /* it is shown every ten seconds */
	weight = t_api_number(&d, route, "weight");
	pages = t_api_number(&d, route, "pages");
	tokens = t_api_number(&d, route, "tokens");
	/* that one page is in the sample with all its doubles, or not at all */
	CHECK(tokens * weight > 0.85 * part && tokens * weight < 1.15 * part);
	CHECK(pages == tokens || pages * weight > 1.7 * part);
	fv_do(&v, FV_DISCARD, 0, 0, part, 0, 0);
	REQUIRE_WITHIN(2 * SOON_MS, t_api_number(&d, route, "tokens") <= 1);
	end();
}

/* 8192 pages are 8192 cells of one page each: a quarter of each kind. */
TEST_SECONDS("the picture of a VM shows every page in what it is in, soon after that changed", 120)
{
	uint32_t part = PAGES / 4;

	start(PAGES);
	fv_do(&v, FV_UNIQUE, 0, 0, part, 0, 0);
	fv_do(&v, FV_ZERO, 0, part, part, 0, 0);
	fv_do(&v, FV_POOL, 0, 2 * part, part, 1, 1);
	REQUIRE_WITHIN(SOON_MS, cells('s') == (int)part);
	REQUIRE_WITHIN(SOON_MS, cells('0') == (int)part);
	REQUIRE_WITHIN(SOON_MS, cells('p') == (int)part);
	CHECK_EQ(cells('.'), (int)part);
	CHECK_EQ(t_api_number(&d, "/v1/vms/one/picture", "cell_bytes"), T_PAGE);
	CHECK_LT(t_api_number(&d, "/v1/vms/one/picture", "age_s"), 30);
	fv_do(&v, FV_DISCARD, 0, 0, part, 0, 0);
	REQUIRE_WITHIN(SOON_MS, cells('p') == 0);
	CHECK_EQ(cells('.'), 2 * (int)part);
	end();
}
