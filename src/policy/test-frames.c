/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
/* Not the header: one test sets a count of references by hand. */
#include "policy/frames.c" // NOLINT(bugprone-suspicious-include): see above
#include "policy/test-random.h"

#define BLOCK PS_BLOCK_PAGES

static uint32_t alloc(struct frames *frames, uint32_t vm, uint32_t page, uint32_t near)
{
	uint32_t frame = PS_FRAME_NONE;

	REQUIRE_OK(frames_alloc(frames, vm, page, near, &frame));
	return frame;
}

static uint32_t alloc_live(struct frames *frames, uint32_t vm, uint32_t page, uint32_t near)
{
	uint32_t frame = alloc(frames, vm, page, near);

	REQUIRE_OK(frames_set_live(frames, frame, page));
	return frame;
}

static void give_back(struct frames *frames, uint32_t frame)
{
	REQUIRE_OK(frames_begin_punch(frames, frame));
	REQUIRE_OK(frames_end_punch(frames, frame));
}

TEST("a frame goes from free to filling to live to punching to free, and no other way")
{
	struct frames *frames = frames_new(4 * BLOCK, 100);
	uint32_t f = alloc(frames, 1, 7, PS_FRAME_NONE);

	CHECK_EQ(frames_state(frames, f), FRAME_FILLING);
	CHECK_EQ(frames_ref(frames, f), -EINVAL);
	CHECK_EQ(frames_unref(frames, f), -EINVAL);
	CHECK_EQ(frames_end_punch(frames, f), -EINVAL);
	CHECK_EQ(frames_hash(frames, f), 0u);
	CHECK_OK(frames_set_live(frames, f, 42));
	CHECK_EQ(frames_state(frames, f), FRAME_LIVE);
	CHECK_EQ(frames_hash(frames, f), 42u);
	CHECK_EQ(frames_set_live(frames, f, 43), -EINVAL);
	CHECK_EQ(frames_unref(frames, f), -EINVAL);
	CHECK_EQ(frames_end_punch(frames, f), -EINVAL);
	CHECK_OK(frames_begin_punch(frames, f));
	CHECK_EQ(frames_state(frames, f), FRAME_PUNCHING);
	CHECK_EQ(frames_ref(frames, f), -EINVAL);
	CHECK_EQ(frames_set_live(frames, f, 44), -EINVAL);
	CHECK_EQ(frames_begin_punch(frames, f), -EINVAL);
	CHECK_EQ(frames_hash(frames, f), 0u);
	CHECK_OK(frames_end_punch(frames, f));
	CHECK_EQ(frames_state(frames, f), FRAME_FREE);
	CHECK_EQ(frames_begin_punch(frames, f), -EINVAL);
	CHECK(frames_check(frames));
	frames_free(frames);
}

TEST("a frame that is referenced cannot be punched, and the last reference is told")
{
	struct frames *frames = frames_new(4 * BLOCK, 100);
	uint32_t f = alloc_live(frames, 1, 7, PS_FRAME_NONE);

	CHECK_OK(frames_ref(frames, f));
	CHECK_OK(frames_ref(frames, f));
	CHECK_EQ(frames_refs(frames, f), 2u);
	CHECK_EQ(frames_begin_punch(frames, f), -EBUSY);
	CHECK_EQ(frames_unref(frames, f), 0);
	CHECK_EQ(frames_begin_punch(frames, f), -EBUSY);
	CHECK_EQ(frames_unref(frames, f), 1);
	CHECK_EQ(frames_unref(frames, f), -EINVAL);
	CHECK_OK(frames_begin_punch(frames, f));
	frames_free(frames);
}

TEST("a frame that is retired stays, and is known, whoever gives it back")
{
	struct frames *frames = frames_new(4 * BLOCK, 100);
	uint32_t f = alloc_live(frames, 1, 7, PS_FRAME_NONE);
	uint32_t other = alloc_live(frames, 1, 8, PS_FRAME_NONE);

	CHECK_OK(frames_ref(frames, f));
	CHECK(!frames_retired(frames, f));
	CHECK_OK(frames_retire(frames, f));
	CHECK(frames_retired(frames, f));
	CHECK(!frames_retired(frames, other));
	CHECK_EQ(frames_unref(frames, f), 0);
	CHECK_EQ(frames_begin_punch(frames, f), -EBUSY);
	CHECK_EQ(frames_state(frames, f), FRAME_LIVE);
	CHECK(frames_check(frames));
	CHECK_OK(frames_begin_punch(frames, other));
	CHECK_EQ(frames_retire(frames, other), -EINVAL);
	CHECK_EQ(frames_retire(frames, UINT32_MAX), -EINVAL);
	CHECK(!frames_retired(frames, UINT32_MAX));
	CHECK(frames_check(frames));
	frames_free(frames);
}

TEST("a frame that is being punched is not dealt out again until the hole is there")
{
	struct frames *frames = frames_new(BLOCK, BLOCK);
	uint32_t first = alloc_live(frames, 1, 7, PS_FRAME_NONE), got = 0;

	for (uint32_t i = 1; i < BLOCK; i++)
		alloc_live(frames, 1, 7, PS_FRAME_NONE);
	CHECK_OK(frames_begin_punch(frames, first));
	CHECK_EQ(frames_alloc(frames, 1, 7, PS_FRAME_NONE, &got), -ENOSPC);
	CHECK_OK(frames_end_punch(frames, first));
	CHECK_OK(frames_alloc(frames, 2, 9, PS_FRAME_NONE, &got));
	CHECK_EQ(got, first);
	CHECK_EQ(frames_state(frames, got), FRAME_FILLING);
	CHECK_EQ(frames_refs(frames, got), 0u);
	frames_free(frames);
}

TEST("filling that failed goes to punching: what was written of it must go")
{
	struct frames *frames = frames_new(BLOCK, BLOCK);
	uint32_t f = alloc(frames, 1, 7, PS_FRAME_NONE);

	give_back(frames, f);
	CHECK_EQ(frames_stats(frames).extents, 0u);
	frames_free(frames);
}

TEST("pages of a block get frames in the block's order, whatever order they come in")
{
	struct frames *frames = frames_new(1u << 20, 1u << 20);
	struct rng rng = {10};
	uint32_t order[BLOCK], base = PS_FRAME_NONE;

	for (uint32_t i = 0; i < BLOCK; i++)
		order[i] = i;
	for (uint32_t i = BLOCK - 1; i; i--) {
		uint32_t j = rng_below(&rng, i + 1), was = order[i];

		order[i] = order[j];
		order[j] = was;
	}
	for (uint32_t i = 0; i < BLOCK; i++) {
		uint32_t f = alloc(frames, 3, 5 * BLOCK + order[i], PS_FRAME_NONE);

		if (base == PS_FRAME_NONE)
			base = f - order[i];
		CHECK_EQ(f, base + order[i]);
		alloc(frames, 4, 5 * BLOCK + order[i], PS_FRAME_NONE); /* another VM in between */
	}
	CHECK_EQ(base % BLOCK, 0u);
	CHECK_EQ(frames_stats(frames).extents, 2u);
	CHECK(frames_check(frames));
	frames_free(frames);
}

TEST("the run of the page before is continued, even in another VM's extent")
{
	struct frames *frames = frames_new(1u << 20, 1u << 20);
	uint32_t f = alloc(frames, 1, 100, PS_FRAME_NONE);

	CHECK_EQ(alloc(frames, 2, 333, f), f + 1);
	CHECK_EQ(alloc(frames, 3, 9000, f + 1), f + 2);
	CHECK_EQ(alloc(frames, 4, 10, f) % BLOCK, 10u); /* taken: back to its own slot */
	frames_free(frames);
}

TEST("no run is continued past the end of an extent, or from a frame that never was")
{
	struct frames *frames = frames_new(1u << 20, 1u << 20);
	uint32_t last = alloc(frames, 1, BLOCK - 1, PS_FRAME_NONE);

	CHECK_EQ(alloc(frames, 2, 5, last) % BLOCK, 5u);
	CHECK_EQ(alloc(frames, 2, 6, 1u << 19) % BLOCK, 6u);
	CHECK_EQ(alloc(frames, 2, 7, UINT32_MAX - 1) % BLOCK, 7u);
	frames_free(frames);
}

TEST("a page whose slot is taken gets the same slot of another extent, four times at most")
{
	struct frames *frames = frames_new(1u << 20, 1u << 20);
	uint32_t seen[4];

	for (int i = 0; i < 4; i++) {
		seen[i] = alloc(frames, 1, 77, PS_FRAME_NONE);
		CHECK_EQ(seen[i] % BLOCK, 77u);
		for (int j = 0; j < i; j++)
			CHECK_NE(seen[i], seen[j]);
	}
	CHECK_EQ(frames_stats(frames).extents, 4u);
	CHECK_NE(alloc(frames, 1, 77, PS_FRAME_NONE) % BLOCK, 77u);
	CHECK_EQ(frames_stats(frames).extents, 4u);
	CHECK(frames_check(frames));
	frames_free(frames);
}

TEST("when the window is used up any free slot will do, down to the last one")
{
	struct frames *frames = frames_new(3 * BLOCK, UINT32_MAX);
	uint8_t seen[3 * BLOCK] = {0};
	uint32_t frame;

	for (uint32_t i = 0; i < 3 * BLOCK; i++) {
		frame = alloc(frames, i % 7, i * 1000, PS_FRAME_NONE);
		REQUIRE_LT(frame, 3 * BLOCK);
		CHECK_EQ(seen[frame]++, 0);
	}
	CHECK_EQ(frames_alloc(frames, 0, 0, PS_FRAME_NONE, &frame), -ENOSPC);
	CHECK(frames_check(frames));
	give_back(frames, 700);
	CHECK_EQ(alloc(frames, 0, 0, PS_FRAME_NONE), 700u);
	frames_free(frames);
}

TEST("no more than max frames are out at a time, those being punched counted")
{
	struct frames *frames = frames_new(1u << 20, 3);
	uint32_t f = alloc(frames, 0, 0, PS_FRAME_NONE), got;

	alloc_live(frames, 0, 1, f);
	alloc(frames, 0, 2, f);
	CHECK_OK(frames_begin_punch(frames, f));
	CHECK_EQ(frames_alloc(frames, 0, 3, PS_FRAME_NONE, &got), -ENOSPC);
	CHECK_OK(frames_end_punch(frames, f));
	CHECK_OK(frames_alloc(frames, 0, 3, PS_FRAME_NONE, &got));
	frames_free(frames);
}

TEST("an empty extent costs nothing, and its numbers come back")
{
	struct frames *frames = frames_new(8 * BLOCK, 8 * BLOCK);
	uint64_t empty;
	uint32_t f[8];

	f[0] = alloc(frames, 0, 0, PS_FRAME_NONE);
	give_back(frames, f[0]);
	empty = frames_stats(frames).bytes;
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 8; i++)
			f[i] = alloc(frames, round, i * BLOCK, PS_FRAME_NONE);
		CHECK_EQ(frames_stats(frames).extents, 8u);
		for (int i = 0; i < 8; i++)
			give_back(frames, f[i]);
		CHECK_EQ(frames_stats(frames).bytes, empty);
	}
	frames_free(frames);
}

TEST("references stop at their largest number")
{
	struct frames *frames = frames_new(BLOCK, 1);
	uint32_t f = alloc_live(frames, 0, 0, PS_FRAME_NONE);

	*word_of(frames, f) += FRAMES_REFS_MAX - 1;
	frames->refs += FRAMES_REFS_MAX - 1;
	CHECK_OK(frames_ref(frames, f));
	CHECK_EQ(frames_ref(frames, f), -EOVERFLOW);
	CHECK_EQ(frames_refs(frames, f), FRAMES_REFS_MAX);
	CHECK_EQ(frames_state(frames, f), FRAME_LIVE);
	CHECK(frames_check(frames));
	CHECK_EQ(frames_unref(frames, f), 0);
	CHECK_OK(frames_ref(frames, f));
	frames_free(frames);
}

TEST("any number that a peer may send is answered, none is believed")
{
	static const uint32_t strange[] = {0,	      5, BLOCK, PS_FRAMES_MAX - 1, PS_FRAMES_MAX,
					   UINT32_MAX};
	struct frames *frames = frames_new(4 * BLOCK, 100);
	uint32_t f;

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
			CHECK_EQ(frames_state(frames, strange[i]), FRAME_FREE);
			CHECK_EQ(frames_refs(frames, strange[i]), 0u);
			CHECK_EQ(frames_hash(frames, strange[i]), 0u);
			CHECK_EQ(frames_ref(frames, strange[i]), -EINVAL);
			CHECK_EQ(frames_unref(frames, strange[i]), -EINVAL);
			CHECK_EQ(frames_set_live(frames, strange[i], 1), -EINVAL);
			CHECK_EQ(frames_begin_punch(frames, strange[i]), -EINVAL);
			CHECK_EQ(frames_end_punch(frames, strange[i]), -EINVAL);
		}
		alloc(frames, 1, 99, PS_FRAME_NONE);
	}
	CHECK_EQ(frames_alloc(frames, 1, PS_PAGES_MAX, PS_FRAME_NONE, &f), -EINVAL);
	CHECK_EQ(frames_alloc(frames, 4096, 0, PS_FRAME_NONE, &f), -EINVAL);
	CHECK_OK(frames_alloc(frames, 4095, PS_PAGES_MAX - 1, PS_FRAME_NONE, &f));
	frames_free(frames);
}

TEST("a window of no block, or larger than frames can be, is refused")
{
	CHECK(!frames_new(BLOCK - 1, 10));
	CHECK(!frames_new(PS_FRAMES_MAX + 1, 10));
	CHECK(!frames_free(NULL));
}

TEST("frames in a state are found in order, and all of them")
{
	struct frames *frames = frames_new(1u << 20, 1u << 20);
	uint32_t at = 0, n = 0;

	for (uint32_t i = 0; i < 300; i++) {
		uint32_t f = alloc(frames, i % 5, i * 77, PS_FRAME_NONE);

		if (i % 3)
			REQUIRE_OK(frames_set_live(frames, f, i));
	}
	for (; frames_next(frames, FRAME_LIVE, &at); at++, n++)
		CHECK_EQ(frames_state(frames, at), FRAME_LIVE);
	CHECK_EQ(n, 200u);
	at = 0;
	CHECK(!frames_next(frames, FRAME_PUNCHING, &at));
	CHECK(!frames_next(frames, FRAME_FREE, &at));
	at = UINT32_MAX;
	CHECK(!frames_next(frames, FRAME_LIVE, &at));
	frames_free(frames);
}

TEST("a full store of 64 MiB costs under 15 bytes a frame")
{
	struct frames *frames = frames_new(1u << 20, 1u << 20);

	for (uint32_t page = 0; page < 1u << 14; page++)
		alloc(frames, 1, page, PS_FRAME_NONE);
	CHECK_LT(frames_stats(frames).bytes, 15u << 14);
	frames_free(frames);
}

struct model {
	enum frame_state state;
	uint32_t refs;
	uint64_t hash;
};

enum { WINDOW = 16 * BLOCK, MAX = 5000 };

/* One random call on a random frame, checked against the model. */
static void random_call(struct frames *frames, struct model *model, struct rng *rng, uint32_t f)
{
	struct model *m = &model[f];
	int want = -EINVAL;

	switch (rng_below(rng, 6)) {
	case 0:
		if (m->state == FRAME_FILLING)
			*m = (struct model){FRAME_LIVE, 0, f * 31ull}, want = 0;
		CHECK_EQ(frames_set_live(frames, f, f * 31ull), want);
		break;
	case 1:
	case 2:
		if (m->state == FRAME_LIVE)
			m->refs++, want = 0;
		CHECK_EQ(frames_ref(frames, f), want);
		break;
	case 3:
		if (m->state == FRAME_LIVE && m->refs)
			want = !--m->refs;
		CHECK_EQ(frames_unref(frames, f), want);
		break;
	case 4:
		if (m->state == FRAME_FILLING || m->state == FRAME_LIVE)
			want = m->refs ? -EBUSY : 0;
		if (!want)
			*m = (struct model){FRAME_PUNCHING, 0, 0};
		CHECK_EQ(frames_begin_punch(frames, f), want);
		break;
	case 5:
		if (m->state == FRAME_PUNCHING)
			*m = (struct model){FRAME_FREE, 0, 0}, want = 0;
		CHECK_EQ(frames_end_punch(frames, f), want);
		break;
	}
	CHECK_EQ(frames_state(frames, f), m->state);
	CHECK_EQ(frames_refs(frames, f), m->refs);
	CHECK_EQ(frames_hash(frames, f), m->hash);
}

static void compare(const struct frames *frames, const struct model *model)
{
	struct frames_stats s = frames_stats(frames), sum = {0};

	for (uint32_t f = 0; f < WINDOW; f++) {
		sum.live += model[f].state == FRAME_LIVE;
		sum.filling += model[f].state == FRAME_FILLING;
		sum.punching += model[f].state == FRAME_PUNCHING;
		sum.refs += model[f].refs;
		CHECK_EQ(frames_state(frames, f), model[f].state);
	}
	CHECK_EQ(s.live, sum.live);
	CHECK_EQ(s.filling, sum.filling);
	CHECK_EQ(s.punching, sum.punching);
	CHECK_EQ(s.refs, sum.refs);
	CHECK(frames_check(frames));
}

TEST("half a million random calls agree with a model of every frame")
{
	struct frames *frames = frames_new(WINDOW, MAX);
	struct model *model = calloc(WINDOW, sizeof(*model));
	struct rng rng = {11};
	uint64_t used = 0;

	for (int i = 0; i < 500000; i++) {
		uint32_t f = rng_below(&rng, WINDOW), near = rng_below(&rng, 2 * WINDOW);

		if (rng_below(&rng, 3)) {
			enum frame_state was = model[f].state;

			random_call(frames, model, &rng, f);
			used -= was != FRAME_FREE && model[f].state == FRAME_FREE;
			continue;
		}
		if (frames_alloc(frames, rng_below(&rng, 3), rng_below(&rng, 4 * BLOCK), near,
				 &f)) {
			CHECK_EQ(used, (uint64_t)MAX);
			continue;
		}
		REQUIRE_LT(f, (uint32_t)WINDOW);
		CHECK_EQ(model[f].state, FRAME_FREE);
		model[f] = (struct model){FRAME_FILLING, 0, 0};
		used++;
		if (i % 50000 == 0)
			compare(frames, model);
	}
	compare(frames, model);
	free(model);
	frames_free(frames);
}
