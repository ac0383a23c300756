/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * homeless: a VM with frames of an earlier session that gets no domain any more, as it may not
 * share, say, or there is no room for one.
 *
 * The daemon is of paper (lib/paper.h): it gives a domain when the test does.
 */
#include "harness/harness.h"

#include "lib/fakevmm.h"
#include "lib/paper.h"
#include "policy/memstate.h"

#define STAGE_MS 300u
#define MS 40000
#define PAGES 1024u
#define FRAMES 256u /* shared */
#define BROKEN 16u  /* of them, and written since */

static struct t_daemon d;
static struct paper p;
static struct fakevmm v;

/* What was just written is refused, and so is what is shared already. */
static void share(void)
{
	for (uint32_t i = 0; i < FRAMES; i += 32)
		REQUIRE_WITHIN(MS,
			       paper_share(&p, p.base + i, i, 32) || fv_shared(&v, 0) >= i + 16);
	REQUIRE_GE(fv_shared(&v, 0), FRAMES / 2);
	fv_do(&v, FV_PATCH, 0, 0, BROKEN, 8, 1);
}

/* Nobody finds their twins, and no look copies them out. */
TEST_SECONDS(
	"frames of before go back to a VM that has no domain any more, and the daemon hears it", 90)
{
	t_need_product();
	t_daemon_init(&d);
	paper_start(&p, &d, STAGE_MS);
	fv_start(&v, &d, (struct t_vm_opts){.name = "homeless"});
	fv_map(&v, PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	paper_meet(&p);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 0);
	share();
	paper_target(&p, PS_TARGET_STAGE | PS_TARGET_TWIN, PAGES / 2, MEMSTATE_HARD);
	PAPER_WAIT(&p, MS, s.staged > 0);

	paper_die(&p);
	p.no_domain = true;
	p.config.flags &= ~PS_CONFIG_SHARE;
	paper_meet(&p);
	PAPER_WAIT(&p, MS, p.old_gone == 1);
	CHECK_EQ(fv_shared(&v, 0), 0);
	fv_check(&v, 0);

	p.no_domain = false;
	p.config.flags |= PS_CONFIG_SHARE;
	paper_die(&p);
	paper_meet(&p);
	fv_do(&v, FV_UNIQUE, 0, 0, PAGES, 0, 1);
	share();
	fv_check(&v, 0);
	CHECK_EQ(p.old_gone, 1);
	fv_end(&v);
	paper_end(&p);
	t_rmdir(d.dir);
}
