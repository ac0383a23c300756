/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/ladder.h"
#include "policy/test-random.h"

/* A VM of 100000 pages that is 20000 above its target. */
static const struct ladder_vm usual = {
	.has = 100000,
	.target = 80000,
	.limit = UINT64_MAX,
	.guest = 90000,
	.can_out = true,
	.can_balloon = true,
	.balloon = 1000,
	.balloon_max = 65000,
};

TEST("down the ladder: clear breaks, soft balloons, hard and low take out")
{
	struct ladder_plan plan = ladder_plan(MEMSTATE_HIGH, &usual, false);

	CHECK(!plan.may_break && !plan.may_out);
	CHECK_EQ(plan.out, 0);
	CHECK_EQ(plan.why_out, LADDER_STATE);
	plan = ladder_plan(MEMSTATE_CLEAR, &usual, false);
	CHECK(plan.may_break && !plan.may_out);
	CHECK_EQ(plan.balloon, 1000);
	plan = ladder_plan(MEMSTATE_SOFT, &usual, false);
	CHECK(plan.may_break && !plan.may_out);
	CHECK_EQ(plan.balloon, 21000);
	CHECK_EQ(plan.out, 0);
	for (enum memstate state = MEMSTATE_HARD; state <= MEMSTATE_LOW; state++) {
		plan = ladder_plan(state, &usual, false);
		CHECK(plan.may_break && plan.may_out);
		CHECK_EQ(plan.balloon, 1000);
		CHECK_EQ(plan.why_balloon, LADDER_STATE);
		CHECK_EQ(plan.out, 20000);
	}
}

TEST("up the ladder: what is out stays out until clear, the balloon shrinks where there is more")
{
	struct ladder_vm vm = usual;
	struct ladder_plan plan;

	vm.out = 15000;
	vm.has = vm.target;
	plan = ladder_plan(MEMSTATE_HARD, &vm, false);
	CHECK_EQ(plan.out, 15000);
	CHECK_EQ(plan.why_out, LADDER_ENOUGH);
	plan = ladder_plan(MEMSTATE_SOFT, &vm, false);
	CHECK_EQ(plan.out, 15000);
	CHECK_EQ(plan.balloon, 1000);
	vm.has = vm.target - 600;
	plan = ladder_plan(MEMSTATE_SOFT, &vm, false);
	CHECK_EQ(plan.balloon, 1000);
	plan = ladder_plan(MEMSTATE_CLEAR, &vm, false);
	CHECK_EQ(plan.out, 0);
	CHECK_EQ(plan.balloon, 400);
	vm.has = vm.target - 5000;
	CHECK_EQ(ladder_plan(MEMSTATE_HIGH, &vm, false).balloon, 0);
}

TEST("in soft, what the balloon cannot give is taken out")
{
	struct ladder_vm vm = usual;
	struct ladder_plan plan;

	vm.balloon_max = 5000;
	plan = ladder_plan(MEMSTATE_SOFT, &vm, false);
	CHECK_EQ(plan.balloon, 5000);
	CHECK_EQ(plan.out, 16000);
	vm.balloon = 5000;
	plan = ladder_plan(MEMSTATE_SOFT, &vm, false);
	CHECK_EQ(plan.why_balloon, LADDER_AT_MAX);
	CHECK_EQ(plan.out, 20000);
	vm.can_balloon = false;
	plan = ladder_plan(MEMSTATE_SOFT, &vm, false);
	CHECK_EQ(plan.why_balloon, LADDER_NO_DEVICE);
	CHECK_EQ(plan.balloon, 5000);
	CHECK_EQ(plan.out, 20000);
	vm.can_out = false;
	plan = ladder_plan(MEMSTATE_SOFT, &vm, false);
	CHECK(!plan.may_out);
	CHECK_EQ(plan.why_out, LADDER_NO_DEVICE);
}

TEST("in hard and low, what cannot be taken out is asked of the balloon")
{
	struct ladder_vm vm = usual;

	vm.guest = 5000; /* the rest of what it has is shared, or the VMM's */
	for (enum memstate state = MEMSTATE_HARD; state <= MEMSTATE_LOW; state++) {
		struct ladder_plan plan = ladder_plan(state, &vm, false);

		CHECK_EQ(plan.out, 5000);
		CHECK_EQ(plan.balloon, 16000);
		CHECK_EQ(plan.why_balloon, LADDER_USED);
	}
	vm.can_out = false;
	CHECK_EQ(ladder_plan(MEMSTATE_LOW, &vm, false).balloon, 21000);
	vm.balloon_max = 1000;
	CHECK_EQ(ladder_plan(MEMSTATE_LOW, &vm, false).why_balloon, LADDER_AT_MAX);
	vm.can_balloon = false;
	CHECK_EQ(ladder_plan(MEMSTATE_LOW, &vm, false).balloon, 1000);
}

TEST("share before swap: while something is worth sharing, nothing is ballooned or taken out")
{
	struct ladder_vm vm = usual;

	vm.can_balloon = false;
	vm.out = 77;
	for (enum memstate state = MEMSTATE_SOFT; state <= MEMSTATE_LOW; state++) {
		struct ladder_plan plan = ladder_plan(state, &vm, true);

		CHECK(plan.may_break && !plan.may_out);
		CHECK_EQ(plan.out, 77);
		CHECK_EQ(plan.balloon, 1000);
		CHECK_EQ(plan.why_out, LADDER_SHARE_FIRST);
		CHECK(ladder_plan(state, &vm, false).may_out);
	}
}

TEST("a VM above its limit gives the difference in every state, by balloon first")
{
	struct ladder_vm vm = usual;
	struct ladder_plan plan;

	vm.limit = vm.target = 60000;
	plan = ladder_plan(MEMSTATE_HIGH, &vm, false);
	CHECK_EQ(plan.balloon, 41000);
	CHECK(!plan.may_out && plan.may_break);
	vm.can_balloon = false;
	plan = ladder_plan(MEMSTATE_HIGH, &vm, false);
	CHECK_EQ(plan.out, 40000);
	vm.has = 60100; /* not worth a move */
	CHECK_EQ(ladder_plan(MEMSTATE_HIGH, &vm, false).why_out, LADDER_STATE);
}

TEST("a command pushes pages out in every state, and its share of the guest is the most")
{
	struct ladder_vm vm = usual;

	vm.can_balloon = false;
	vm.push = 3000;
	CHECK_EQ(ladder_plan(MEMSTATE_HIGH, &vm, false).out, 3000);
	CHECK_EQ(ladder_plan(MEMSTATE_HARD, &vm, false).out, 20000);
	vm.push = UINT64_MAX;
	vm.out = 5;
	CHECK_EQ(ladder_plan(MEMSTATE_HIGH, &vm, false).out, 90005);
}

TEST("what is asked for is never asked for on top: a slow agent winds nothing up")
{
	struct ladder_vm vm = usual;

	vm.can_balloon = false;
	for (uint64_t out = 0; out <= 20000; out += 1000) {
		vm.out = out;
		vm.has = 100000 - out;
		CHECK_LE(ladder_plan(MEMSTATE_HARD, &vm, false).out, 20000);
	}
}

TEST("whatever the VM: no more is taken than it has, and the balloon stays within its maximum")
{
	struct rng rng = {test_seed()};

	for (int i = 0; i < 20000; i++) {
		uint64_t size = 1 + rng_below(&rng, 1u << 20);
		struct ladder_vm vm = {
			.has = rng_below(&rng, size),
			.target = rng_below(&rng, size),
			.limit = rng_below(&rng, 2) ? rng_below(&rng, size) : UINT64_MAX,
			.out = rng_below(&rng, size),
			.can_out = rng_below(&rng, 2),
			.can_balloon = rng_below(&rng, 2),
			.balloon_max = rng_below(&rng, size),
			.push = rng_below(&rng, 3) ? 0 : rng_below(&rng, size),
		};
		enum memstate state = (enum memstate)rng_below(&rng, MEMSTATE_END);
		struct ladder_plan plan;

		vm.guest = rng_below(&rng, vm.has + 1);
		vm.balloon = rng_below(&rng, vm.balloon_max + 1);
		plan = ladder_plan(state, &vm, rng_below(&rng, 2));
		CHECK_LE(plan.balloon, vm.balloon_max);
		CHECK_LE(plan.out, vm.out + vm.guest);
		if (plan.may_out)
			CHECK(vm.can_out && plan.out > vm.out);
		if (!vm.can_balloon)
			CHECK_EQ(plan.balloon, vm.balloon);
		if (state >= MEMSTATE_HARD && plan.balloon > vm.balloon)
			CHECK(!vm.can_out || plan.out == vm.out + vm.guest);
		if (state >= MEMSTATE_HARD)
			CHECK_LE(vm.balloon, plan.balloon);
	}
}

TEST("the goal is what lets the state be left, and twice that before balloons give back")
{
	struct memstate_levels levels;

	memstate_levels_default(&levels);
	CHECK_EQ(ladder_goal(MEMSTATE_SOFT, 1600, &levels), 1700);
	CHECK_EQ(ladder_goal(MEMSTATE_LOW, 1600, &levels), 1700);
	CHECK_EQ(ladder_goal(MEMSTATE_CLEAR, 1600, &levels), 3200);
}

/* ---- low ----------------------------------------------------------------------------------- */

#define NEVER UINT64_MAX

TEST("in low the VM furthest above its target is held back, then the next, never the last")
{
	struct ladder_held vm[3] = {
		{.has = 10000, .target = 9000, .can_hold = true, .rested_ms = NEVER},
		{.has = 20000, .target = 9000, .can_hold = true, .rested_ms = NEVER},
		{.has = 9000, .target = 9000, .can_hold = true, .rested_ms = NEVER},
	};

	CHECK_EQ(ladder_hold(vm, 3, NEVER), 1);
	vm[1].held = true;
	CHECK_EQ(ladder_hold(vm, 3, HOLD_STEP_MS - 1), HOLD_NONE);
	CHECK_EQ(ladder_hold(vm, 3, HOLD_STEP_MS), 0);
	vm[0].held = true;
	CHECK_EQ(ladder_hold(vm, 3, NEVER), HOLD_NONE); /* the third is at its target */
	vm[2].has = 20000;
	CHECK_EQ(ladder_hold(vm, 3, NEVER), HOLD_NONE); /* and the last */
	CHECK_EQ(ladder_hold(vm, 1, NEVER), HOLD_NONE);
	CHECK_EQ(ladder_hold(vm, 0, NEVER), HOLD_NONE);
}

TEST("one that cannot be held is passed over, one that was just let go has its rest")
{
	struct ladder_held vm[2] = {
		{.has = 90000, .target = 9000, .rested_ms = NEVER},
		{.has = 20000, .target = 9000, .can_hold = true, .rested_ms = NEVER},
	};

	CHECK_EQ(ladder_hold(vm, 2, NEVER), 1);
	vm[0].can_hold = true;
	vm[0].rested_ms = HOLD_REST_MS - 1;
	CHECK_EQ(ladder_hold(vm, 2, NEVER), 1);
	vm[1].rested_ms = HOLD_REST_MIN_MS - 1;
	CHECK_EQ(ladder_hold(vm, 2, NEVER), 0);
	vm[0].rested_ms = HOLD_REST_MIN_MS - 1;
	CHECK_EQ(ladder_hold(vm, 2, NEVER), HOLD_NONE);
}

TEST("it is let go when the state allows, when it is at its target, or after a while")
{
	struct ladder_held vm = {.has = 20000, .target = 9000, .held = true};

	CHECK(!ladder_let_go(MEMSTATE_LOW, &vm));
	CHECK(ladder_let_go(MEMSTATE_HARD, &vm));
	vm.held_ms = HOLD_MAX_MS;
	CHECK(ladder_let_go(MEMSTATE_LOW, &vm));
	vm.held_ms = 0;
	vm.has = 9010;
	CHECK(ladder_let_go(MEMSTATE_LOW, &vm));
	vm.held = false;
	CHECK(!ladder_let_go(MEMSTATE_HIGH, &vm));
}

/* ---- large blocks -------------------------------------------------------------------------- */

TEST("blocks are broken where most is to be had, cold ones first, and no more than is needed")
{
	struct ladder_large vm[3] = {
		{.blocks = 100, .worth = 100 * 100, .has = 51200, .active = 0},
		{.blocks = 100, .worth = 100 * 300, .has = 51200, .active = 0},
		{.blocks = 100, .worth = 100 * 300, .has = 51200, .active = 51200},
	};

	ladder_break(vm, 3, 3000, UINT64_MAX);
	CHECK_EQ(vm[1].breaks, 11);
	CHECK_EQ(vm[0].breaks + vm[2].breaks, 0);
	ladder_break(vm, 3, 300 * 100 + 1000, UINT64_MAX);
	CHECK_EQ(vm[1].breaks, 100);
	CHECK_EQ(vm[0].breaks, 11);
	CHECK_EQ(vm[2].breaks, 0);
	ladder_break(vm, 3, UINT64_MAX, UINT64_MAX);
	CHECK_EQ(vm[0].breaks + vm[1].breaks + vm[2].breaks, 300);
	ladder_break(vm, 3, UINT64_MAX, 150);
	CHECK_EQ(vm[1].breaks, 100);
	CHECK_EQ(vm[0].breaks, 50);
	CHECK_EQ(vm[2].breaks, 0);
}

TEST("blocks that would give next to nothing stay whole")
{
	struct ladder_large vm[2] = {
		{.blocks = 100, .worth = 100 * BREAK_WORTH - 1, .has = 51200},
		{.blocks = 0, .worth = 50},
	};

	CHECK(!ladder_worth_breaking(&vm[0]));
	ladder_break(vm, 2, UINT64_MAX, UINT64_MAX);
	CHECK_EQ(vm[0].breaks + vm[1].breaks, 0);
	vm[0].worth++;
	ladder_break(vm, 2, UINT64_MAX, UINT64_MAX);
	CHECK_EQ(vm[0].breaks, 100);
	ladder_break(vm, 2, 0, UINT64_MAX);
	CHECK_EQ(vm[0].breaks, 0);
}

TEST("every reason has a name and a text")
{
	for (unsigned int i = 0; i < LADDER_WHY_END; i++) {
		CHECK(*ladder_why_name((enum ladder_why)i));
		CHECK(*ladder_why_text((enum ladder_why)i));
	}
	CHECK_STR(ladder_why_name(LADDER_WHY_END), "unknown");
}
