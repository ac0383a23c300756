/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rate: how many pages a second are looked at, and a token bucket that keeps to it.
 * Allocates nothing; time is the caller's, in ns of any clock that does not run backwards.
 */
#ifndef PSHARE_POLICY_RATE_H
#define PSHARE_POLICY_RATE_H

#include <stdint.h>

#include "policy/fair.h"

#define RATE_BURST_PAGES 512u	   /* a bucket holds at least a block, the unit of work ... */
#define RATE_BURST_NS 100000000ull /* ... or what its rate gives in this time, if that is more */

struct rate_input {
	uint32_t scan_time; /* Mem.ShareScanTime, minutes; 0: no goal of time */
	uint32_t scan_ghz;  /* Mem.ShareScanGHz, MB/s per GHz of host CPU; 0: none */
	uint32_t rate_max;  /* Mem.ShareRateMax, pages/s; 0: none */
	uint64_t host_mhz;  /* of all CPUs together */
	struct fair pages;  /* of this VM, of its user's, of all that share the host's part */
};

/* Pages a second for that VM; 0: none at all. At least 1 otherwise. */
uint32_t rate_pages_per_second(const struct rate_input *in);

/* Seconds that a pass over all memory is not to take less than: 0 if no goal of time is set. */
uint32_t rate_pass_seconds(uint32_t scan_time);

struct rate_bucket {
	uint64_t rate;	/* pages a second */
	uint64_t level; /* 1e-9 pages */
	uint64_t last;	/* ns */
};

/* A bucket that is empty at time now. */
void rate_init(struct rate_bucket *bucket, uint32_t rate, uint64_t now);
/* A new rate from now on; what has been saved up stays, up to the new cap. */
void rate_set(struct rate_bucket *bucket, uint32_t rate, uint64_t now);
/* Takes up to want pages; returns how many may be looked at now. */
uint32_t rate_take(struct rate_bucket *bucket, uint64_t now, uint32_t want);
/* Gives back pages taken but not looked at. */
void rate_give(struct rate_bucket *bucket, uint32_t pages);
/* ns until want pages (at most the cap) are there; 0: now; UINT64_MAX: never (rate 0). */
uint64_t rate_wait(const struct rate_bucket *bucket, uint64_t now, uint32_t want);

#endif
