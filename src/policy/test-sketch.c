/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>

#include "harness/harness.h"
#include "policy/sketch.h"
#include "policy/test-random.h"

static const uint8_t key_a[SKETCH_KEY_SIZE] = {1, 2, 3}, key_b[SKETCH_KEY_SIZE] = {1, 2, 4};

TEST("the keyed function is SipHash-2-4, by its authors' own vector")
{
	/* key 00 01 .. 0f, message 00 01 .. 07: vectors_sip64[8] */
	uint8_t key[SKETCH_KEY_SIZE];

	for (unsigned int i = 0; i < SKETCH_KEY_SIZE; i++)
		key[i] = (uint8_t)i;
	CHECK_EQ(sketch_keyed(key, 0x0706050403020100ull), 0x93f5f5799a932462ull);
}

static void fill(uint64_t *hash, uint32_t n, struct rng *rng)
{
	for (uint32_t i = 0; i < n; i++)
		hash[i] = rng_next(rng);
}

TEST("a sketch comes back from its bytes, full or empty, and fits its place")
{
	static const uint32_t sizes[] = {0, 1, 2, 100, SKETCH_MAX};
	static struct sketch sketch, again;
	static uint64_t hash[SKETCH_MAX];
	uint8_t bytes[SKETCH_BYTES];
	struct rng rng = {7};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t length;

		fill(hash, sizes[i], &rng);
		sketch_make(&sketch, key_a, hash, sizes[i], 0, 3);
		length = sketch_encode(&sketch, bytes);
		CHECK_LT(length, SKETCH_BYTES);
		REQUIRE_OK(sketch_decode(&again, sketch.n, bytes, length));
		CHECK_EQ(again.n, sketch.n);
		CHECK_EQ(memcmp(again.token, sketch.token, sketch.n * sizeof(uint32_t)), 0);
		if (sketch.n)
			CHECK_EQ(sketch_decode(&again, sketch.n, bytes, length - 1), -EINVAL);
	}
}

TEST("rubbish in place of a sketch is refused, or is one: tokens in order, below their bound")
{
	static struct sketch sketch;
	uint8_t bytes[64];
	struct rng rng = {3};

	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)rng_next(&rng);
		bytes[0] %= 32;
		if (sketch_decode(&sketch, (uint32_t)(rng_next(&rng) % 64), bytes, sizeof(bytes)))
			continue;
		for (uint32_t i = 0; i < sketch.n; i++) {
			CHECK_LT(sketch.token[i], 1u << SKETCH_BITS);
			CHECK(!i || sketch.token[i] > sketch.token[i - 1]);
		}
	}
	CHECK_EQ(sketch_decode(&sketch, SKETCH_MAX + 1, bytes, sizeof(bytes)), -EINVAL);
	CHECK_EQ(sketch_decode(&sketch, 1, bytes, 0), -EINVAL);
}

static uint32_t common(const struct sketch *a, const struct sketch *b)
{
	uint32_t n = 0, k = 0;

	for (uint32_t i = 0; i < a->n; i++) {
		while (k < b->n && b->token[k] < a->token[i])
			k++;
		n += k < b->n && b->token[k] == a->token[i];
	}
	return n;
}

TEST("sketches with one key tell what is in common, with two they tell nothing")
{
	static struct sketch a, b, c;
	static uint64_t one[SKETCH_MAX], two[SKETCH_MAX], copy[SKETCH_MAX];
	struct rng rng = {11};

	fill(one, SKETCH_MAX, &rng);
	fill(two, SKETCH_MAX, &rng);
	memcpy(two, one, 600 * sizeof(*one)); /* a third in common */
	memcpy(copy, one, sizeof(copy));
	sketch_make(&a, key_a, one, SKETCH_MAX, 0, 1);
	sketch_make(&b, key_a, two, SKETCH_MAX, 0, 1);
	sketch_make(&c, key_b, copy, SKETCH_MAX, 0, 1);
	CHECK(common(&a, &b) >= 600 && common(&a, &b) <= 602);
	CHECK_LT(common(&a, &c), 3);
	/* a thinner one stands for more, and has the same in common in proportion */
	sketch_thin(&b, 900);
	CHECK_EQ(b.n, 900);
	CHECK(fabs(b.weight - (double)SKETCH_MAX / 900) < 0.2);
	CHECK(fabs(common(&a, &b) * b.weight - 600) < 100);
}

TEST("double pages count as pages, and make one token")
{
	static struct sketch sketch;
	uint64_t hash[] = {5, 5, 5, 9};

	sketch_make(&sketch, key_a, hash, 4, 4, 10);
	CHECK_EQ(sketch.pages, 4);
	CHECK_EQ(sketch.n, 2);
}
