/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * swing: pages go out and come in by every technique at once, under targets that swing, while the
 * VMM uses them; cold.c has each state by itself.
 *
 * The daemon is of paper (lib/paper.h).
 */
#include "harness/harness.h"

#include <unistd.h>

#include "lib/fakevmm.h"
#include "lib/paper.h"
#include "policy/memstate.h"

#define STAGE_MS 300u
#define ALL (PS_TARGET_STAGE | PS_TARGET_TWIN | PS_TARGET_ZIP | PS_TARGET_SWAP)
#define SWAP_CAP (64ull << 20)

static struct t_daemon d;
static struct paper p;
static struct fakevmm v;

#define SWING_PAGES 6000u
#define SWING_SECONDS 20.0
#define SWING_MOST 100.0
#define SWING_HASHES 4096u

static struct {
	uint64_t hash;
	uint32_t frame;
} known[SWING_HASHES];
static uint32_t frames_used;

/* What a daemon does with hints, for some of them: equal pages get one frame, mapped or as a cold
 * twin. */
static void share_some(uint64_t *rng)
{
	for (int i = 0; i < 24; i++) {
		uint32_t page = t_below(rng, SWING_PAGES), slot;
		uint64_t hash = p.hash[p.base + page];

		if (!hash)
			continue;
		p.hash[p.base + page] = 0;
		slot = hash % SWING_HASHES;
		if (known[slot].hash == hash) {
			paper_order(&p, p.base + page, known[slot].frame);
		} else if (!known[slot].hash && frames_used < PAPER_FRAMES) {
			if (!paper_share(&p, p.base + page, frames_used, 1)) {
				frames_used++; /* its content may be anything: never again */
				continue;
			}
			known[slot].hash = hash;
			known[slot].frame = frames_used++;
		}
	}
}

static void swing(double seconds)
{
	uint64_t rng = test_seed();
	double end = t_now() + seconds;

	while (t_now() < end) {
		static const uint32_t part[] = {0, 25, 75, 95, 95};
		uint32_t out = SWING_PAGES * part[t_below(&rng, 5)] / 100;
		uint32_t flags = ALL;

		if (t_below(&rng, 2))
			flags &= ~(t_below(&rng, 3) ? PS_TARGET_ZIP : PS_TARGET_SWAP);
		if (t_below(&rng, 4) == 0)
			flags &= ~PS_TARGET_TWIN;
		if (t_below(&rng, 12) == 0)
			flags |= t_below(&rng, 2) ? PS_TARGET_SUSPEND : PS_TARGET_RESUME;
		p.target.zip_max_pages = 200 + t_below(&rng, 2000);
		p.target.promote_max = t_below(&rng, 2) ? 0 : 5000;
		paper_target(&p, flags, out, t_below(&rng, MEMSTATE_END));
		for (double turn = t_now() + 0.001 * (200 + t_below(&rng, 1500)); t_now() < turn;) {
			paper_hear(&p);
			share_some(&rng);
			t_sleep(0.005);
		}
	}
}

static void report(void)
{
	struct ps_agent_stats s = paper_stats(&p);

	t_note("%lu stagings, %lu back; %lu twins, %lu back; %lu zips, %lu back; %lu written, %lu "
	       "read, %lu could not be (errno %lu, %lu held); %lu zeros, %lu discards; CPU %.1f s",
	       s.stagings, s.staged_back, s.twins, s.twinins, s.zips, s.unzips, s.swapouts,
	       s.swapins, s.swap_errors, s.swap_error, s.swap_bytes, s.out_zeros, s.out_discards,
	       (double)s.cpu_ns * 1e-9);
}

/* On a busy host it takes longer. */
static bool was_much(void)
{
	struct ps_agent_stats s = paper_stats(&p);

	return s.twins > 10 && s.zips > 100 && s.unzips > 50 && s.swapouts > 100 && s.swapins > 50;
}

/* The counters of the hammer, its discards and O_DIRECT reads, under targets that swing. */
TEST_SECONDS("no byte goes wrong while every technique is on and the target swings", 180)
{
	struct ps_agent_stats now;
	int fd;

	t_need_product();
	t_daemon_init(&d);
	paper_start(&p, &d, STAGE_MS);
	fv_start(&v, &d, (struct t_vm_opts){.name = "cold"});
	fv_map(&v, SWING_PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	paper_meet(&p);
	fd = paper_swap_file();
	paper_swap(&p, fd, SWAP_CAP);
	close(fd);
	fv_do(&v, FV_HAMMER, 0, 0, 0, 0, 2);
	for (double end = t_now() + SWING_MOST; t_now() < end && !was_much();)
		swing(SWING_SECONDS);
	report();
	now = paper_stats(&p);
	/* or it proves nothing */
	CHECK_GT(now.stagings, SWING_PAGES);
	CHECK_GT(now.staged_back, 1000);
	CHECK_GT(now.twins, 10);
	CHECK_GT(now.zips, 100);
	CHECK_GT(now.unzips, 50);
	CHECK_GT(now.swapouts, 100);
	CHECK_GT(now.swapins, 50);
	fv_do(&v, FV_STOP, 0, 0, 0, 0, 0);
	fv_check(&v, 0);
	fv_end(&v);
	paper_end(&p);
	t_rmdir(d.dir);
}
