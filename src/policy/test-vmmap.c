/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/frames.h"
#include "policy/test-random.h"
#include "policy/vmmap.h"

#include <stdlib.h>

TEST("a page has no entry until one is set, and none after it was cleared")
{
	struct vmmap *map = vmmap_new();
	struct vmmap_entry e;

	CHECK_EQ(vmmap_get(map, 5).state, VMMAP_NONE);
	CHECK_EQ(vmmap_get(map, 5).frame, PS_FRAME_NONE);
	CHECK_OK(vmmap_set(map, 5, VMMAP_PENDING, 0));
	e = vmmap_get(map, 5);
	CHECK_EQ(e.state, VMMAP_PENDING);
	CHECK_EQ(e.frame, 0u);
	e = vmmap_clear(map, 5);
	CHECK_EQ(e.state, VMMAP_PENDING);
	CHECK_EQ(e.frame, 0u);
	CHECK_EQ(vmmap_clear(map, 5).state, VMMAP_NONE);
	CHECK_EQ(vmmap_get(map, 5).state, VMMAP_NONE);
	vmmap_free(map);
}

TEST("pending becomes mapped for the same frame only; nothing else is overwritten")
{
	struct vmmap *map = vmmap_new();

	CHECK_OK(vmmap_set(map, 9, VMMAP_PENDING, 7));
	CHECK_EQ(vmmap_set(map, 9, VMMAP_PENDING, 7), -EEXIST);
	CHECK_EQ(vmmap_set(map, 9, VMMAP_MAPPED, 8), -EEXIST);
	CHECK_EQ(vmmap_pending(map), 1u);
	CHECK_OK(vmmap_set(map, 9, VMMAP_MAPPED, 7));
	CHECK_EQ(vmmap_pending(map), 0u);
	CHECK_EQ(vmmap_mapped(map), 1u);
	CHECK_EQ(vmmap_set(map, 9, VMMAP_MAPPED, 7), -EEXIST);
	CHECK_EQ(vmmap_set(map, 9, VMMAP_PENDING, 7), -EEXIST);
	vmmap_free(map);
}

TEST("numbers out of range have no entry and get none")
{
	struct vmmap *map = vmmap_new();
	uint64_t bytes = vmmap_bytes(map);

	CHECK_EQ(vmmap_set(map, PS_PAGES_MAX, VMMAP_MAPPED, 1), -EINVAL);
	CHECK_EQ(vmmap_set(map, UINT32_MAX, VMMAP_MAPPED, 1), -EINVAL);
	CHECK_EQ(vmmap_set(map, 1, VMMAP_MAPPED, PS_FRAMES_MAX), -EINVAL);
	CHECK_EQ(vmmap_set(map, 1, VMMAP_MAPPED, PS_FRAME_NONE), -EINVAL);
	CHECK_EQ(vmmap_set(map, 1, VMMAP_NONE, 1), -EINVAL);
	CHECK_EQ(vmmap_set(map, 1, 3, 1), -EINVAL);
	CHECK_EQ(vmmap_get(map, PS_PAGES_MAX).state, VMMAP_NONE);
	CHECK_EQ(vmmap_get(map, UINT32_MAX).state, VMMAP_NONE);
	CHECK_EQ(vmmap_clear(map, UINT32_MAX).state, VMMAP_NONE);
	CHECK_EQ(vmmap_bytes(map), bytes);
	CHECK_OK(vmmap_set(map, PS_PAGES_MAX - 1, VMMAP_MAPPED, PS_FRAMES_MAX - 1));
	CHECK_EQ(vmmap_get(map, PS_PAGES_MAX - 1).frame, PS_FRAMES_MAX - 1);
	CHECK(vmmap_check(map));
	vmmap_free(map);
}

TEST("a map that is empty again is as small as a new one")
{
	struct vmmap *map = vmmap_new();
	uint64_t bytes = vmmap_bytes(map);

	for (uint32_t i = 0; i < 1000; i++)
		CHECK_OK(vmmap_set(map, i * 268435, VMMAP_PENDING, i));
	CHECK(vmmap_check(map));
	for (uint32_t i = 0; i < 1000; i++)
		CHECK_EQ(vmmap_clear(map, i * 268435).frame, i);
	CHECK_EQ(vmmap_bytes(map), bytes);
	CHECK(vmmap_check(map));
	vmmap_free(map);
	CHECK(!vmmap_free(NULL));
}

TEST("a full block costs 4 bytes a page and a little")
{
	struct vmmap *map = vmmap_new();
	uint64_t bytes = vmmap_bytes(map);

	for (uint32_t page = 0; page < 512 * 100; page++)
		CHECK_OK(vmmap_set(map, page, VMMAP_MAPPED, page));
	CHECK_LT(vmmap_bytes(map) - bytes, 512u * 100 * 43 / 10);
	vmmap_free(map);
}

TEST("entries are walked in order, and may be cleared while they are")
{
	struct vmmap *map = vmmap_new();
	struct vmmap_entry e;
	uint32_t page, n = 0;

	for (uint32_t i = 0; i < 5000; i++)
		CHECK_OK(vmmap_set(map, i * 53687, VMMAP_MAPPED, i));
	for (page = 0; vmmap_next(map, &page, &e); page++, n++) {
		CHECK_EQ(page, n * 53687);
		CHECK_EQ(e.frame, n);
		vmmap_clear(map, page);
	}
	CHECK_EQ(n, 5000u);
	CHECK_EQ(vmmap_mapped(map), 0u);
	page = UINT32_MAX;
	CHECK(!vmmap_next(map, &page, &e));
	vmmap_free(map);
}

TEST("the last page there can be is walked to, and the walk ends")
{
	struct vmmap *map = vmmap_new();
	struct vmmap_entry e;
	uint32_t page = 0;

	CHECK_OK(vmmap_set(map, PS_PAGES_MAX - 1, VMMAP_MAPPED, 3));
	CHECK(vmmap_next(map, &page, &e));
	CHECK_EQ(page, PS_PAGES_MAX - 1);
	page++;
	CHECK(!vmmap_next(map, &page, &e));
	vmmap_free(map);
}

TEST("saved over all VMs is shared less common")
{
	struct frames *frames = frames_new(1u << 16, 1u << 16);
	struct vmmap *maps[4];
	struct frames_stats s;
	struct rng rng = {12};
	uint32_t frame[500];
	double saved = 0;

	for (uint32_t i = 0; i < 500; i++) {
		REQUIRE_OK(frames_alloc(frames, 0, i, PS_FRAME_NONE, &frame[i]));
		REQUIRE_OK(frames_set_live(frames, frame[i], i));
	}
	for (int vm = 0; vm < 4; vm++) {
		maps[vm] = vmmap_new();
		for (uint32_t page = 0; page < 2000; page++) {
			/* each frame once at least, then at random */
			uint32_t i = vm || page >= 500 ? rng_below(&rng, 500) : page;

			REQUIRE_OK(frames_ref(frames, frame[i]));
			REQUIRE_OK(vmmap_set(maps[vm], page, VMMAP_MAPPED, frame[i]));
		}
	}
	for (int vm = 0; vm < 4; vm++) {
		saved += vmmap_saved(maps[vm], frames);
		vmmap_free(maps[vm]);
	}
	s = frames_stats(frames);
	CHECK_EQ(s.refs, 8000u);
	CHECK_EQ(s.live, 500u);
	CHECK_LT(saved - (double)(s.refs - s.live), 0.001);
	CHECK_GT(saved - (double)(s.refs - s.live), -0.001);
	frames_free(frames);
}

TEST("a hint's note is no frame: it is replaced by a note, and by nothing else")
{
	struct vmmap *map = vmmap_new();

	CHECK_OK(vmmap_hint(map, 5, 0));
	CHECK_OK(vmmap_hint(map, 5, (1u << VMMAP_NOTE_BITS) - 1));
	CHECK_EQ(vmmap_get(map, 5).frame, (1u << VMMAP_NOTE_BITS) - 1);
	CHECK_EQ(vmmap_hint(map, 5, 1u << VMMAP_NOTE_BITS), -EINVAL);
	CHECK_EQ(vmmap_hint(map, PS_PAGES_MAX, 1), -EINVAL);
	CHECK_EQ(vmmap_set(map, 5, VMMAP_PENDING, 1), -EEXIST);
	CHECK_EQ(vmmap_hinted(map), 1u);
	CHECK_OK(vmmap_set(map, 6, VMMAP_PENDING, 1));
	CHECK_EQ(vmmap_hint(map, 6, 1), -EEXIST);
	CHECK(vmmap_check(map));
	CHECK_EQ(vmmap_clear(map, 5).state, VMMAP_HINTED);
	CHECK_EQ(vmmap_hinted(map), 0u);
	CHECK(vmmap_check(map));
	vmmap_free(map);
}

TEST("the sum of what is saved may be counted in steps")
{
	struct frames *frames = frames_new(512, 512);
	struct vmmap *map = vmmap_new();
	uint32_t f, page = 0, steps = 0, budget = 100;
	double sum = 0;

	REQUIRE_OK(frames_alloc(frames, 0, 0, PS_FRAME_NONE, &f));
	REQUIRE_OK(frames_set_live(frames, f, 1));
	for (uint32_t i = 0; i < 1000; i++) {
		REQUIRE_OK(frames_ref(frames, f));
		REQUIRE_OK(vmmap_set(map, i * 7, VMMAP_MAPPED, f));
		REQUIRE_OK(vmmap_hint(map, i * 7 + 1, i));
	}
	for (; !vmmap_saved_step(map, frames, &page, &sum, &budget); steps++, budget = 100)
		CHECK_EQ(budget, 0u);
	CHECK_EQ(steps, 19u);
	CHECK(sum > 998.99 && sum < 999.01);
	vmmap_free(map);
	frames_free(frames);
}

TEST("what is only promised, and a frame with one user, save nothing")
{
	struct frames *frames = frames_new(512, 512);
	struct vmmap *map = vmmap_new();
	uint32_t f;

	REQUIRE_OK(frames_alloc(frames, 0, 0, PS_FRAME_NONE, &f));
	REQUIRE_OK(frames_set_live(frames, f, 1));
	REQUIRE_OK(frames_ref(frames, f));
	REQUIRE_OK(vmmap_set(map, 1, VMMAP_MAPPED, f));
	CHECK_EQ(vmmap_saved(map, frames), 0);
	REQUIRE_OK(frames_ref(frames, f));
	REQUIRE_OK(vmmap_set(map, 2, VMMAP_PENDING, f));
	CHECK_EQ(vmmap_saved(map, frames), 0.5);
	vmmap_free(map);
	frames_free(frames);
}

TEST("300000 random calls agree with a model of every page")
{
	enum { PAGES = 4000, STRIDE = 60001 };
	struct vmmap_entry *model = calloc(PAGES, sizeof(*model));
	struct vmmap *map = vmmap_new();
	struct rng rng = {13};
	uint64_t count[3] = {PAGES};

	for (int i = 0; i < 300000; i++) {
		uint32_t p = rng_below(&rng, PAGES), frame = rng_below(&rng, 3);
		struct vmmap_entry *m = &model[p], got;

		if (rng_below(&rng, 2)) {
			enum vmmap_state state = 1 + rng_below(&rng, 2);
			bool may = !m->state || (m->state == VMMAP_PENDING &&
						 state == VMMAP_MAPPED && m->frame == frame);

			CHECK_EQ(vmmap_set(map, p * STRIDE, state, frame), may ? 0 : -EEXIST);
			if (may) {
				count[m->state]--;
				count[state]++;
				*m = (struct vmmap_entry){state, frame};
			}
		} else {
			got = vmmap_clear(map, p * STRIDE);
			CHECK_EQ(got.state, m->state);
			if (m->state)
				CHECK_EQ(got.frame, m->frame);
			count[m->state]--;
			count[VMMAP_NONE]++;
			*m = (struct vmmap_entry){VMMAP_NONE, 0};
		}
		CHECK_EQ(vmmap_get(map, p * STRIDE).state, m->state);
		if (i % 100000 == 0)
			CHECK(vmmap_check(map));
	}
	CHECK_EQ(vmmap_pending(map), count[VMMAP_PENDING]);
	CHECK_EQ(vmmap_mapped(map), count[VMMAP_MAPPED]);
	CHECK(vmmap_check(map));
	free(model);
	vmmap_free(map);
}
