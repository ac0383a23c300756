/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"

#include "policy/headroom.h"
#include "wire/wire.h"

#define MIB (1ull << 20)
#define PAGES(mib) ((mib)*MIB / PS_PAGE_SIZE)

TEST("without a limit the quarantine has what room it has")
{
	CHECK_EQ(headroom_quarantine(&(struct headroom){.limit = UINT64_MAX}), UINT32_MAX);
}

TEST("half of what is left beyond all that the guest may need")
{
	struct headroom h = {.limit = 320 * MIB, .used = 260 * MIB, .size = PAGES(256)};

	h.own = PAGES(256);
	CHECK_EQ(headroom_quarantine(&h), PAGES(30));
	/* 20 MiB were taken out: charged as before, but the guest may write them anew */
	h.own = PAGES(236);
	h.quarantined = PAGES(20);
	CHECK_EQ(headroom_quarantine(&h), PAGES(30));
	/* they were given back */
	h.used = 240 * MIB;
	h.quarantined = 0;
	CHECK_EQ(headroom_quarantine(&h), PAGES(30));
}

TEST("whatever the guest writes, guest and quarantine stay below the limit")
{
	for (uint64_t limit = 260; limit < 700; limit += 7)
		for (uint64_t own = 0; own <= 256; own += 16) {
			uint64_t others = 3; /* of the VMM */
			struct headroom h = {.limit = limit * MIB,
					     .used = (own + others) * MIB,
					     .size = PAGES(256),
					     .own = PAGES(own)};
			uint64_t q = headroom_quarantine(&h);

			CHECK_LE(PAGES(256 + others) + q, PAGES(limit));
		}
}

TEST("where the limit is below the guest's size, a sixteenth of what is free")
{
	struct headroom h = {.limit = 128 * MIB, .used = 64 * MIB, .size = PAGES(256)};

	h.own = PAGES(60);
	CHECK_EQ(headroom_quarantine(&h), PAGES(4));
	h.used = 128 * MIB;
	CHECK_EQ(headroom_quarantine(&h), 0);
	h.used = 300 * MIB;
	CHECK_EQ(headroom_quarantine(&h), 0);
}

TEST("of what a group of several VMs lacks each gives its part, and all of it comes together")
{
	CHECK_EQ(headroom_part(1000, 100, 100), 100);
	CHECK_EQ(headroom_part(40, 100, 100), 40);
	CHECK_EQ(headroom_part(40, 100, 400), 10);
	CHECK_EQ(headroom_part(41, 100, 400), 11);
	CHECK_EQ(headroom_part(0, 100, 400), 0);
	CHECK_EQ(headroom_part(40, 0, 400), 0);
	CHECK_EQ(headroom_part(40, 0, 0), 0);
	for (uint64_t lacks = 1; lacks < 5000; lacks += 37) {
		uint64_t has[] = {7, 1000, 333, 2048}, sum = 0;

		for (size_t i = 0; i < 4; i++)
			sum += headroom_part(lacks, has[i], 3388);
		CHECK_GE(sum, lacks < 3388 ? lacks : 3388);
		CHECK_LE(sum, lacks + 4);
	}
}
