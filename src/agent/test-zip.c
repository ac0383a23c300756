// SPDX-License-Identifier: LGPL-2.1-or-later
/* The compressed cache: what it gives back, what it holds, what it refuses. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "agent/zip.h"
#include "harness/harness.h"
#include "policy/test-random.h"

#define PAGES 4096u
#define MANY (1u << 20) /* a cap that nothing reaches */

static struct zip *zip_with(uint32_t cap)
{
	struct zip *zip = NULL;

	REQUIRE_OK(zip_new(&zip, PAGES));
	zip_set_cap(zip, cap);
	return zip;
}

static struct zip_figures figures(struct zip *zip)
{
	struct zip_figures f;

	zip_count(zip, &f);
	return f;
}

/* A page of which `noise` bytes are random and the rest repeat: it compresses to little more than
 * that. Different for each number. */
static const char *page_of(uint32_t number, uint32_t noise)
{
	static _Thread_local _Alignas(16) char content[PS_PAGE_SIZE];
	uint64_t x = number * 0x9e3779b97f4a7c15ull + 1;

	for (uint32_t i = 0; i < PS_PAGE_SIZE; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		content[i] = i < noise ? (char)(x >> 24) : (char)(number >> (i % 4 * 8));
	}
	return content;
}

static uint32_t put(struct zip *zip, uint32_t page, uint32_t noise, enum zip_method method)
{
	uint32_t handle = 0;

	REQUIRE_OK(zip_put(zip, page, page_of(page, noise), method, &handle));
	REQUIRE(handle);
	return handle;
}

static void check_is(struct zip *zip, uint32_t handle, uint32_t page, uint32_t noise)
{
	_Alignas(16) char out[PS_PAGE_SIZE];

	REQUIRE_OK(zip_get(zip, handle, page, out));
	REQUIRE_MEM(out, page_of(page, noise), PS_PAGE_SIZE);
}

TEST("what is put comes back, by either method and of every size that fits")
{
	struct zip *zip = zip_with(MANY);
	uint32_t handle[2][32];

	for (uint32_t i = 0; i < 32; i++) {
		handle[0][i] = put(zip, i, i * 60, ZIP_SOON);
		handle[1][i] = put(zip, 100 + i, i * 60, ZIP_STAYS);
	}
	for (uint32_t i = 0; i < 32; i++) {
		check_is(zip, handle[0][i], i, i * 60);
		check_is(zip, handle[1][i], 100 + i, i * 60);
	}
	CHECK_EQ(figures(zip).entries, 64);
	CHECK_EQ(figures(zip).gets, 64);
	zip_free(zip);
}

TEST("a page lies in the smallest slot that it fits, and one that fits none is refused")
{
	struct zip *zip = zip_with(MANY);
	uint32_t handle;

	put(zip, 1, 400, ZIP_STAYS);
	put(zip, 2, 600, ZIP_STAYS);
	put(zip, 3, 1500, ZIP_STAYS);
	CHECK_EQ(figures(zip).slots[0], 1);
	CHECK_EQ(figures(zip).slots[1], 1);
	CHECK_EQ(figures(zip).slots[2], 1);
	CHECK_EQ(zip_put(zip, 4, page_of(4, 2200), ZIP_STAYS, &handle), -E2BIG);
	CHECK_EQ(zip_put(zip, 4, page_of(4, 2200), ZIP_SOON, &handle), -E2BIG);
	CHECK_EQ(figures(zip).unfit, 2);
	CHECK_EQ(figures(zip).entries, 3);
	CHECK_GE(figures(zip).payload, 400 + 600 + 1500);
	zip_free(zip);
}

TEST("a content that fills its slot to the last byte is kept")
{
	struct zip *zip = zip_with(MANY);
	uint64_t largest = 0;

	for (uint32_t noise = 1900; noise < 2048; noise++) {
		uint64_t before = figures(zip).payload;
		uint32_t handle;

		if (zip_put(zip, noise, page_of(noise, noise), ZIP_STAYS, &handle) != 0)
			break;
		check_is(zip, handle, noise, noise);
		largest = figures(zip).payload - before;
	}
	CHECK_EQ(largest, ZIP_CONTENT_MAX);
	zip_free(zip);
}

TEST("a page of one word, zeros too, takes no slot")
{
	struct zip *zip = zip_with(MANY);
	_Alignas(16) uint64_t content[PS_PAGE_SIZE / 8], out[PS_PAGE_SIZE / 8];
	uint32_t zeros, words;

	memset(content, 0, sizeof(content));
	REQUIRE_OK(zip_put(zip, 7, content, ZIP_SOON, &zeros));
	for (size_t i = 0; i < PS_PAGE_SIZE / 8; i++)
		content[i] = 0x0123456789abcdefull;
	REQUIRE_OK(zip_put(zip, 8, content, ZIP_SOON, &words));
	REQUIRE_OK(zip_get(zip, words, 8, out));
	CHECK_MEM(out, content, sizeof(out));
	memset(content, 0, sizeof(content));
	REQUIRE_OK(zip_get(zip, zeros, 7, out));
	CHECK_MEM(out, content, sizeof(out));
	CHECK_EQ(figures(zip).same, 2);
	CHECK_EQ(figures(zip).slabs, 0);
	content[511] = 1; /* all but one word: not the same */
	REQUIRE_OK(zip_put(zip, 9, content, ZIP_SOON, &words));
	REQUIRE_OK(zip_get(zip, words, 9, out));
	CHECK_MEM(out, content, sizeof(out));
	CHECK_EQ(figures(zip).same, 2);
	zip_free(zip);
}

TEST("a handle gives its own page only, and nothing once it is dropped")
{
	struct zip *zip = zip_with(MANY);
	char out[PS_PAGE_SIZE];
	uint32_t a = put(zip, 1, 300, ZIP_SOON), b;

	CHECK_EQ(zip_get(zip, a, 2, out), -ENOENT);
	CHECK_EQ(zip_get(zip, 0, 1, out), -ENOENT);
	CHECK_EQ(zip_get(zip, 4000000000u, 1, out), -ENOENT);
	zip_drop(zip, a, 2); /* not its page: stays */
	check_is(zip, a, 1, 300);
	zip_drop(zip, a, 1);
	CHECK_EQ(zip_get(zip, a, 1, out), -ENOENT);
	b = put(zip, 2, 300, ZIP_SOON);
	CHECK_EQ(b, a); /* used again, for another page */
	CHECK_EQ(zip_get(zip, a, 1, out), -ENOENT);
	zip_drop(zip, a, 1);
	check_is(zip, b, 2, 300);
	zip_free(zip);
}

TEST("nothing is put before there is a cap, nor above it, and dropping makes room")
{
	struct zip *zip = zip_with(0);
	uint32_t handle, first, n, held;

	CHECK_EQ(zip_put(zip, 0, page_of(0, 1500), ZIP_STAYS, &handle), -ENOSPC);
	zip_set_cap(zip, MANY);
	first = put(zip, 0, 1500, ZIP_STAYS);
	held = (uint32_t)(figures(zip).held / PS_PAGE_SIZE);
	zip_set_cap(zip, held + 20);
	for (n = 1; !zip_put(zip, n, page_of(n, 1500), ZIP_STAYS, &handle); n++)
		REQUIRE_LT(n, 1000u);
	/* Two in a page, and the tables' share. */
	CHECK_GE(n, 2 * 18u);
	CHECK_LE(n, 2 * 20u + 2);
	CHECK_LE(figures(zip).held, (held + 20ull) * PS_PAGE_SIZE);
	CHECK_GE(figures(zip).full, 2);
	zip_drop(zip, first, 0);
	put(zip, 2000, 1500, ZIP_STAYS);
	CHECK_LE(figures(zip).held, (held + 20ull) * PS_PAGE_SIZE);
	zip_set_cap(zip, held); /* lowered: what is there stays */
	check_is(zip, handle, n - 1, 1500);
	CHECK_EQ(zip_put(zip, 3000, page_of(3000, 1500), ZIP_STAYS, &handle), -ENOSPC);
	zip_free(zip);
}

TEST("more entries than the cache was made for are refused")
{
	struct zip *zip = NULL;
	uint32_t handle;

	CHECK_EQ(zip_new(&zip, 0), -EINVAL);
	REQUIRE_OK(zip_new(&zip, 4));
	zip_set_cap(zip, MANY);
	for (uint32_t i = 0; i < 4; i++)
		put(zip, i, 100, ZIP_STAYS);
	CHECK_EQ(zip_put(zip, 4, page_of(4, 100), ZIP_STAYS, &handle), -ENOSPC);
	zip_free(zip);
}

TEST("the oldest come first, whatever was dropped between them")
{
	struct zip *zip = zip_with(MANY);
	uint32_t handle[10], handles[10], pages[10];

	for (uint32_t i = 0; i < 10; i++) {
		zip_set_now(zip, 100 + i);
		handle[i] = put(zip, 50 + i, 200, ZIP_SOON);
	}
	zip_drop(zip, handle[0], 50);
	zip_drop(zip, handle[4], 54);
	zip_drop(zip, handle[9], 59);
	REQUIRE_EQ(zip_oldest(zip, 0, 10, handles, pages), 7);
	CHECK_EQ(pages[0], 51);
	CHECK_EQ(pages[3], 55);
	CHECK_EQ(pages[6], 58);
	CHECK_EQ(handles[6], handle[8]);
	REQUIRE_EQ(zip_oldest(zip, 3, 2, handles, pages), 2);
	CHECK_EQ(pages[0], 55);
	CHECK_EQ(pages[1], 56);
	CHECK_EQ(zip_age(zip, handle[1]), 8);
	CHECK_EQ(zip_age(zip, handle[0]), 0);
	put(zip, 77, 200, ZIP_SOON); /* in a dropped one's place, and the youngest all the same */
	REQUIRE_EQ(zip_oldest(zip, 7, 1, handles, pages), 1);
	CHECK_EQ(pages[0], 77);
	zip_free(zip);
}

/* LZ4 finds little in text of few letters, and an entropy coder such as zstd's much. */
static void letters(char *content, uint64_t seed)
{
	for (uint32_t i = 0; i < PS_PAGE_SIZE; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		content[i] = i % 64 < 24 ? (char)('a' + (seed >> 60) % 3) : 'x';
	}
}

TEST("what stays is compressed a second time, once, and only where that needs a smaller slot")
{
	struct zip *zip = zip_with(MANY);
	_Alignas(16) char content[PS_PAGE_SIZE], out[PS_PAGE_SIZE];
	uint32_t old, young;
	uint64_t before;

	zip_set_now(zip, 10);
	letters(content, 1);
	REQUIRE_OK(zip_put(zip, 1, content, ZIP_SOON, &old));
	put(zip, 2, 100, ZIP_SOON); /* the smallest slot already */
	zip_set_now(zip, 100);
	letters(content, 3);
	REQUIRE_OK(zip_put(zip, 3, content, ZIP_SOON, &young));
	before = figures(zip).payload;
	REQUIRE_EQ(figures(zip).zstd, 0);
	zip_settle(zip, 60, 100);
	CHECK_EQ(figures(zip).again, 1);
	CHECK_EQ(figures(zip).zstd, 1);
	CHECK_LT(figures(zip).payload, before);
	CHECK_EQ(zip_settle(zip, 60, 100), 0);
	letters(content, 1);
	REQUIRE_OK(zip_get(zip, old, 1, out));
	CHECK_MEM(out, content, PS_PAGE_SIZE);
	letters(content, 3);
	REQUIRE_OK(zip_get(zip, young, 3, out));
	CHECK_MEM(out, content, PS_PAGE_SIZE);
	zip_set_now(zip, 200);
	CHECK_EQ(zip_settle(zip, 60, 100), 1);
	CHECK_EQ(figures(zip).again, 2);
	zip_free(zip);
}

TEST("pages of slots with few in use are packed, and their memory is given back")
{
	struct zip *zip = zip_with(MANY);
	uint32_t handle[800];
	uint64_t held;

	for (uint32_t i = 0; i < 800; i++)
		handle[i] = put(zip, i, 300, ZIP_STAYS);
	CHECK_EQ(figures(zip).slabs, 100);
	for (uint32_t i = 0; i < 800; i++)
		if (i % 8)
			zip_drop(zip, handle[i], i);
	CHECK_EQ(figures(zip).slabs, 100);
	held = figures(zip).held;
	while (zip_pack(zip, 64))
		;
	while (figures(zip).slabs > 13) {
		uint64_t slabs = figures(zip).slabs;

		zip_pack(zip, 64);
		REQUIRE_LT(figures(zip).slabs, slabs);
	}
	CHECK_EQ(figures(zip).slabs, 13); /* 100 slots, 8 a page */
	CHECK_LE(figures(zip).held, held - 80 * PS_PAGE_SIZE);
	CHECK_EQ(figures(zip).moved, 87);
	for (uint32_t i = 0; i < 800; i += 8)
		check_is(zip, handle[i], i, 300);
	zip_free(zip);
}

TEST("packing alone never makes the cache hold more, whatever mixture of slots it has")
{
	struct zip *zip = zip_with(MANY);
	uint32_t handle[600], noise[600];
	struct rng rng = {test_seed()};

	for (uint32_t i = 0; i < 600; i++) {
		noise[i] = (uint32_t)rng_below(&rng, 1900);
		handle[i] = put(zip, i, noise[i], rng_below(&rng, 2) ? ZIP_SOON : ZIP_STAYS);
	}
	for (uint32_t i = 0; i < 600; i++)
		if (rng_below(&rng, 3)) {
			zip_drop(zip, handle[i], i);
			handle[i] = 0;
		}
	for (uint32_t round = 0; round < 600; round++) {
		uint64_t slabs = figures(zip).slabs;

		zip_pack(zip, 1);
		REQUIRE_LE(figures(zip).slabs, slabs);
	}
	/* At most one page of each size is not full. */
	CHECK_LE(figures(zip).slabs, figures(zip).slots[0] / 8 + figures(zip).slots[1] / 4 +
					     figures(zip).slots[2] / 2 + 3);
	for (uint32_t i = 0; i < 600; i++)
		if (handle[i])
			check_is(zip, handle[i], i, noise[i]);
	zip_free(zip);
}

TEST("a model of the cache agrees with it after any calls in any order")
{
	struct zip *zip = zip_with(260);
	uint32_t handle[256] = {0}, noise[256], version[256] = {0}, handles[8], pages[8];
	struct rng rng = {test_seed()};

	for (uint32_t round = 0; round < 20000; round++) {
		uint32_t i = (uint32_t)rng_below(&rng, 256);
		int err;

		if (handle[i]) {
			check_is(zip, handle[i], i + 256 * version[i], noise[i]);
			if (rng_below(&rng, 3)) {
				zip_drop(zip, handle[i], i + 256 * version[i]);
				handle[i] = 0;
			}
		} else {
			noise[i] = (uint32_t)rng_below(&rng, 2300);
			version[i]++;
			err = zip_put(zip, i + 256 * version[i],
				      page_of(i + 256 * version[i], noise[i]),
				      rng_below(&rng, 2) ? ZIP_SOON : ZIP_STAYS, &handle[i]);
			REQUIRE(err == 0 || err == -E2BIG || err == -ENOSPC);
			REQUIRE(err != -E2BIG || noise[i] > 1900);
			if (err)
				handle[i] = 0;
		}
		if (rng_below(&rng, 50) == 0) {
			zip_set_now(zip, round);
			zip_settle(zip, 100, 10);
			zip_pack(zip, 10);
			zip_oldest(zip, 0, 8, handles, pages);
			REQUIRE_LE(figures(zip).held, 261ull * PS_PAGE_SIZE);
		}
	}
	for (uint32_t i = 0; i < 256; i++)
		if (handle[i])
			zip_drop(zip, handle[i], i + 256 * version[i]);
	CHECK_EQ(figures(zip).entries, 0);
	CHECK_EQ(figures(zip).payload, 0);
	CHECK_EQ(figures(zip).slots[0] + figures(zip).slots[1] + figures(zip).slots[2], 0);
	while (figures(zip).slabs)
		zip_pack(zip, 100);
	CHECK_EQ(figures(zip).damaged, 0);
	zip_free(zip);
}

TEST("where slots are packed, a fifth of them is not payload at most for even sizes")
{
	struct zip *zip = zip_with(MANY);
	struct zip_figures f;

	/* Every size alike, up to the largest: 3/4 of a slot in the mean. */
	for (uint32_t i = 0; i < 1536; i++)
		put(zip, i, 230 + i, ZIP_STAYS);
	f = figures(zip);
	CHECK_GE((double)f.payload / (double)(f.slabs * PS_PAGE_SIZE), 0.7);
	/* And the tables are little beside it. */
	CHECK_LE(f.held - f.slabs * PS_PAGE_SIZE, f.held / 3);
	zip_free(zip);
}

/* ---- threads -------------------------------------------------------------------------------- */

#define SHELF 64u

/* Each thread has pages of its own, and all read all. */
struct shelf {
	struct zip *zip;
	pthread_mutex_t lock[SHELF];
	uint32_t handle[SHELF], page[SHELF], noise[SHELF];
	atomic_bool stop;
	atomic_uint threads;
};

static void *keeper(void *arg)
{
	struct shelf *s = arg;
	struct rng rng = {77 + atomic_fetch_add(&s->threads, 1)};

	for (uint32_t round = 0; round < 1500; round++) {
		uint32_t i = (uint32_t)rng_below(&rng, SHELF);

		pthread_mutex_lock(&s->lock[i]);
		if (s->handle[i] && rng_below(&rng, 2)) {
			check_is(s->zip, s->handle[i], s->page[i], s->noise[i]);
		} else if (s->handle[i]) {
			zip_drop(s->zip, s->handle[i], s->page[i]);
			s->handle[i] = 0;
		} else {
			s->page[i] += SHELF;
			s->noise[i] = (uint32_t)rng_below(&rng, 1800);
			s->handle[i] = put(s->zip, s->page[i], s->noise[i],
					   rng_below(&rng, 2) ? ZIP_SOON : ZIP_STAYS);
		}
		pthread_mutex_unlock(&s->lock[i]);
	}
	return NULL;
}

static void *upkeep(void *arg)
{
	struct shelf *s = arg;

	for (uint32_t now = 1; !s->stop; now += 2) {
		zip_set_now(s->zip, now);
		zip_settle(s->zip, 1, 16);
		zip_pack(s->zip, 16);
	}
	return NULL;
}

TEST("many threads put, get and drop while entries are compressed anew and moved")
{
	struct shelf *s = calloc(1, sizeof(*s));
	pthread_t thread[6], other;

	s->zip = zip_with(MANY);
	for (uint32_t i = 0; i < SHELF; i++)
		pthread_mutex_init(&s->lock[i], NULL);
	pthread_create(&other, NULL, upkeep, s);
	for (uint32_t i = 0; i < 6; i++)
		pthread_create(&thread[i], NULL, keeper, s);
	for (uint32_t i = 0; i < 6; i++)
		pthread_join(thread[i], NULL);
	s->stop = true;
	pthread_join(other, NULL);
	CHECK_EQ(figures(s->zip).damaged, 0);
	zip_free(s->zip);
	free(s);
}
