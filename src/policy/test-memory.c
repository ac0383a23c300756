/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every allocation of the daemon's books fails once, at every place: the call says so, changes
 * nothing, loses nothing, and the books go on afterwards. malloc() and its kin are wrapped by the
 * linker (--wrap), in this program alone.
 */
#include "harness/harness.h"
#include "policy/access.h"
#include "policy/frames.h"
#include "policy/index.h"
#include "policy/test-random.h"
#include "policy/vmmap.h"

#include <stdlib.h>

static unsigned long calls;   /* allocations so far */
static unsigned long fail_at; /* the one that fails, from 1; 0: none */
static bool fail_after;	      /* and all later ones */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void)
{
	calls++;
	return fail_at && (calls == fail_at || (fail_after && calls > fail_at));
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

/* Runs a story with the Nth allocation failing, for every N it has; then with all from N on. */
static void each_allocation(void (*story)(void))
{
	for (int after = 0; after <= 1; after++) {
		fail_at = 0;
		calls = 0;
		story();
		for (unsigned long n = 1, all = calls; n <= all; n++) {
			fail_at = n;
			fail_after = after;
			calls = 0;
			story();
		}
	}
	fail_at = 0;
}

static void frames_story(void)
{
	struct frames *frames = frames_new(64 * PS_BLOCK_PAGES, 64 * PS_BLOCK_PAGES);
	struct rng rng = {19};
	uint32_t frame, near = PS_FRAME_NONE, got = 0;

	if (!frames)
		return;
	for (int i = 0; i < 60; i++) {
		uint32_t page = rng_below(&rng, 30 * PS_BLOCK_PAGES);
		int r = frames_alloc(frames, 0, page, near, &frame);

		CHECK(!r || r == -ENOMEM);
		CHECK(frames_check(frames));
		if (r)
			continue;
		got++;
		near = rng_below(&rng, 2) ? frame : PS_FRAME_NONE;
	}
	CHECK_EQ(frames_stats(frames).filling, got);
	frame = 0;
	for (; frames_next(frames, FRAME_FILLING, &frame); frame++) {
		CHECK_OK(frames_begin_punch(frames, frame));
		CHECK_OK(frames_end_punch(frames, frame));
	}
	CHECK_EQ(frames_stats(frames).extents, 0u);
	CHECK(frames_check(frames));
	frames_free(frames);
}

TEST("frames: any allocation may fail, no frame is lost")
{
	each_allocation(frames_story);
}

static void vmmap_story(void)
{
	struct vmmap *map = vmmap_new();
	uint64_t set = 0;

	if (!map)
		return;
	for (uint32_t i = 0; i < 40; i++) {
		int r = vmmap_set(map, i * 6710886, VMMAP_PENDING, i);

		CHECK(!r || r == -ENOMEM);
		CHECK_EQ(vmmap_get(map, i * 6710886).state, r ? VMMAP_NONE : VMMAP_PENDING);
		CHECK(vmmap_check(map));
		set += !r;
	}
	CHECK_EQ(vmmap_pending(map), set);
	vmmap_free(map);
}

TEST("vmmap: any allocation may fail, no entry is half there")
{
	each_allocation(vmmap_story);
}

static void index_story(void)
{
	struct page_index *index = index_new(0, 3);
	struct index_entry had;
	struct rng rng = {20};
	uint64_t put = 0, cursor = 0;

	if (!index)
		return;
	for (uint32_t i = 0; i < 133000; i++) {
		int r = index_put_hint(index, rng_next(&rng), i % 2, i, &had);

		CHECK(!r || r == -ENOMEM);
		put += !r;
	}
	CHECK_LE(index_stats(index).hints, put);
	CHECK_GE(index_stats(index).hints + 10, put);
	CHECK(index_check(index));
	CHECK(index_sweep(index, 0, 0, UINT32_MAX, &cursor, UINT32_MAX));
	CHECK(index_check(index));
	index_free(index);
}

TEST("index: any allocation may fail, no entry is lost and no bucket is half split")
{
	each_allocation(index_story);
}

static void access_story(void)
{
	static const char text[] = "[meet a]\nuid=1,2,3,4,5,6,7,8,9\n[meet b]\nuid=10\n"
				   "[salt 00000001]\nuid=1,2\n";
	struct access_policy *policy = NULL;
	char err[POLICY_ERROR_MAX] = "";
	int r = access_parse(text, sizeof(text) - 1, &policy, err);

	if (r) {
		CHECK_EQ(r, -ENOMEM);
		CHECK_STR(err, "no memory for the policy");
		CHECK(!policy);
		return;
	}
	CHECK_EQ(access_uid_group(policy, 1, NULL), access_uid_group(policy, 9, NULL));
	access_free(policy);
}

TEST("access: any allocation may fail, no policy is half read")
{
	each_allocation(access_story);
}
