/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sample by content: what is in it, and what pages that were made for it do to it. */
#include <stdlib.h>
#include <string.h>

#include "agent/likeness.h"
#include "harness/harness.h"

#define WORDS (PS_PAGE_SIZE / sizeof(uint64_t))
#define PLAIN 0x0123456789abcdefull

static struct likeness *new_sample(void)
{
	struct likeness *l = calloc(1, sizeof(*l));

	REQUIRE(l);
	return l;
}

/* A page whose first word, which counts for the value, is `first`, and whose second, which does
 * not, is `second`. */
static const uint64_t *page_of(uint64_t first, uint64_t second)
{
	static uint64_t word[WORDS];

	for (size_t i = 0; i < WORDS; i++)
		word[i] = PLAIN;
	word[0] = first;
	word[1] = second;
	return word;
}

static uint32_t entries(const struct likeness *l)
{
	uint32_t n = 0;

	for (uint32_t at = 0; at < LIKENESS_SLOTS; at++)
		n += l->slot[at].page != 0;
	return n;
}

TEST("pages are in by their value, and no more of them than there is room for")
{
	struct likeness *l = new_sample();

	for (uint32_t page = 0; page < 100000; page++)
		likeness_note(l, page, page_of(page, 0));
	CHECK_EQ(entries(l), l->n);
	CHECK_LE(l->n, PS_LIKENESS_MAX);
	CHECK_GE(l->n, PS_LIKENESS_MAX / 4 * 3);
	for (uint32_t at = 0; at < LIKENESS_SLOTS; at++)
		if (l->slot[at].page)
			CHECK_LT((uint64_t)l->slot[at].value, l->below);
	for (uint32_t page = 0; page < 100000; page++)
		likeness_forget(l, page);
	CHECK_EQ(l->n, 0);
	CHECK_EQ(entries(l), 0);
	free(l);
}

TEST("one page many thousand times does not fill it")
{
	struct likeness *l = new_sample();

	for (uint32_t page = 0; page < 100000; page++)
		likeness_note(l, page, page_of(1, 0));
	CHECK_LT(l->n, 256);
	CHECK_EQ(l->below, LIKENESS_WHOLE);
	free(l);
}

/* The first word of this page was sought for a value of nearly nothing. */
TEST("thousands of different pages made to have one low value take no time, and nobody's place")
{
	static const uint64_t sought = 36143702;
	struct likeness *l = new_sample();

	REQUIRE_LT(likeness_value(page_of(sought, 0)), 7);
	for (uint32_t page = 0; page < 10000; page++)
		likeness_note(l, page, page_of(sought, page));
	CHECK_EQ(l->n, PS_LIKENESS_MAX);
	CHECK_EQ(entries(l), l->n);
	CHECK_GT(l->below, 0);
	free(l);
}
