/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Three settings limit how fast pages are looked at (the meanings are ESX's); the smallest wins:
 *
 *	Mem.ShareScanTime	size / (minutes * 60)		the goal: a whole pass in that time
 *	Mem.ShareRateMax	pages/s				of one VM
 *	Mem.ShareScanGHz	MB/s * GHz * fair part		of the whole host (fair.h)
 *
 * Size is of memory that is there, not of what a VM could have: a pass is over what is there, and
 * a claim is nobody's cost.
 *
 * At ESX's defaults a GHz of CPU pays for 4 MB/s, 1024 pages/s; so a 64 GiB VM at 1024 pages/s
 * takes 4.55 hours, not one: that follows from the figures, and is left so.
 *
 * The bucket counts in 1e-9 pages, so a rate of 1 page/s loses nothing at any interval between
 * calls: ns * (pages/s) is exactly that unit. It holds no more than a burst: an agent that slept,
 * or a VM that was stopped, does not come back with an hour of work to catch up on. The burst is
 * never under a block, because a block is looked at whole or not at all.
 *
 * Rejected: a rate in pages per tick (rounds slow rates to nothing), and spreading by a sleep
 * after each block (drifts when the sleep is long, and a change of rate waits for its end).
 */
#include "policy/rate.h"

#define NS_PER_S 1000000000ull
#define PAGES_PER_MB 256u
#define MHZ_PER_GHZ 1000u
#define SECONDS_PER_MINUTE 60u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The VM's part of what the host's CPUs pay for. */
static uint64_t rate_of_host(const struct rate_input *in)
{
	unsigned __int128 all = (unsigned __int128)in->scan_ghz * PAGES_PER_MB * in->host_mhz;
	uint64_t budget = all / MHZ_PER_GHZ > UINT32_MAX ? UINT32_MAX :
							   (uint64_t)(all / MHZ_PER_GHZ);

	return fair_part(&in->pages, budget);
}

uint32_t rate_pages_per_second(const struct rate_input *in)
{
	uint64_t rate;

	if (!in->scan_ghz || !in->rate_max)
		return 0;
	rate = min_u64(in->rate_max, rate_of_host(in));
	if (in->scan_time) {
		uint64_t seconds = rate_pass_seconds(in->scan_time);

		rate = min_u64(rate, (in->pages.vm + seconds - 1) / seconds);
	}
	return rate ? rate : 1;
}

uint32_t rate_pass_seconds(uint32_t scan_time)
{
	return min_u64((uint64_t)scan_time * SECONDS_PER_MINUTE, UINT32_MAX);
}

/* The most that a bucket of that rate holds, in 1e-9 pages. At most 2^32 * 1e8: no overflow. */
static uint64_t bucket_cap(uint64_t rate)
{
	uint64_t burst = rate * RATE_BURST_NS;
	uint64_t block = RATE_BURST_PAGES * NS_PER_S;

	return burst > block ? burst : block;
}

/* What the bucket holds at time now. */
static uint64_t bucket_level(const struct rate_bucket *bucket, uint64_t now)
{
	uint64_t room = bucket_cap(bucket->rate) - bucket->level;
	uint64_t ns = now > bucket->last ? now - bucket->last : 0;

	if (!bucket->rate)
		return bucket->level;
	if (ns > room / bucket->rate)
		return bucket->level + room;
	return bucket->level + ns * bucket->rate;
}

static void bucket_settle(struct rate_bucket *bucket, uint64_t now)
{
	bucket->level = bucket_level(bucket, now);
	if (now > bucket->last)
		bucket->last = now;
}

void rate_init(struct rate_bucket *bucket, uint32_t rate, uint64_t now)
{
	*bucket = (struct rate_bucket){.rate = rate, .last = now};
}

void rate_set(struct rate_bucket *bucket, uint32_t rate, uint64_t now)
{
	bucket_settle(bucket, now);
	bucket->rate = rate;
	bucket->level = min_u64(bucket->level, bucket_cap(rate));
}

uint32_t rate_take(struct rate_bucket *bucket, uint64_t now, uint32_t want)
{
	uint64_t got;

	if (!bucket->rate)
		return 0;
	bucket_settle(bucket, now);
	got = min_u64(want, bucket->level / NS_PER_S);
	bucket->level -= got * NS_PER_S;
	return got;
}

void rate_give(struct rate_bucket *bucket, uint32_t pages)
{
	bucket->level = min_u64(bucket->level + pages * NS_PER_S, bucket_cap(bucket->rate));
}

uint64_t rate_wait(const struct rate_bucket *bucket, uint64_t now, uint32_t want)
{
	uint64_t level = bucket_level(bucket, now);
	uint64_t need = min_u64(want * NS_PER_S, bucket_cap(bucket->rate));

	if (!bucket->rate)
		return UINT64_MAX;
	if (level >= need)
		return 0;
	return (need - level + bucket->rate - 1) / bucket->rate;
}
