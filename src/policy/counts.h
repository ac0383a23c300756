/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* counts: counters that an agent claims, made to grow and never to shrink. */
#ifndef PSHARE_POLICY_COUNTS_H
#define PSHARE_POLICY_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

#define COUNTS_MAX (1ull << 60) /* no counter is larger: sums of them do not overflow soon */
#define COUNTS_MAX_EVENTS \
	(1ull << 50) /* none of a bucket: exact as a double, and so is their sum */

/* What was read of one VM's counters, by how long things took. */
struct counts {
	struct ps_agent_stats stats; /* of it, the counters alone */
	struct ps_times page_in[PS_TIERS];
	struct ps_times timed[PS_TIMED_END];
};

/* Is the word at that place of struct ps_agent_stats a counter? */
bool counts_is_counter(uint32_t word);

/* now: a reading. Its counters become those of seen where they are below them, and COUNTS_MAX where
 * they are above that; seen has them from here on. */
void counts_follow(struct ps_agent_stats *seen, struct ps_agent_stats *now);

/* The same for times. The sum is kept to what the buckets leave possible. */
void counts_follow_times(struct ps_times *seen, const uint64_t count[PS_LATENCY_BUCKETS],
			 uint64_t sum_ns);

/* All that is timed, from one reading; stats as counts_follow() left it. */
void counts_follow_all(struct counts *seen, const struct ps_agent_stats *stats,
		       const struct ps_agent_times *times);

/* *sum += n, or the largest number. */
void counts_add(uint64_t *sum, uint64_t n);

#endif
