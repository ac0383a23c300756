/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * large: huge pages on a host that gets short, with nothing set but its budget.
 *
 * While memory is plentiful nothing is shared from them, only hinted (COWH). When it is short the
 * blocks that have most to give are broken and shared, before anything else is taken from a VM;
 * those with nothing to give stay whole, and what was broken stays broken. When it has been
 * plentiful for long, blocks of resident pages become huge again.
 */
#include "harness/harness.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/fakevmm.h"

#define BLOCKS 24u
#define PAGES (BLOCKS * 512u)
#define SAME (PAGES / 2)
#define OWN 16u /* in each block, that no other VM has */
#define SHARED (SAME - SAME / 512 * OWN)
#define SHORT_MS 40000

static struct t_daemon d;

static double number(const char *vm, const char *way)
{
	char path[64];

	snprintf(path, sizeof(path), "/v1/vms/%s", vm);
	return t_api_number(&d, path, way);
}

static void start(const char *more)
{
	const char *extra[] = {"--set", "Mem.ShareForceSalting=0", "--set", more, NULL};

	t_need_product();
	t_daemon_init(&d);
	t_daemon_start(&d, extra, NULL, NULL);
}

static void budget(double mib)
{
	char text[32];

	snprintf(text, sizeof(text), "%.0f", mib);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ManagedMB", text), 200);
}

static uint32_t huge_in(struct fakevmm *v, uint32_t page, uint32_t n)
{
	return pm_count(v->pagemap, v->base[0] + (uint64_t)page * T_PAGE, n).huge;
}

/* One VM: half of it as all the others, half its own. */
static void start_vm(struct fakevmm *v, const char *name)
{
	fv_start(v, &d, (struct t_vm_opts){.name = name});
	fv_map(v, PAGES, FV_MAP_DONTFORK);
	fv_pool(v, 0, 0, SAME, 0);
	for (uint32_t page = 0; page < SAME; page += 512)
		fv_do(v, FV_UNIQUE, 0, page, OWN, 0, 0);
	fv_do(v, FV_UNIQUE, 0, SAME, PAGES - SAME, 0, 0);
	if (huge_in(v, 0, PAGES) < PAGES * 9 / 10)
		SKIP("this host gives no huge pages");
}

static void pair(struct fakevmm *a, struct fakevmm *b)
{
	start_vm(a, "a");
	start_vm(b, "b");
	/* both know what they would give */
	REQUIRE_WITHIN(SHORT_MS, number("a", "COWH") > 0.8 * SAME * T_PAGE &&
					 number("b", "COWH") > 0.8 * SAME * T_PAGE);
	CHECK_EQ(number("a", "SHRD"), 0);
	CHECK_GT(huge_in(a, 0, PAGES), PAGES * 9 / 10);
}

/* MiB that a VM has now, as the daemon counts it. */
static double has_mib(const char *vm)
{
	double bytes = number(vm, "memory/consumed");

	if (bytes < 0)
		SKIP("this pshared does nothing where memory is short");
	return bytes / (1 << 20);
}

static void end(struct fakevmm *a, struct fakevmm *b)
{
	fv_check(a, 0);
	fv_check(b, 0);
	fv_end(a);
	fv_end(b);
	t_daemon_free(&d);
}

/* In VmFlags of the mapping of a page. */
static bool has_flag(const struct fakevmm *v, uint64_t addr, const char *flag)
{
	char path[64], line[512];
	bool inside = false, found = false;
	FILE *smaps;

	snprintf(path, sizeof(path), "/proc/%d/smaps", v->pid);
	smaps = fopen(path, "re");
	REQUIRE(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from <= addr && addr < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found |= strstr(line, flag) != NULL;
	}
	fclose(smaps);
	return found;
}

TEST_SECONDS("two equal VMs on a host that gets short share, with the defaults", 180)
{
	struct fakevmm a, b;
	uint32_t whole;

	start("Mem.ShareQuarantineMs=1000");
	pair(&a, &b);
	/* short by less than sharing gives */
	budget(has_mib("a") + has_mib("b") + 1);
	REQUIRE_WITHIN(SHORT_MS,
		       fv_shared(&a, 0) > 0.95 * SHARED && fv_shared(&b, 0) > 0.95 * SHARED);
	/* What had nothing to give is as large as it was, and nobody was made to give more. */
	whole = huge_in(&a, SAME, PAGES - SAME);
	CHECK_GE(whole, (PAGES - SAME) * 9 / 10);
	CHECK_EQ(number("a", "memory/zipped"), 0);
	CHECK_EQ(number("a", "memory/SWCUR"), 0);
	REQUIRE_WITHIN(5000, number("a", "memory/pages/blocks_broken") >= SAME / 512 - 1);
	/* Broken blocks stay so on kernels that build middle-sized folios too: none may. */
	CHECK_EQ(huge_in(&a, 0, SAME), 0);
	CHECK(has_flag(&a, a.base[0], " nh"));
	CHECK(!has_flag(&a, a.base[0] + (uint64_t)(PAGES - 1) * T_PAGE, " nh"));
	end(&a, &b);
}

TEST_SECONDS("blocks of resident pages become huge again when memory is plentiful for long", 180)
{
	struct fakevmm a, b;

	start("LPage.LPageDefragAfter=2");
	pair(&a, &b);
	budget(has_mib("a") + has_mib("b") + 1);
	REQUIRE_WITHIN(SHORT_MS, fv_shared(&a, 0) > 0.95 * SHARED);
	REQUIRE_EQ(huge_in(&a, 0, SAME), 0);
	/* All of it is written: it is the guest's own again. Looks are made faster, for at the
	 * default pace a minute lies between two. */
	budget(4096);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareScanTime", "0"), 200);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareRateMax", "65536"), 200);
	REQUIRE_EQ(t_setting_put(&d, "Mem.ShareScanGHz", "32"), 200);
	fv_do(&a, FV_UNIQUE, 0, 0, SAME, 0, 0);
	for (uint32_t i = 0; huge_in(&a, 0, SAME) <= SAME / 2; i++) {
		REQUIRE_LT(i, 400u);
		test_sleep_ms(250);
	}
	REQUIRE_WITHIN(5000, number("a", "memory/pages/blocks_collapsed") >= SAME / 512 / 2);
	end(&a, &b);
}
