/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/memstate.h"
#include "policy/test-random.h"

#define MB (1024ull * 1024)

/* As it is by default, without the brake. */
static enum memstate step(enum memstate state, uint64_t free, uint64_t min_free)
{
	struct memstate_input in = {free, min_free, false};
	struct memstate_levels levels;

	memstate_levels_default(&levels);
	return memstate_step(state, &in, &levels);
}

TEST("the sliding scale gives what ESX's screens and documents show")
{
	CHECK_EQ(memstate_min_free(96 * 1024 * MB, 0) * 10 / MB, 15974); /* 1597.4 MB */
	CHECK_EQ(memstate_min_free(32510 * MB, 0) / MB, 939);
	CHECK_EQ(memstate_min_free(65073 * MB, 0) / MB, 1265);
}

TEST("each piece of the scale counts once, at its own percentage")
{
	CHECK_EQ(memstate_min_free(0, 0), 0);
	CHECK_EQ(memstate_min_free(100 * MB, 0), 6 * MB);
	CHECK_EQ(memstate_min_free(4096 * MB, 0) * 100 / MB, 24575);	      /* 245.76 */
	CHECK_EQ(memstate_min_free(12288 * MB, 0) * 100 / MB, 24576 + 32767); /* + 327.68 */
	CHECK_EQ(memstate_min_free(28672 * MB, 0) * 100 / MB, 24576 + 32768 + 32767);
}

TEST("the scale grows with memory and never passes it")
{
	struct rng rng = {1};

	for (int i = 0; i < 10000; i++) {
		uint64_t a = rng_next(&rng) >> rng_below(&rng, 60);
		uint64_t b = a + (rng_next(&rng) >> 20);

		CHECK_LE(memstate_min_free(a, 0), a);
		if (b > a)
			CHECK_LE(memstate_min_free(a, 0), memstate_min_free(b, 0));
	}
}

TEST("a fixed percentage replaces the scale, and is held to 50")
{
	CHECK_EQ(memstate_min_free(1000 * MB, 10), 100 * MB);
	CHECK_EQ(memstate_min_free(1000 * MB, 50), 500 * MB);
	CHECK_EQ(memstate_min_free(1000 * MB, 51), 500 * MB);
	CHECK_EQ(memstate_min_free(1000 * MB, UINT32_MAX), 500 * MB);
}

TEST("a state is entered under its own threshold and left at that of the state above")
{
	static const struct {
		enum memstate from, to;
		unsigned int percent;
	} steps[] = {
		{MEMSTATE_HIGH, MEMSTATE_HIGH, 100},   {MEMSTATE_HIGH, MEMSTATE_CLEAR, 99},
		{MEMSTATE_CLEAR, MEMSTATE_CLEAR, 399}, {MEMSTATE_CLEAR, MEMSTATE_HIGH, 400},
		{MEMSTATE_CLEAR, MEMSTATE_CLEAR, 64},  {MEMSTATE_CLEAR, MEMSTATE_SOFT, 63},
		{MEMSTATE_SOFT, MEMSTATE_SOFT, 99},    {MEMSTATE_SOFT, MEMSTATE_CLEAR, 100},
		{MEMSTATE_SOFT, MEMSTATE_SOFT, 32},    {MEMSTATE_SOFT, MEMSTATE_HARD, 31},
		{MEMSTATE_HARD, MEMSTATE_HARD, 63},    {MEMSTATE_HARD, MEMSTATE_SOFT, 64},
		{MEMSTATE_HARD, MEMSTATE_HARD, 16},    {MEMSTATE_HARD, MEMSTATE_LOW, 15},
		{MEMSTATE_LOW, MEMSTATE_LOW, 31},      {MEMSTATE_LOW, MEMSTATE_HARD, 32},
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		CHECK_EQ(step(steps[i].from, steps[i].percent * MB, 100 * MB), steps[i].to);
}

TEST("both public screens are right: high at 186 % coming down, clear at 255 % going up")
{
	CHECK_EQ(step(MEMSTATE_HIGH, 186, 100), MEMSTATE_HIGH);
	CHECK_EQ(step(MEMSTATE_CLEAR, 255, 100), MEMSTATE_CLEAR);
}

TEST("a jump of free memory moves one step at a time, through every state, both ways")
{
	enum memstate state = MEMSTATE_HIGH;

	for (int want = MEMSTATE_CLEAR; want <= MEMSTATE_LOW; want++) {
		state = step(state, 0, 100 * MB);
		CHECK_EQ(state, want);
	}
	CHECK_EQ(step(state, 0, 100 * MB), MEMSTATE_LOW);
	for (int want = MEMSTATE_HARD; want >= MEMSTATE_HIGH; want--) {
		state = step(state, 1000 * MB, 100 * MB);
		CHECK_EQ(state, want);
	}
	CHECK_EQ(step(state, 1000 * MB, 100 * MB), MEMSTATE_HIGH);
}

TEST("free memory that stands still never moves a state back and forth")
{
	for (uint64_t percent = 0; percent < 500; percent++) {
		for (int from = MEMSTATE_HIGH; from <= MEMSTATE_LOW; from++) {
			enum memstate state = from, next;

			for (int i = 0; i < MEMSTATE_END; i++)
				state = step(state, percent * MB, 100 * MB);
			next = step(state, percent * MB, 100 * MB);
			CHECK_EQ(next, state);
		}
	}
}

TEST("states have the names that ESX shows, and a wrong number has one too")
{
	CHECK_STR(memstate_name(MEMSTATE_HIGH), "high");
	CHECK_STR(memstate_name(MEMSTATE_CLEAR), "clear");
	CHECK_STR(memstate_name(MEMSTATE_SOFT), "soft");
	CHECK_STR(memstate_name(MEMSTATE_HARD), "hard");
	CHECK_STR(memstate_name(MEMSTATE_LOW), "low");
	CHECK_STR(memstate_name(MEMSTATE_END), "unknown");
	CHECK_EQ(memstate_threshold(MEMSTATE_END), 0);
	CHECK_EQ(step(MEMSTATE_END, 1, 1), MEMSTATE_HIGH);
}

TEST("thresholds are settings: each has to be below the one of the state above")
{
	struct memstate_levels levels = {{300, 90, 50, 20, 10}};
	struct memstate_input in = {89 * MB, 100 * MB, false};

	CHECK_EQ(memstate_levels_wrong(&levels), MEMSTATE_END);
	CHECK_EQ(memstate_step(MEMSTATE_HIGH, &in, &levels), MEMSTATE_CLEAR);
	in.free = 90 * MB;
	CHECK_EQ(memstate_step(MEMSTATE_HIGH, &in, &levels), MEMSTATE_HIGH);
	in.free = 300 * MB;
	CHECK_EQ(memstate_step(MEMSTATE_CLEAR, &in, &levels), MEMSTATE_HIGH);
	levels.pct[MEMSTATE_HARD] = 50;
	CHECK_EQ(memstate_levels_wrong(&levels), MEMSTATE_HARD);
	levels.pct[MEMSTATE_CLEAR] = 400;
	CHECK_EQ(memstate_levels_wrong(&levels), MEMSTATE_CLEAR);
	memstate_levels_default(&levels);
	CHECK_EQ(memstate_levels_wrong(&levels), MEMSTATE_END);
}

TEST("while tasks stall for memory no better state is believed, and a worse one still is")
{
	struct memstate_input in = {1000 * MB, 100 * MB, true};
	struct memstate_levels levels;

	memstate_levels_default(&levels);
	for (enum memstate from = MEMSTATE_HIGH; from < MEMSTATE_END; from++)
		CHECK_EQ(memstate_step(from, &in, &levels), from);
	in.free = 0;
	CHECK_EQ(memstate_step(MEMSTATE_SOFT, &in, &levels), MEMSTATE_HARD);
}

TEST("a part of minFree never overflows")
{
	CHECK_EQ(memstate_part(100 * MB, 64), 64 * MB);
	CHECK_EQ(memstate_part(3, 50), 1);
	CHECK_EQ(memstate_part(1ull << 60, 1000), 10ull << 60);
}
