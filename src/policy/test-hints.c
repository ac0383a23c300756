/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/hints.h"
#include "policy/test-random.h"
#include "wire/wire.h"

#include <stdlib.h>

static struct hints one;
static struct page_index *idx;
static struct index_entry had;

static void begin(uint64_t quota)
{
	idx = index_new(0, 42);
	hints_init(&one, vmmap_new(), 3);
	one.quota = quota;
	REQUIRE(idx && one.map);
}

static void end(void)
{
	CHECK(hints_check(&one));
	CHECK(index_check(idx));
	CHECK_EQ(index_stats(idx).hints, vmmap_hinted(one.map));
	vmmap_free(one.map);
	index_free(idx);
}

TEST("a page has one hint: a newer one takes the older one out")
{
	begin(100);
	for (uint64_t hash = 0; hash < 1000; hash++)
		CHECK_OK(hints_put(&one, idx, 7, hash, &had));
	CHECK_EQ(index_stats(idx).hints, 1u);
	CHECK_EQ(index_lookup(idx, 0).kind, INDEX_NONE);
	CHECK_EQ(index_lookup(idx, 999).page, 7u);
	CHECK_EQ(one.evicted, 0u);
	CHECK(hints_forget(&one, idx, 7));
	CHECK(!hints_forget(&one, idx, 7));
	CHECK_EQ(index_stats(idx).hints, 0u);
	end();
}

TEST("memory that is rewritten again and again never reaches the quota of its pages")
{
	enum { PAGES = 3000 };

	begin(PAGES);
	for (uint64_t round = 0; round < 40; round++)
		for (uint32_t page = 0; page < PAGES; page++)
			CHECK_OK(hints_put(&one, idx, page, round << 32 | page, &had));
	CHECK_EQ(one.evicted, 0u);
	CHECK_EQ(one.lost, 0u);
	CHECK_EQ(index_stats(idx).hints, PAGES);
	end();
}

TEST("at the quota the oldest make room, by age and not by place")
{
	enum { QUOTA = 6400, ALL = 9600 };
	struct rng rng = {1};
	uint32_t *order = calloc(ALL, sizeof(*order)), old = 0, young = 0;

	REQUIRE(order);
	begin(QUOTA);
	for (uint32_t i = 0; i < ALL; i++) { /* pages in a random order */
		uint32_t other = rng_below(&rng, i + 1);

		order[i] = order[other];
		order[other] = i;
	}
	for (uint32_t i = 0; i < ALL; i++)
		CHECK_OK(hints_put(&one, idx, order[i] * 100, i, &had));
	CHECK_EQ(one.evicted, ALL - QUOTA);
	CHECK_EQ(one.lost, one.evicted);
	for (uint32_t i = 0; i < ALL; i++)
		*(i < ALL - QUOTA ? &old : &young) += index_lookup(idx, i).kind == INDEX_HINT;
	/* A border era goes in the order of its pages: 200 of each are not told apart. */
	CHECK_LT(old, 250u);
	CHECK_GT(young, QUOTA - 250u);
	free(order);
	end();
}

TEST("who has no quota puts nothing, and it counts as lost; a frame is no loss")
{
	begin(0);
	CHECK_EQ(hints_put(&one, idx, 1, 1, &had), -ENOSPC);
	CHECK_EQ(one.lost, 1u);
	CHECK(!hints_may_return(&one));
	one.quota = 1;
	CHECK(hints_may_return(&one));
	CHECK_OK(index_put_frame(idx, 5, 9, &had));
	CHECK_EQ(hints_put(&one, idx, 1, 5, &had), -EEXIST);
	CHECK_EQ(one.lost, 1u);
	CHECK_EQ(vmmap_hinted(one.map), 0u);
	end();
}

TEST("another page's hint, or a frame, that takes a hint's place leaves no note behind")
{
	begin(10);
	CHECK_OK(hints_put(&one, idx, 1, 77, &had));
	CHECK_OK(hints_put(&one, idx, 2, 77, &had));
	CHECK_EQ(had.kind, INDEX_HINT);
	CHECK_EQ(had.page, 1u);
	hints_taken(&one, 1);
	CHECK_EQ(vmmap_hinted(one.map), 1u);
	CHECK_OK(index_put_frame(idx, 77, 4, &had));
	CHECK_EQ(had.page, 2u);
	hints_taken(&one, 2);
	CHECK_EQ(vmmap_hinted(one.map), 0u);
	CHECK_OK(vmmap_set(one.map, 2, VMMAP_PENDING, 4));
	hints_taken(&one, 2); /* its frame is not a note */
	CHECK_EQ(vmmap_get(one.map, 2).frame, 4u);
	end();
}

/*
 * The property: whatever the history, once nothing changes any more, every page that is equal to
 * another is shared. Guests of a few bytes a page; agents that hint a page once when it has become
 * stable, and all of them when they are told to; a matcher that asks for the content, as
 * daemon/match.c does. The count is of the guests' contents alone.
 */
enum { VMS = 3, PAGES = 700, CONTENTS = 500 };

static struct world {
	struct page_index *index;
	struct hints hints[VMS];
	uint64_t content[VMS][PAGES]; /* 0: the page is gone */
	bool hinted[VMS][PAGES];      /* the agent believes that the daemon knows it */
	uint32_t frames;
	uint32_t refs[200000];
	uint64_t of_frame[200000];
} w;

static void unshare(uint32_t vm, uint32_t page)
{
	struct vmmap_entry entry = vmmap_get(w.hints[vm].map, page);

	if (entry.state != VMMAP_MAPPED)
		return;
	vmmap_clear(w.hints[vm].map, page);
	if (--w.refs[entry.frame] == 0)
		CHECK(index_remove_frame(w.index, w.of_frame[entry.frame], entry.frame));
}

static void share(uint32_t vm, uint32_t page, uint32_t frame)
{
	(void)hints_forget(&w.hints[vm], w.index, page);
	CHECK_OK(vmmap_set(w.hints[vm].map, page, VMMAP_PENDING, frame));
	CHECK_OK(vmmap_set(w.hints[vm].map, page, VMMAP_MAPPED, frame));
	w.refs[frame]++;
}

static void put(uint32_t vm, uint32_t page)
{
	if (hints_put(&w.hints[vm], w.index, page, w.content[vm][page], &had) == 0 &&
	    had.kind == INDEX_HINT)
		hints_taken(&w.hints[had.vm], had.page);
}

/* What match.c does with a hint, in small. */
static void match(uint32_t vm, uint32_t page)
{
	uint64_t hash = w.content[vm][page];
	struct index_entry found = index_lookup(w.index, hash);

	if (found.kind == INDEX_FRAME && w.of_frame[found.frame] == hash) {
		share(vm, page, found.frame);
	} else if (found.kind == INDEX_HINT && (found.vm != vm || found.page != page) &&
		   w.content[found.vm][found.page] == hash) {
		REQUIRE_LT(w.frames, 200000u);
		w.of_frame[w.frames] = hash;
		CHECK_OK(index_put_frame(w.index, hash, w.frames, &had));
		hints_taken(&w.hints[had.vm], had.page);
		share(found.vm, found.page, w.frames);
		share(vm, page, w.frames++);
	} else if (found.kind != INDEX_FRAME) {
		if (found.kind == INDEX_HINT)
			(void)hints_forget(&w.hints[found.vm], w.index, found.page);
		put(vm, page);
	}
}

static void look(uint32_t vm)
{
	for (uint32_t page = 0; page < PAGES; page++) {
		if (!w.content[vm][page] || w.hinted[vm][page])
			continue;
		w.hinted[vm][page] = true;
		if (vmmap_get(w.hints[vm].map, page).state != VMMAP_MAPPED)
			match(vm, page);
	}
}

/* The daemon's part where hints were lost: all of them anew. */
static void restart(uint32_t vm)
{
	uint64_t cursor = 0;
	uint32_t page = 0;

	while (!hints_restart(&w.hints[vm], &page, 100))
		;
	while (!index_sweep(w.index, vm, 0, PS_PAGES_MAX - 1, &cursor, 100))
		;
	memset(w.hinted[vm], 0, sizeof(w.hinted[vm]));
}

static void random_event(struct rng *rng)
{
	uint32_t vm = rng_below(rng, VMS), page = rng_below(rng, PAGES);
	uint32_t n = 1 + rng_below(rng, 60);

	switch (rng_below(rng, 8)) {
	case 0:
		look(vm);
		return;
	case 1: /* a balloon that breathes: what is there, and so the quota, is less */
		w.hints[vm].quota = 50 + rng_below(rng, PAGES);
		return;
	case 2:
		if (w.hints[vm].lost && rng_below(rng, 4) == 0)
			restart(vm);
		return;
	default:
		break;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t p = (page + i) % PAGES;

		unshare(vm, p);
		/* contents that nobody else has, equal ones, or none */
		w.content[vm][p] = rng_below(rng, 3) == 0 ? rng_next(rng) :
				   rng_below(rng, 10)	  ? 1 + rng_below(rng, CONTENTS) :
							    0;
		w.hinted[vm][p] = false;
	}
}

/* Pages whose content another page has as well. */
static uint64_t ideal(void)
{
	uint64_t n = 0;
	uint32_t *seen = calloc(CONTENTS + 1, sizeof(*seen));

	REQUIRE(seen);
	for (uint32_t i = 0; i < VMS * PAGES; i++)
		if (w.content[i / PAGES][i % PAGES] <= CONTENTS)
			seen[w.content[i / PAGES][i % PAGES]]++;
	for (uint32_t c = 1; c <= CONTENTS; c++)
		n += seen[c] > 1 ? seen[c] : 0;
	free(seen);
	return n;
}

/* Frames of which one reference is left count as well: nothing more can be saved there. */
static uint64_t shared(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < VMS * PAGES; i++) {
		struct vmmap_entry e = vmmap_get(w.hints[i / PAGES].map, i % PAGES);

		n += e.state == VMMAP_MAPPED && w.refs[e.frame] > 1;
	}
	return n;
}

static void one_history(uint64_t seed)
{
	struct rng rng = {seed};

	memset(&w, 0, sizeof(w));
	w.index = index_new(0, seed);
	for (uint32_t vm = 0; vm < VMS; vm++) {
		hints_init(&w.hints[vm], vmmap_new(), vm);
		w.hints[vm].quota = PAGES;
	}
	for (int i = 0; i < 1500; i++)
		random_event(&rng);
	for (uint32_t vm = 0; vm < VMS; vm++)
		w.hints[vm].quota = PAGES;
	for (int i = 0; i < 2; i++) {
		for (uint32_t vm = 0; vm < VMS; vm++)
			if (w.hints[vm].lost)
				restart(vm);
		for (uint32_t vm = 0; vm < VMS; vm++)
			look(vm);
	}
	CHECK_EQ(shared(), ideal());
	CHECK(index_check(w.index));
	for (uint32_t vm = 0; vm < VMS; vm++) {
		CHECK(hints_check(&w.hints[vm]));
		CHECK_LE(vmmap_hinted(w.hints[vm].map), PAGES);
		vmmap_free(w.hints[vm].map);
	}
	index_free(w.index);
}

TEST("after any history, once it rests, all that is equal is shared")
{
	for (uint64_t seed = 1; seed <= 60; seed++)
		one_history(seed);
}
