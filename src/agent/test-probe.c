/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/probe.h"

#include <string.h>
#include <unistd.h>

#include "agent/times.h"
#include "harness/harness.h"
#include "sys/memfd.h"
#include "wire/wire.h"

TEST("a probe writes for the first time each time, and the file never sees it")
{
	char page[PS_PAGE_SIZE], was[PS_PAGE_SIZE];
	struct probe p = {0};
	int fd = sys_memfd_new("probe", 2ull * PS_PAGE_SIZE);

	REQUIRE_OK(fd);
	memset(was, 0x5a, sizeof(was));
	REQUIRE_OK(sys_pwrite_full(fd, was, sizeof(was), PS_PAGE_SIZE));
	probe_open(&p, fd, 1);
	REQUIRE(p.page != NULL);
	for (int i = 0; i < 100; i++) {
		CHECK_GT(probe_write(&p), 0);
		CHECK_EQ(p.page[0], 1);
		CHECK_EQ(p.page[1], 0x5a); /* the kernel's copy of the file's page */
		was[2] = (char)i;
		REQUIRE_OK(sys_pwrite_full(fd, was, sizeof(was), PS_PAGE_SIZE));
		CHECK_GT(probe_write(&p), 0);
		CHECK_EQ(p.page[2], i); /* and a new one: the last was dropped */
	}
	REQUIRE_OK(sys_pread_full(fd, page, sizeof(page), PS_PAGE_SIZE));
	CHECK_MEM(page, was, sizeof(page));
	probe_close(&p);
	probe_close(&p);
	CHECK_EQ(probe_write(&p), 0);
	close(fd);
}

TEST("where it cannot be mapped there is no probe, and one that is opened again is the new one")
{
	struct probe p = {0};
	int fd = sys_memfd_new("probe", PS_PAGE_SIZE);

	probe_open(&p, -1, 0);
	CHECK(p.page == NULL);
	CHECK_EQ(probe_write(&p), 0);
	REQUIRE_OK(fd);
	probe_open(&p, fd, 0);
	probe_open(&p, fd, 0);
	CHECK_GT(probe_write(&p), 0);
	probe_close(&p);
	close(fd);
}

TEST("a bucket has what took less than its microseconds, and the last one all the rest")
{
	struct times t = {0};

	CHECK_EQ(times_bucket(0), 0);
	CHECK_EQ(times_bucket(999), 0);
	CHECK_EQ(times_bucket(1000), 1);
	CHECK_EQ(times_bucket(1999), 1);
	CHECK_EQ(times_bucket(2000), 2);
	CHECK_EQ(times_bucket(16383999), PS_LATENCY_BUCKETS - 2);
	CHECK_EQ(times_bucket(16384000), PS_LATENCY_BUCKETS - 1);
	CHECK_EQ(times_bucket(UINT64_MAX), PS_LATENCY_BUCKETS - 1);
	times_add(&t, 1500);
	times_add(&t, 1600);
	CHECK_EQ(t.count[1], 2);
	CHECK_EQ(t.sum_ns, 3100);
}
