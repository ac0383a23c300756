/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/index.h"
#include "policy/test-random.h"
#include "wire/wire.h"

#include <stdlib.h>

/* What a put took the place of, where the test does not ask. */
static struct index_entry had;

static bool is_hint(const struct page_index *index, uint64_t hash, uint32_t vm, uint32_t page)
{
	struct index_entry e = index_lookup(index, hash);

	return e.kind == INDEX_HINT && e.vm == vm && e.page == page;
}

static bool has_frame(const struct page_index *index, uint64_t hash, uint32_t frame)
{
	struct index_entry e = index_lookup(index, hash);

	return e.kind == INDEX_FRAME && e.frame == frame;
}

TEST("a hash that nobody put has no entry")
{
	struct page_index *index = index_new(1000, 1);

	CHECK_EQ(index_lookup(index, 0).kind, INDEX_NONE);
	CHECK_EQ(index_lookup(index, UINT64_MAX).kind, INDEX_NONE);
	CHECK(index_check(index));
	index_free(index);
	CHECK(!index_free(NULL));
}

TEST("a hint is found, with its VM and page, up to the largest of both")
{
	struct page_index *index = index_new(1000, 1);

	CHECK_OK(index_put_hint(index, 1, 0, 0, &had));
	CHECK_OK(index_put_hint(index, 2, INDEX_VMS - 1, PS_PAGES_MAX - 1, &had));
	CHECK(is_hint(index, 1, 0, 0));
	CHECK(is_hint(index, 2, INDEX_VMS - 1, PS_PAGES_MAX - 1));
	CHECK_EQ(index_put_hint(index, 3, INDEX_VMS, 0, &had), -EINVAL);
	CHECK_EQ(index_put_hint(index, 3, 0, PS_PAGES_MAX, &had), -EINVAL);
	CHECK_EQ(index_stats(index).hints, 2u);
	index_free(index);
}

TEST("a newer hint takes the place of a stale one")
{
	struct page_index *index = index_new(1000, 1);

	CHECK_OK(index_put_hint(index, 1, 5, 6, &had));
	CHECK_OK(index_put_hint(index, 1, 7, 8, &had));
	CHECK(is_hint(index, 1, 7, 8));
	CHECK_EQ(index_stats(index).hints, 1u);
	CHECK(!index_remove_hint(index, 1, 5, 6));
	CHECK(index_remove_hint(index, 1, 7, 8));
	CHECK_EQ(index_lookup(index, 1).kind, INDEX_NONE);
	index_free(index);
}

TEST("a frame takes the place of a hint, and no hint or other frame takes a frame's")
{
	struct page_index *index = index_new(1000, 1);

	CHECK_OK(index_put_hint(index, 1, 5, 6, &had));
	CHECK_OK(index_put_frame(index, 1, 99, &had));
	CHECK(has_frame(index, 1, 99));
	CHECK_EQ(index_put_hint(index, 1, 5, 6, &had), -EEXIST);
	CHECK_EQ(index_put_frame(index, 1, 98, &had), -EEXIST);
	CHECK_OK(index_put_frame(index, 1, 99, &had));
	CHECK(has_frame(index, 1, 99));
	CHECK_EQ(index_put_frame(index, 2, PS_FRAMES_MAX, &had), -EINVAL);
	CHECK_OK(index_put_frame(index, 2, PS_FRAMES_MAX - 1, &had));
	CHECK(has_frame(index, 2, PS_FRAMES_MAX - 1));
	CHECK_EQ(index_stats(index).hints, 0u);
	CHECK_EQ(index_stats(index).frames, 2u);
	index_free(index);
}

TEST("only that very frame, or that very hint, is removed")
{
	struct page_index *index = index_new(1000, 1);

	CHECK_OK(index_put_frame(index, 1, 99, &had));
	CHECK_OK(index_put_hint(index, 2, 5, 99, &had));
	CHECK(!index_remove_frame(index, 1, 98));
	CHECK(!index_remove_hint(index, 1, 5, 99));
	CHECK(!index_remove_frame(index, 2, 99));
	CHECK(!index_remove_hint(index, 2, 5, 98));
	CHECK(!index_remove_hint(index, 2, INDEX_VMS, 99));
	CHECK(!index_remove_frame(index, 1, UINT32_MAX));
	CHECK(index_remove_frame(index, 1, 99));
	CHECK(!index_remove_frame(index, 1, 99));
	CHECK(index_remove_hint(index, 2, 5, 99));
	CHECK_EQ(index_stats(index).hints + index_stats(index).frames, 0u);
	index_free(index);
}

TEST("sweeping drops a VM's hints in a range, and nobody else's, and no frame")
{
	struct page_index *index = index_new(1000, 1);
	uint64_t cursor = 0;

	for (uint32_t i = 0; i < 30000; i++)
		CHECK_OK(index_put_hint(index, i, i % 3, i, &had));
	for (uint32_t i = 30000; i < 40000; i++)
		CHECK_OK(index_put_frame(index, i, i, &had));
	CHECK(index_sweep(index, 1, 6001, 20998, &cursor, UINT32_MAX));
	for (uint32_t i = 0; i < 30000; i++) {
		bool gone = i % 3 == 1 && i >= 6001 && i <= 20998;

		CHECK_EQ(index_lookup(index, i).kind, gone ? INDEX_NONE : INDEX_HINT);
	}
	CHECK_EQ(index_stats(index).hints, 25000u); /* 6001, 6004 ... 20998 */
	CHECK_EQ(index_stats(index).frames, 10000u);
	CHECK(index_check(index));
	cursor = 0;
	CHECK(index_sweep(index, INDEX_VMS, 0, UINT32_MAX, &cursor, 1));
	index_free(index);
}

TEST("a sweep in small steps ends, each step looks at no more than its budget and a bucket")
{
	struct page_index *index = index_new(1000, 1);
	uint64_t cursor = 0, steps = 0, wrong = 0;
	uint32_t put = 50000;

	for (uint32_t i = 0; i < put; i++)
		CHECK_OK(index_put_hint(index, i, 1, i, &had));
	/* Others go on putting meanwhile, so that buckets split under the sweep. */
	while (!index_sweep(index, 1, 0, UINT32_MAX, &cursor, 100)) {
		steps++;
		for (int i = 0; i < 600 && put < 350000; i++, put++)
			CHECK_OK(index_put_hint(index, put, 2, put, &had));
		REQUIRE_LT(steps, 100000u);
	}
	CHECK_GT(steps, 100u);
	CHECK_GT(put, 300000u); /* past the first split */
	for (uint32_t i = 0; i < put; i++) {
		struct index_entry e = index_lookup(index, i);

		CHECK(e.kind == INDEX_NONE || e.vm == 2); /* a false answer is another's hint */
		wrong += (e.kind == INDEX_NONE) != (i < 50000);
	}
	CHECK_LT(wrong, 20u); /* of 350000 hashes at 33 bits: 7 are to be expected */
	CHECK(index_check(index));
	index_free(index);
}

TEST("a put tells whose hint it took the place of")
{
	struct page_index *index = index_new(1000, 1);

	CHECK_OK(index_put_hint(index, 1, 5, 6, &had));
	CHECK_EQ(had.kind, INDEX_NONE);
	CHECK_OK(index_put_hint(index, 1, 7, 8, &had));
	CHECK_EQ(had.kind, INDEX_HINT);
	CHECK(had.vm == 5 && had.page == 6);
	CHECK_OK(index_put_frame(index, 1, 9, &had));
	CHECK_EQ(had.kind, INDEX_HINT);
	CHECK(had.vm == 7 && had.page == 8);
	CHECK_OK(index_put_frame(index, 1, 9, &had));
	CHECK_EQ(had.kind, INDEX_NONE);
	index_free(index);
}

TEST("a page's hint is found by its place, however much the index has grown since")
{
	enum { EARLY = 20000, ALL = 400000 };
	struct page_index *index = index_new(0, 7);
	uint32_t *place = calloc(EARLY, sizeof(*place));
	uint64_t lost = 0;

	REQUIRE(place);
	for (uint32_t i = 0; i < ALL; i++) {
		CHECK_OK(index_put_hint(index, i, i % 5, i, &had));
		if (i < EARLY)
			place[i] = index_place(index, i);
	}
	for (uint32_t i = 0; i < EARLY; i++) {
		CHECK(!index_remove_page(index, place[i], (i + 1) % 5, i));
		lost += !index_remove_page(index, place[i], i % 5, i);
		CHECK(!index_remove_page(index, place[i], i % 5, i));
	}
	CHECK_LT(lost, 20u); /* whose place another hash of the same 33 bits took */
	CHECK(!index_remove_page(index, 1, INDEX_VMS, 1));
	CHECK(index_check(index));
	free(place);
	index_free(index);
}

TEST("growing far past the expected size loses nothing")
{
	struct page_index *index = index_new(0, 77);
	struct rng rng = {14};
	uint64_t lost = 0;

	for (uint32_t i = 0; i < 600000; i++)
		CHECK_OK(index_put_hint(index, rng_next(&rng), i % INDEX_VMS, i, &had));
	rng = (struct rng){14};
	for (uint32_t i = 0; i < 600000; i++)
		lost += !is_hint(index, rng_next(&rng), i % INDEX_VMS, i);
	/* Two hashes that agree in 33 bits: 600000^2 / 2 / 2^33 = 21 are to be expected. */
	CHECK_LT(lost, 50u);
	CHECK(index_check(index));
	index_free(index);
}

TEST("false answers are as rare as the header says")
{
	struct page_index *index = index_new(1 << 18, 5);
	struct rng rng = {15};
	uint64_t wrong = 0;

	for (uint32_t i = 0; i < 1 << 18; i++)
		CHECK_OK(index_put_hint(index, rng_next(&rng), 1, i, &had));
	for (uint32_t i = 0; i < 1 << 20; i++)
		wrong += index_lookup(index, rng_next(&rng)).kind != INDEX_NONE;
	CHECK_LT(wrong, 40u); /* 2^20 lookups at 2^18 / 2^34: 16 */
	index_free(index);
}

TEST("an entry costs under 9.4 bytes from the expected size on, under 10.5 at half of it")
{
	struct page_index *index = index_new(1 << 18, 5);
	struct rng rng = {16};

	for (uint32_t i = 0; i < 5 << 17; i++) {
		CHECK_OK(index_put_hint(index, rng_next(&rng), 1, i, &had));
		if (i >= 1 << 17 && i % 4096 == 0)
			CHECK_LT(index_stats(index).bytes, i / 10 * (i < 1 << 18 ? 105u : 94u));
	}
	index_free(index);
}

TEST("hashes that a hostile agent makes up spread like any others")
{
	struct page_index *index = index_new(1 << 17, 0x123456789abcdef);

	for (uint64_t i = 0; i < 1 << 17; i++)
		CHECK_OK(index_put_hint(index, i << 47, 1, i, &had));
	for (uint64_t i = 0; i < 1 << 17; i++)
		CHECK_OK(index_put_hint(index, i, 1, i, &had));
	CHECK_GT(index_stats(index).hints, (2u << 17) - 50);
	CHECK(index_check(index));
	index_free(index);
}

TEST("hashes that end alike are spread by a mix that no agent knows")
{
	struct page_index *index = index_new(0, 0xfeed);
	uint32_t count[256] = {0};

	for (uint64_t i = 0; i < 25600; i++)
		count[index_mix(index, i << 32 | 7) % 256]++;
	for (int i = 0; i < 256; i++)
		CHECK_LT(count[i], 200u); /* 100 are to be expected, all 25600 without */
	index_free(index);
}

/* How many of n hashes lost their hint to another, and the sum of their numbers. */
static uint64_t collisions(uint64_t secret, uint32_t n, uint64_t *which)
{
	struct page_index *index = index_new(0, secret);
	uint64_t lost = 0;

	*which = 0;
	for (uint32_t i = 0; i < n; i++)
		CHECK_OK(index_put_hint(index, i, 1, i, &had));
	for (uint32_t i = 0; i < n; i++) {
		if (!is_hint(index, i, 1, i)) {
			lost++;
			*which += i;
		}
	}
	index_free(index);
	return lost;
}

TEST("which hashes collide depends on the secret: no agent can know")
{
	uint64_t first, again, other;

	CHECK_GT(collisions(1, 300000, &first), 0u);
	collisions(1, 300000, &again);
	collisions(2, 300000, &other);
	CHECK_EQ(first, again);
	CHECK_NE(first, other);
}

TEST("an index that was emptied gives its memory back, but for the directory")
{
	struct page_index *index = index_new(1 << 17, 5);
	uint64_t cursor = 0;

	for (uint32_t i = 0; i < 1 << 17; i++)
		CHECK_OK(index_put_hint(index, i, 1, i, &had));
	CHECK(index_sweep(index, 1, 0, UINT32_MAX, &cursor, UINT32_MAX));
	CHECK_LT(index_stats(index).bytes, 100000u);
	CHECK(index_check(index));
	index_free(index);
}

struct model {
	enum index_kind kind;
	uint32_t vm;
	uint32_t where;
};

static void random_call(struct page_index *index, struct model *m, uint64_t hash, struct rng *rng)
{
	uint32_t vm = rng_below(rng, 3), where = rng_below(rng, 4);
	bool match;

	switch (rng_below(rng, 5)) {
	case 0:
	case 1:
		CHECK_EQ(index_put_hint(index, hash, vm, where, &had),
			 m->kind == INDEX_FRAME ? -EEXIST : 0);
		if (m->kind != INDEX_FRAME)
			*m = (struct model){INDEX_HINT, vm, where};
		break;
	case 2:
		match = m->kind != INDEX_FRAME || m->where == where;
		CHECK_EQ(index_put_frame(index, hash, where, &had), match ? 0 : -EEXIST);
		if (match)
			*m = (struct model){INDEX_FRAME, 0, where};
		break;
	case 3:
		match = m->kind == INDEX_FRAME && m->where == where;
		CHECK_EQ(index_remove_frame(index, hash, where), match);
		if (match)
			m->kind = INDEX_NONE;
		break;
	case 4:
		match = m->kind == INDEX_HINT && m->vm == vm && m->where == where;
		CHECK_EQ(index_remove_hint(index, hash, vm, where), match);
		if (match)
			m->kind = INDEX_NONE;
		break;
	}
}

TEST("300000 random calls agree with a model of every hash")
{
	enum { HASHES = 20000 };
	struct page_index *index = index_new(100, 99);
	struct model *model = calloc(HASHES, sizeof(*model));
	struct rng rng = {17};
	uint64_t hints = 0, frames = 0;

	for (int i = 0; i < 300000; i++) {
		uint64_t hash = rng_below(&rng, HASHES);
		struct index_entry e;

		random_call(index, &model[hash], hash, &rng);
		e = index_lookup(index, hash);
		CHECK_EQ(e.kind, model[hash].kind);
		if (e.kind == INDEX_HINT)
			CHECK(e.vm == model[hash].vm && e.page == model[hash].where);
		if (e.kind == INDEX_FRAME)
			CHECK_EQ(e.frame, model[hash].where);
		if (i % 30000 == 0)
			CHECK(index_check(index));
	}
	for (int i = 0; i < HASHES; i++) {
		hints += model[i].kind == INDEX_HINT;
		frames += model[i].kind == INDEX_FRAME;
	}
	CHECK_EQ(index_stats(index).hints, hints);
	CHECK_EQ(index_stats(index).frames, frames);
	CHECK(index_check(index));
	free(model);
	index_free(index);
}
