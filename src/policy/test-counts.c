/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/counts.h"
#include "policy/test-random.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define WORDS (sizeof(struct ps_agent_stats) / sizeof(uint64_t))

TEST("of what an agent claims counters never shrink, however it writes, and the rest is as claimed")
{
	struct ps_agent_stats *seen = calloc(1, sizeof(*seen)), *now = calloc(1, sizeof(*now));
	uint64_t last[WORDS] = {0}, claimed[WORDS];
	struct rng rng = {7};

	for (int round = 0; round < 200; round++) {
		uint64_t *words = (uint64_t *)now;

		for (uint32_t i = 0; i < WORDS; i++)
			claimed[i] = words[i] = rng_next(&rng) >> rng_below(&rng, 64);
		counts_follow(seen, now);
		for (uint32_t i = 0; i < WORDS; i++) {
			if (!counts_is_counter(i)) {
				CHECK_EQ(words[i], claimed[i]);
				continue;
			}
			CHECK_GE(words[i], last[i]);
			CHECK_LE(words[i], COUNTS_MAX);
			last[i] = words[i];
		}
	}
	free(seen);
	free(now);
}

TEST("an honest agent's counters are what it says")
{
	struct ps_agent_stats seen = {0}, now = {.scanned = 7, .latency[2][3] = 9, .zero = 5};

	counts_follow(&seen, &now);
	CHECK_EQ(now.scanned, 7);
	CHECK_EQ(now.latency[2][3], 9);
	now.scanned = 8;
	now.zero = 4;
	counts_follow(&seen, &now);
	CHECK_EQ(now.scanned, 8);
	CHECK_EQ(now.zero, 4);
	CHECK(!counts_is_counter(offsetof(struct ps_agent_stats, zero) / 8));
}

TEST("a sum of times is within what its buckets leave possible, and an honest one is untouched")
{
	struct ps_times seen = {0};
	uint64_t count[PS_LATENCY_BUCKETS] = {[0] = 2, [3] = 1}; /* below 1 us; 4 to 8 us */

	counts_follow_times(&seen, count, 6500);
	CHECK_EQ(seen.sum_ns, 6500);
	counts_follow_times(&seen, count, UINT64_MAX);
	CHECK_EQ(seen.sum_ns, 2 * 1000 + 8000);
	counts_follow_times(&seen, count, 0);
	CHECK_EQ(seen.sum_ns, 2 * 1000 + 8000);
	seen = (struct ps_times){0};
	counts_follow_times(&seen, count, 0); /* an agent that tells no sums */
	CHECK_EQ(seen.sum_ns, 4000);
}

TEST("times never shrink, and neither buckets nor their sum overflow, whatever is claimed")
{
	struct ps_times seen = {0}, last = {0};
	struct rng rng = {11};

	for (int round = 0; round < 2000; round++) {
		uint64_t count[PS_LATENCY_BUCKETS], all = 0;

		for (uint32_t i = 0; i < PS_LATENCY_BUCKETS; i++)
			count[i] = rng_next(&rng) >> rng_below(&rng, 64);
		counts_follow_times(&seen, count, rng_next(&rng) >> (round % 64));
		CHECK_GE(seen.sum_ns, last.sum_ns);
		for (uint32_t i = 0; i < PS_LATENCY_BUCKETS; i++) {
			CHECK_GE(seen.count[i], last.count[i]);
			all += seen.count[i];
		}
		CHECK_LE(all, PS_LATENCY_BUCKETS * COUNTS_MAX_EVENTS);
		last = seen;
	}
}

TEST("a sum stops at the largest number")
{
	uint64_t sum = UINT64_MAX - 2;

	counts_add(&sum, 1);
	CHECK_EQ(sum, UINT64_MAX - 1);
	counts_add(&sum, 2);
	CHECK_EQ(sum, UINT64_MAX);
}
