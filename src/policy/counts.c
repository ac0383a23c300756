/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * counts: what an agent says that it has counted is memory of a process that may be hostile, and
 * changes under the reader's eyes. A reader of metrics takes a counter that shrinks for one that
 * began anew, and reckons a huge rate from it; a histogram whose buckets and sum do not belong
 * together gives negative means.
 *
 * Invariants
 *  - a counter never shrinks while its VM is known;
 *  - no counter is above COUNTS_MAX, no bucket above COUNTS_MAX_EVENTS, so that sums over VMs and
 *    buckets are what they say; counts_add() stops at the largest number all the same;
 *  - a sum of times is at least what the lower ends of its buckets say, and at most what the upper
 *    ends say, as far as there are any. Both grow with the buckets, so the sum does not shrink.
 *
 * An agent can still claim too much, once, of itself: these are its own VM's series.
 */
#include "policy/counts.h"

#include <stddef.h>

#define WORD(member) (offsetof(struct ps_agent_stats, member) / sizeof(uint64_t))

/* Of what is left out each is a quantity, a limit, a cause or a moment. */
static const uint16_t counters[] = {
	WORD(cpu_ns),	  WORD(pass),	     WORD(looked),    WORD(scanned),
	WORD(hinted),	  WORD(shares),	     WORD(zeroed),    WORD(unshares),
	WORD(discards),	  WORD(late_writes), WORD(faults),    WORD(brought_back),
	WORD(reshares),	  WORD(pin_forks),   WORD(batches),   WORD(stall_ns),
	WORD(sampled),	  WORD(touched),     WORD(stagings),  WORD(staged_back),
	WORD(twins),	  WORD(twinins),     WORD(zips),      WORD(unzips),
	WORD(swapouts),	  WORD(swapins),     WORD(out_zeros), WORD(out_discards),
	WORD(promotions), WORD(scanned_in),  WORD(wait_ns),   WORD(breaks),
	WORD(collapses),  WORD(swap_errors),
};

#define LATENCY_WORD WORD(latency)
#define LATENCY_WORDS (PS_TIERS * PS_LATENCY_BUCKETS)
#define REFUSED_WORD WORD(refused)

bool counts_is_counter(uint32_t word)
{
	for (uint32_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		if (counters[i] == word)
			return true;
	return (word >= LATENCY_WORD && word < LATENCY_WORD + LATENCY_WORDS) ||
	       (word >= REFUSED_WORD && word < REFUSED_WORD + PS_CAUSES_ROOM);
}

static void follow(uint64_t *seen, uint64_t *now, uint64_t most)
{
	if (*now > most)
		*now = most;
	if (*now < *seen)
		*now = *seen;
	*seen = *now;
}

void counts_follow(struct ps_agent_stats *seen, struct ps_agent_stats *now)
{
	uint64_t *of_seen = (uint64_t *)seen, *of_now = (uint64_t *)now;

	for (uint32_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		follow(&of_seen[counters[i]], &of_now[counters[i]], COUNTS_MAX);
	for (uint32_t i = LATENCY_WORD; i < LATENCY_WORD + LATENCY_WORDS; i++)
		follow(&of_seen[i], &of_now[i], COUNTS_MAX_EVENTS);
	for (uint32_t i = REFUSED_WORD; i < REFUSED_WORD + PS_CAUSES_ROOM; i++)
		follow(&of_seen[i], &of_now[i], COUNTS_MAX_EVENTS);
}

static void add_times(uint64_t *sum, uint64_t n, uint64_t ns)
{
	uint64_t all;

	counts_add(sum, __builtin_mul_overflow(n, ns, &all) ? UINT64_MAX : all);
}

void counts_follow_times(struct ps_times *seen, const uint64_t count[PS_LATENCY_BUCKETS],
			 uint64_t sum_ns)
{
	uint64_t least = 0, most = 0;

	for (uint32_t i = 0; i < PS_LATENCY_BUCKETS; i++) {
		uint64_t now = count[i];

		follow(&seen->count[i], &now, COUNTS_MAX_EVENTS);
		if (i)
			add_times(&least, now, 1000ull << (i - 1));
		if (i < PS_LATENCY_BUCKETS - 1)
			add_times(&most, now, 1000ull << i);
		else if (now)
			most = UINT64_MAX;
	}
	follow(&seen->sum_ns, &sum_ns, COUNTS_MAX);
	least = least < COUNTS_MAX ? least : COUNTS_MAX;
	if (seen->sum_ns > most)
		seen->sum_ns = most;
	if (seen->sum_ns < least)
		seen->sum_ns = least;
}

void counts_follow_all(struct counts *seen, const struct ps_agent_stats *stats,
		       const struct ps_agent_times *times)
{
	for (uint32_t i = 0; i < PS_TIERS; i++)
		counts_follow_times(&seen->page_in[i], stats->latency[i], times->page_in_ns[i]);
	for (uint32_t i = 0; i < PS_TIMED_END; i++)
		counts_follow_times(&seen->timed[i], times->timed[i].count, times->timed[i].sum_ns);
}

void counts_add(uint64_t *sum, uint64_t n)
{
	if (__builtin_add_overflow(*sum, n, sum))
		*sum = UINT64_MAX;
}
