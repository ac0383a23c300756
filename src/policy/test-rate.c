/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/rate.h"
#include "policy/test-random.h"

#define SECOND 1000000000ull
#define GIB_PAGES 262144ull

/* ESX's defaults on a host with plenty of CPU. */
static struct rate_input defaults(uint64_t vm_pages)
{
	return (struct rate_input){
		.scan_time = 60,
		.scan_ghz = 4,
		.rate_max = 1024,
		.host_mhz = 100000,
		.pages = {.vm = vm_pages, .user = vm_pages, .all = vm_pages, .users = 1},
	};
}

TEST("the goal of time rules a small VM: its size over an hour, rounded up")
{
	struct rate_input in = defaults(GIB_PAGES);

	CHECK_EQ(rate_pages_per_second(&in), 73); /* 262144 / 3600 = 72.8 */
	CHECK_GE((uint64_t)rate_pages_per_second(&in) * 3600, GIB_PAGES);
}

TEST("Mem.ShareRateMax rules from 14.06 GiB on, and makes 64 GiB take 4.55 hours")
{
	struct rate_input in = defaults(1406 * GIB_PAGES / 100);

	CHECK_EQ(rate_pages_per_second(&in), 1024);
	in = defaults(64 * GIB_PAGES);
	CHECK_EQ(rate_pages_per_second(&in), 1024);
	CHECK_EQ(in.pages.vm / 1024 * 100 / 3600, 455);
}

TEST("Mem.ShareScanGHz 4 pays for 1024 pages a second with each GHz")
{
	struct rate_input in = defaults(64 * GIB_PAGES);

	in.rate_max = 32768;
	in.scan_time = 0;
	in.host_mhz = 1000;
	CHECK_EQ(rate_pages_per_second(&in), 1024);
	in.host_mhz = 2500;
	CHECK_EQ(rate_pages_per_second(&in), 2560);
	in.scan_ghz = 32;
	CHECK_EQ(rate_pages_per_second(&in), 20480);
}

TEST("the host's part is split over VMs by their size")
{
	struct rate_input in = defaults(GIB_PAGES);

	in.rate_max = 1u << 20;
	in.scan_time = 0;
	in.host_mhz = 8000; /* 8192 pages/s */
	in.pages.user = in.pages.all = 4 * GIB_PAGES;
	CHECK_EQ(rate_pages_per_second(&in), 2048);
	in.pages.vm = 3 * GIB_PAGES;
	CHECK_EQ(rate_pages_per_second(&in), 6144);
}

TEST("Mem.ShareScanTime 0 is no goal: as fast as the other two allow")
{
	struct rate_input in = defaults(1024);

	CHECK_EQ(rate_pages_per_second(&in), 1);
	in.scan_time = 0;
	CHECK_EQ(rate_pages_per_second(&in), 1024);
	CHECK_EQ(rate_pass_seconds(0), 0);
	CHECK_EQ(rate_pass_seconds(60), 3600);
}

TEST("0 in Mem.ShareScanGHz or Mem.ShareRateMax looks at nothing; anything else at something")
{
	struct rate_input in = defaults(GIB_PAGES);

	in.scan_ghz = 0;
	CHECK_EQ(rate_pages_per_second(&in), 0);
	in = defaults(GIB_PAGES);
	in.rate_max = 0;
	CHECK_EQ(rate_pages_per_second(&in), 0);
	in = defaults(0);
	CHECK_EQ(rate_pages_per_second(&in), 1);
	in = defaults(1);
	in.host_mhz = 1;
	in.pages.user = in.pages.all = UINT64_MAX;
	CHECK_EQ(rate_pages_per_second(&in), 1);
}

TEST("no figure overflows: the widest settings on the largest host stay within Mem.ShareRateMax")
{
	struct rate_input in = {
		.scan_ghz = 32,
		.rate_max = 4194304,
		.host_mhz = UINT32_MAX,
		.pages = {.vm = UINT64_MAX, .user = 1, .all = 1, .users = 1},
	};

	CHECK_EQ(rate_pages_per_second(&in), 4194304);
	in.scan_ghz = UINT32_MAX;
	in.rate_max = UINT32_MAX;
	CHECK_EQ(rate_pages_per_second(&in), UINT32_MAX);
}

TEST("a new bucket is empty and fills at its rate")
{
	struct rate_bucket bucket;

	rate_init(&bucket, 1000, 5 * SECOND);
	CHECK_EQ(rate_take(&bucket, 5 * SECOND, 100), 0);
	CHECK_EQ(rate_take(&bucket, 5 * SECOND + SECOND / 10, 1000), 100);
	CHECK_EQ(rate_take(&bucket, 5 * SECOND + SECOND / 10, 1000), 0);
	CHECK_EQ(rate_take(&bucket, 5 * SECOND + SECOND / 5, 30), 30);
	CHECK_EQ(rate_take(&bucket, 5 * SECOND + SECOND / 5, 1000), 70);
}

TEST("a bucket holds a block, or what its rate gives in a tenth of a second")
{
	struct rate_bucket slow, fast;

	rate_init(&slow, 10, 0);
	rate_init(&fast, 100000, 0);
	CHECK_EQ(rate_take(&slow, UINT64_MAX, UINT32_MAX), RATE_BURST_PAGES);
	CHECK_EQ(rate_take(&fast, UINT64_MAX, UINT32_MAX), 10000);
}

TEST("over any stretch a bucket gives rate * time, however it is asked")
{
	static const uint32_t rates[] = {1, 36, 1024, 999983, 4194304, UINT32_MAX};
	struct rng rng = {2};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		uint64_t cap = rates[i] / 10 > RATE_BURST_PAGES ? rates[i] / 10 : RATE_BURST_PAGES;
		uint64_t now = 0, got = 0, ideal;
		struct rate_bucket bucket;

		rate_init(&bucket, rates[i], now);
		for (int n = 0; n < 20000; n++) {
			uint64_t fills = (cap - 1) * SECOND / rates[i]; /* never quite full */

			now += rng_below(&rng, fills);
			got += rate_take(&bucket, now, UINT32_MAX);
		}
		ideal = (unsigned __int128)now * rates[i] / SECOND;
		CHECK_LE(got, ideal);
		CHECK_LE(ideal - got, 1);
	}
}

TEST("waiting as long as told is just long enough")
{
	static const uint32_t rates[] = {1, 7, 1024, 999983, 4194304};
	struct rng rng = {3};

	for (int n = 0; n < 20000; n++) {
		uint32_t rate = rates[rng_below(&rng, sizeof(rates) / sizeof(rates[0]))];
		uint32_t want = 1 + rng_below(&rng, RATE_BURST_PAGES);
		uint64_t now = rng_below(&rng, 1000 * SECOND), wait;
		struct rate_bucket bucket;

		rate_init(&bucket, rate, 0);
		rate_take(&bucket, now, UINT32_MAX);
		wait = rate_wait(&bucket, now, want);
		if (wait > 1) {
			struct rate_bucket early = bucket;

			CHECK_LT(rate_take(&early, now + wait - 1, want), want);
		}
		CHECK_EQ(rate_take(&bucket, now + wait, want), want);
	}
}

TEST("waiting for more than a bucket can hold ends when it is full")
{
	struct rate_bucket bucket;

	rate_init(&bucket, 512, 0);
	CHECK_EQ(rate_wait(&bucket, 0, UINT32_MAX), SECOND);
	CHECK_EQ(rate_wait(&bucket, SECOND, UINT32_MAX), 0);
}

TEST("rate 0 gives nothing, ever, and a rate set later counts from then")
{
	struct rate_bucket bucket;

	rate_init(&bucket, 0, 0);
	CHECK_EQ(rate_take(&bucket, 100 * SECOND, 1), 0);
	CHECK_EQ(rate_wait(&bucket, 100 * SECOND, 1), UINT64_MAX);
	rate_set(&bucket, 1000, 100 * SECOND);
	CHECK_EQ(rate_take(&bucket, 100 * SECOND, 1), 0);
	CHECK_EQ(rate_take(&bucket, 100 * SECOND + SECOND / 100, 100), 10);
}

TEST("a new rate keeps what was saved up, within its own cap")
{
	struct rate_bucket bucket;

	rate_init(&bucket, 100000, 0);
	rate_set(&bucket, 1000, SECOND); /* 10000 saved up, cap now 512 */
	CHECK_EQ(rate_take(&bucket, SECOND, UINT32_MAX), 512);
	rate_set(&bucket, 1000, 2 * SECOND);
	rate_set(&bucket, 100000, 2 * SECOND);
	CHECK_EQ(rate_take(&bucket, 2 * SECOND, UINT32_MAX), 512);
}

TEST("pages given back can be taken again, but never more than the cap")
{
	struct rate_bucket bucket;

	rate_init(&bucket, 1000, 0);
	CHECK_EQ(rate_take(&bucket, SECOND, UINT32_MAX), 512);
	rate_give(&bucket, 200);
	CHECK_EQ(rate_take(&bucket, SECOND, UINT32_MAX), 200);
	rate_give(&bucket, UINT32_MAX);
	CHECK_EQ(rate_take(&bucket, SECOND, UINT32_MAX), 512);
}

TEST("a clock that steps back gives nothing and takes nothing")
{
	struct rate_bucket bucket;

	rate_init(&bucket, 1000, 10 * SECOND);
	CHECK_EQ(rate_take(&bucket, 9 * SECOND, 10), 0);
	CHECK_EQ(rate_take(&bucket, 10 * SECOND + SECOND / 100, 100), 10);
	CHECK_EQ(rate_take(&bucket, 10 * SECOND, 100), 0);
	CHECK_EQ(rate_take(&bucket, 10 * SECOND + SECOND / 50, 100), 10);
}
