/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The balloon's policy beside a guest of paper: it has a size, a need, a driver that is honest,
 * slow, silent or lying, and a host that gets the pages or not.
 */
#include "harness/harness.h"

#include "policy/balloon.h"
#include "policy/test-random.h"

#define MIB (1ull << 20)
#define FOR_EVER UINT64_MAX

struct guest {
	uint64_t now_ms;
	uint64_t size, balloon, value; /* value: what QEMU was told to leave */
	uint64_t need;		       /* what it uses: kernel, processes */
	uint64_t rate;		       /* bytes a second that the driver moves */
	uint64_t answered_ms, stamp;
	uint32_t poll_s;
	uint64_t swap_in, faults, stalls;
	bool silent, oom, locked, paused, no_available;
	uint64_t least; /* as small as it was made */
	struct balloon b;
	struct balloon_wish wish;
	struct balloon_next next;
};

static void guest_init(struct guest *g, uint64_t size, uint64_t need)
{
	*g = (struct guest){
		.now_ms = 1000,
		.size = size,
		.value = size,
		.need = need,
		.rate = 256 * MIB,
		.stamp = 1000,
		.poll_s = 1,
		.least = size,
		.wish = {.max = FOR_EVER, .max_percent = 65, .up_s = 30},
	};
	balloon_init(&g->b, g->now_ms);
}

static uint64_t left(const struct guest *g)
{
	return g->size - g->balloon;
}

static uint64_t has(const struct guest *g)
{
	return left(g) > g->need ? left(g) - g->need : 0;
}

/* The driver moves for a second towards what QEMU was told. */
static void guest_lives(struct guest *g)
{
	uint64_t wanted = g->value < g->size ? g->size - g->value : 0;

	g->now_ms += 1000;
	if (g->silent || g->paused)
		return;
	if (wanted > g->balloon)
		g->balloon += wanted - g->balloon < g->rate ? wanted - g->balloon : g->rate;
	else
		g->balloon -= g->balloon - wanted < g->rate ? g->balloon - wanted : g->rate;
	if (g->balloon > g->size - g->need)
		g->balloon = g->size - g->need;
	if (left(g) < g->least)
		g->least = left(g);
	if (g->now_ms - g->answered_ms >= g->poll_s * 1000) {
		g->answered_ms = g->now_ms;
		g->stamp++;
	}
}

static enum ps_balloon_state look(struct guest *g)
{
	struct balloon_look l = {
		.now_ms = g->now_ms,
		.size = g->size,
		.actual = left(g),
		.resident = 100 * MIB + (g->locked ? g->size : left(g)),
		.paused = g->paused,
		.figures = {.stamp = g->silent && g->stamp == 1000 ? 0 : g->stamp,
			    .total = g->oom ? g->size : left(g),
			    .available = g->no_available ? BALLOON_UNKNOWN : has(g),
			    .free = g->no_available ? BALLOON_UNKNOWN : has(g) / 2,
			    .swap_in = g->swap_in,
			    .major_faults = g->faults,
			    .stalls = g->stalls},
	};

	balloon_step(&g->b, &l, &g->wish, &g->next);
	if (g->next.set)
		g->value = g->next.value;
	g->poll_s = g->next.poll_s ? g->next.poll_s : 1;
	return g->next.state;
}

static enum ps_balloon_state run(struct guest *g, unsigned int seconds)
{
	enum ps_balloon_state state = look(g);

	for (unsigned int i = 0; i < seconds; i++) {
		guest_lives(g);
		state = look(g);
	}
	return state;
}

TEST("a guest goes to half of its size step by step, and back at once")
{
	struct guest g;
	uint64_t before = 0;

	guest_init(&g, 512 * MIB, 96 * MIB);
	run(&g, 40);
	CHECK_EQ(g.next.state, PS_BALLOON_READY);
	g.wish.target = 256 * MIB;
	for (int i = 0; i < 60; i++) {
		run(&g, 1);
		CHECK_LE(g.balloon - before, 64 * MIB); /* an 8th a step */
		before = g.balloon;
	}
	CHECK_EQ(g.next.state, PS_BALLOON_AT_TARGET);
	CHECK_EQ(g.balloon, 256 * MIB);
	g.wish.target = 0;
	run(&g, 2);
	CHECK_EQ(g.balloon, 0);
	CHECK_EQ(g.next.state, PS_BALLOON_READY);
}

TEST("nothing is taken before the guest has answered while we looked, and was up for a while")
{
	struct guest g;

	guest_init(&g, 512 * MIB, 96 * MIB);
	g.wish.target = 256 * MIB;
	g.stamp = 4711; /* of the moment at which its driver was loaded: nothing since */
	g.silent = true;
	CHECK_EQ(run(&g, 60), PS_BALLOON_NO_DRIVER);
	g.silent = false;
	CHECK_EQ(run(&g, 29), PS_BALLOON_EARLY);
	CHECK_EQ(g.balloon, 0);
	run(&g, 10);
	CHECK_GT(g.balloon, 0);
}

TEST("the floor is what the guest needs and a reserve, not what it calls used")
{
	struct guest g;

	guest_init(&g, 1024 * MIB, 500 * MIB);
	g.wish.target = 660 * MIB;
	CHECK_EQ(run(&g, 240), PS_BALLOON_AT_FLOOR);
	CHECK_GE(left(&g), 500 * MIB + balloon_reserve(1024 * MIB) - 2 * MIB);
	CHECK_LE(left(&g), 500 * MIB + balloon_reserve(1024 * MIB) + 8 * MIB);
	CHECK_EQ(g.next.most, g.balloon + has(&g) - balloon_reserve(1024 * MIB));
}

TEST("with deflate-on-oom the guest's total stays whole, and the floor is the same")
{
	struct guest g;

	guest_init(&g, 1024 * MIB, 500 * MIB);
	g.oom = true;
	g.wish.target = 660 * MIB;
	CHECK_EQ(run(&g, 240), PS_BALLOON_AT_FLOOR);
	CHECK_GE(left(&g), 500 * MIB + balloon_reserve(1024 * MIB) - 2 * MIB);
	CHECK_LE(left(&g), 500 * MIB + balloon_reserve(1024 * MIB) + 8 * MIB);
}

TEST("by force it goes below the floor, but not beyond Mem.CtlMaxPercent")
{
	struct guest g;

	guest_init(&g, 1024 * MIB, 300 * MIB);
	g.wish.target = 1024 * MIB;
	g.wish.force = true;
	CHECK_EQ(run(&g, 240), PS_BALLOON_AT_MAX);
	CHECK_GE(g.balloon, 1024 * MIB / 100 * 65 - MIB);
	CHECK_LE(g.balloon, 1024 * MIB / 100 * 65);
}

TEST("sched.mem.maxmemctl limits it too, and 0 percent is no ballooning")
{
	struct guest g;

	guest_init(&g, 1024 * MIB, 100 * MIB);
	g.wish.target = 500 * MIB;
	g.wish.max = 100 * MIB;
	CHECK_EQ(run(&g, 120), PS_BALLOON_AT_MAX);
	CHECK_EQ(g.balloon, 100 * MIB);
	g.wish.max_percent = 0;
	run(&g, 5);
	CHECK_EQ(g.balloon, 0);
}

static void shrunk(struct guest *g)
{
	guest_init(g, 512 * MIB, 96 * MIB);
	g->wish.target = 256 * MIB;
	REQUIRE_EQ(run(g, 120), PS_BALLOON_AT_TARGET);
}

TEST("a guest that gets short is given back within seconds, though the target stays")
{
	struct guest g;

	shrunk(&g);
	g.need = 250 * MIB; /* a database starts */
	CHECK_EQ(run(&g, 3), PS_BALLOON_SHORT);
	CHECK_GE(has(&g), 64 * MIB);
	run(&g, 60);
	CHECK_GE(has(&g), 48 * MIB);
	CHECK_LT(g.balloon, 220 * MIB);
}

TEST("swap-ins, stalls, and major faults with little available are shortage; faults alone are not")
{
	struct guest g;

	shrunk(&g);
	for (int i = 0; i < 5; i++) {
		g.faults += 1000; /* it reads a large file */
		run(&g, 1);
	}
	CHECK_EQ(g.balloon, 256 * MIB);
	g.swap_in += 4 * MIB;
	CHECK_EQ(run(&g, 2), PS_BALLOON_SHORT);
	CHECK_LT(g.balloon, 256 * MIB);

	shrunk(&g);
	g.stalls += 40;
	CHECK_EQ(run(&g, 2), PS_BALLOON_SHORT);
	CHECK_LT(g.balloon, 256 * MIB);

	shrunk(&g);
	g.need = 256 * MIB - 100 * MIB;
	run(&g, 2);
	CHECK_EQ(g.balloon, 256 * MIB);
	g.faults += 1000;
	CHECK_EQ(run(&g, 2), PS_BALLOON_SHORT);
	CHECK_LT(g.balloon, 256 * MIB);
}

TEST("what was given back is not taken again at once, and what was too much not for longer")
{
	struct guest g;
	uint64_t after;

	shrunk(&g);
	g.need = 220 * MIB;
	run(&g, 8);
	after = g.balloon;
	g.need = 96 * MIB;
	run(&g, 8);
	CHECK_EQ(g.balloon, after);
	run(&g, 60);
	CHECK_LE(g.balloon, after);
	run(&g, 120);
	CHECK_GT(g.balloon, after);
}

TEST("a balloon that the guest itself deflated for want of memory is not blown up again at once")
{
	struct guest g;
	uint64_t taken;

	shrunk(&g);
	g.oom = true;
	g.balloon = taken = 200 * MIB;
	g.value = g.size - taken; /* the driver keeps off */
	CHECK_EQ(look(&g), PS_BALLOON_SHORT);
	CHECK_LE(run(&g, 5), PS_BALLOON_SHORT);
	CHECK_LE(g.balloon, taken);
}

TEST("a guest that does not follow is passed over, and tried again later")
{
	struct guest g;

	guest_init(&g, 512 * MIB, 96 * MIB);
	g.wish.target = 256 * MIB;
	g.rate = 0;
	CHECK_EQ(run(&g, 45), PS_BALLOON_SLOW);
	CHECK(!balloon_usable(g.next.state));
	CHECK_EQ(g.next.goal, 0);
	g.rate = 64 * MIB;
	run(&g, 180);
	CHECK_EQ(g.next.state, PS_BALLOON_AT_TARGET);
}

TEST("a guest whose driver falls silent is left as it is, and can still be given back")
{
	struct guest g;

	shrunk(&g);
	g.silent = true;
	CHECK_EQ(run(&g, 20), PS_BALLOON_STALE);
	CHECK_EQ(g.next.goal, 256 * MIB);
	g.wish.target = 300 * MIB;
	run(&g, 20);
	CHECK_EQ(g.next.goal, 256 * MIB);
	g.wish.target = 0;
	run(&g, 1);
	CHECK_EQ(g.value, 512 * MIB);
}

TEST("locked memory: QEMU says that it shrank, the host has not got the pages, and all goes back")
{
	struct guest g;

	guest_init(&g, 512 * MIB, 96 * MIB);
	g.locked = true;
	g.wish.target = 300 * MIB;
	CHECK_EQ(run(&g, 90), PS_BALLOON_NOT_FREED);
	CHECK_EQ(g.balloon, 0);
	CHECK_GE(g.least, 512 * MIB / 2 - 64 * MIB); /* it was seen long before the target */
	CHECK_EQ(run(&g, 300), PS_BALLOON_NOT_FREED);
	CHECK_EQ(g.balloon, 0);
}

TEST("a guest that never touched its memory is no liar: nothing was there to be freed")
{
	struct guest g;
	uint64_t seconds = 0;

	guest_init(&g, 4096 * MIB, 96 * MIB);
	g.wish.target = 2048 * MIB;
	for (; seconds < 200; seconds++) {
		struct balloon_look l = {.now_ms = g.now_ms,
					 .size = g.size,
					 .actual = left(&g),
					 .resident = 300 * MIB,
					 .figures = {.stamp = g.stamp, .available = has(&g)}};

		balloon_step(&g.b, &l, &g.wish, &g.next);
		if (g.next.set)
			g.value = g.next.value;
		guest_lives(&g);
	}
	CHECK_EQ(g.next.state, PS_BALLOON_AT_TARGET);
}

TEST("memory that is plugged in counts for the limit, and the balloon keeps its size")
{
	struct guest g;

	guest_init(&g, 512 * MIB, 96 * MIB);
	g.wish.target = 600 * MIB;
	CHECK_EQ(run(&g, 120), PS_BALLOON_AT_MAX);
	g.size = 1024 * MIB;
	run(&g, 1);
	CHECK_EQ(g.value, 1024 * MIB - g.next.goal);
	run(&g, 120);
	CHECK_GE(g.balloon, 599 * MIB);
}

TEST("what cannot be true is a lie after the third time, and moves nothing")
{
	struct guest g;

	shrunk(&g);
	g.size = 100 * MIB; /* less than what is left: "actual" is more than there is */
	for (int i = 0; i < 4; i++) {
		struct balloon_look l = {
			.now_ms = g.now_ms += 1000, .size = 100 * MIB, .actual = 256 * MIB};

		balloon_step(&g.b, &l, &g.wish, &g.next);
		CHECK(!g.next.set);
		CHECK_EQ(g.next.state == PS_BALLOON_LIES, i >= 2);
	}
}

TEST("an old driver that knows only free memory is used by that, one that knows nothing is not")
{
	struct guest g;

	guest_init(&g, 512 * MIB, 96 * MIB);
	g.no_available = true;
	g.wish.target = 256 * MIB;
	CHECK_EQ(run(&g, 60), PS_BALLOON_NO_FIGURES);
	CHECK_EQ(g.balloon, 0);
}

TEST("QEMU's refusal is shown, and it is asked again later")
{
	struct guest g;

	guest_init(&g, 512 * MIB, 96 * MIB);
	g.wish.target = 256 * MIB;
	run(&g, 31);
	balloon_refused(&g.b, g.now_ms);
	CHECK_EQ(run(&g, 5), PS_BALLOON_REFUSED);
	CHECK_EQ(run(&g, 120), PS_BALLOON_AT_TARGET);
}

TEST("a guest that stands still is neither slow nor stale")
{
	struct guest g;

	shrunk(&g);
	g.paused = true;
	g.wish.target = 300 * MIB;
	CHECK_EQ(run(&g, 100), PS_BALLOON_INFLATING);
	CHECK(g.next.fresh);
	g.paused = false;
	CHECK_EQ(run(&g, 60), PS_BALLOON_AT_TARGET);
}

TEST("whatever guest and host do, no limit is passed, and no guest is kept short")
{
	struct rng rng = {test_seed()};
	struct guest g;

	for (int round = 0; round < 200; round++) {
		guest_init(&g, (64 + rng_below(&rng, 4096)) * MIB, 16 * MIB);
		g.wish.up_s = 0;
		for (int i = 0; i < 200; i++) {
			if (rng_below(&rng, 10) == 0)
				g.wish.target = rng_below(&rng, 2 * g.size);
			if (rng_below(&rng, 20) == 0)
				g.wish.max = rng_below(&rng, g.size);
			if (rng_below(&rng, 20) == 0)
				g.need = rng_below(&rng, g.size / 2);
			if (rng_below(&rng, 20) == 0)
				g.rate = rng_below(&rng, 512 * MIB);
			g.paused = rng_below(&rng, 10) == 0;
			run(&g, 1);
			CHECK_LE(g.value, g.size);
			CHECK_LE(g.size - g.value, g.size / 100 * 65);
		}
		/* in the end it has what it needs */
		g.paused = false;
		g.rate = 512 * MIB;
		run(&g, 40);
		CHECK_GE(has(&g) + 8 * MIB, g.balloon ? balloon_reserve(g.size) / 4 * 3 : 0);
	}
}

TEST("every state has its words")
{
	for (unsigned int state = 0; state <= PS_BALLOON_STATE_END; state++)
		CHECK(*balloon_state_text(state));
}
