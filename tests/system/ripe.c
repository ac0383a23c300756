/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ripe: pages of one age are ripe all at once, more than the ring to the daemon has room for.
 *
 * The daemon is of paper (lib/paper.h): it takes hints when the test does, or takes none.
 */
#include "harness/harness.h"

#include "lib/fakevmm.h"
#include "lib/paper.h"
#include "policy/memstate.h"

#define STAGE_MS 300u
#define OUT_MS 20000
#define MANY (4u * PS_RING_ENTRIES)

static struct t_daemon d;
static struct paper p;
static struct fakevmm v;

static void start(void)
{
	t_need_product();
	t_daemon_init(&d);
	paper_start(&p, &d, STAGE_MS);
	p.config.pages_per_second = p.config.first_pages_per_second = 1; /* nothing by the walk */
	fv_start(&v, &d, (struct t_vm_opts){.name = "ripe"});
	fv_map(&v, MANY, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	paper_meet(&p);
	/* contents that compress, each of its own: a word in zeros */
	fv_do(&v, FV_ZERO, 0, 0, MANY, 0, 0);
	fv_do(&v, FV_PATCH, 0, 0, MANY, 64, 1 << 20);
}

static void finish(void)
{
	fv_end(&v);
	paper_end(&p);
	t_rmdir(d.dir);
}

static uint32_t hinted(void)
{
	uint32_t n = 0;

	for (uint32_t page = 0; page < MANY; page++)
		n += p.hash[p.base + page] != 0;
	return n;
}

TEST_SECONDS("more pages than the ring has room for are ripe at once, and each is hinted", 90)
{
	start();
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_TWIN, MANY, MEMSTATE_HARD);
	PAPER_WAIT(&p, 2 * OUT_MS, hinted() >= MANY * 98 / 100);
	fv_check(&v, 0);
	finish();
}

TEST_SECONDS("a daemon that takes no hints does not keep pages from going out", 90)
{
	double begun = t_now();
	struct ps_agent_stats s;

	start();
	p.target.zip_max_pages = MANY;
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_TWIN | PS_TARGET_ZIP, MANY, MEMSTATE_HARD);
	do {
		t_sleep(0.1);
		s = paper_stats(&p);
	} while (s.zipped < MANY * 9 / 10 && !t_late(begun, 2 * OUT_MS / 1000));
	CHECK_GE(s.zipped, MANY * 9 / 10);
	fv_check(&v, 0);
	finish();
}
