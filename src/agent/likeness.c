/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Pages are sampled by content: a page is in if a value made of it is below a bound. So two VMs
 * that have a page both have it in their samples, or neither, if they sample equally finely; what
 * one samples less finely is a part of what the other does. Nothing here is keyed or secret: the
 * daemon makes tokens of it with a key that no VMM knows (policy/sketch.h).
 *
 * The value has to cost next to nothing, for every page that the walk hashes gets one: it is made
 * of one word from each 256 bytes of the page, which was read a moment ago. Pages that are mostly
 * zeros often differ elsewhere only: where fewer than FEW_WORDS of those words are not zero, the
 * whole page is hashed. Pages that still have one value are in or out together, which makes the
 * estimate less exact and never wrong.
 *
 * Only a page that is in is hashed once more, unseeded: one in a hundred of a VM of 1 GiB.
 *
 * When there are more than PS_LIKENESS_MAX the bound falls by an eighth, and those above it go. It
 * never rises: which pages would have been in is not known. A VM that had much memory and gave
 * most of it back has a coarse sample. What was written since it was hashed keeps its place, but
 * is not shown: only pages that are known (hinted, shared, out) are (likeness-show.c).
 *
 * Guests may have one page many thousand times (poison, a video's black), which would fill the
 * sample, or push the bound below its value. So of a page that is in already more than a few times
 * only every 16th, 256th, ... is taken, chosen by its place, and counts for so many.
 *
 * The value is no secret, so whoever writes pages in a guest can make thousands of different ones
 * with one value, and a low one. The bound stops at BELOW_LEAST, which no memory brings it to, and
 * a sample that is full there takes nothing more: it is of no use then, and that is all.
 *
 * Clones of a fork have their parent's pages without ever having hashed them; those are sampled
 * after the birth, some at a time (likeness-born.c).
 */
#include "agent/likeness.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define WORDS 16u
#define STRIDE (PS_PAGE_SIZE / sizeof(uint64_t) / WORDS)
#define FEW_WORDS 4u
#define BELOW_LEAST 8192u /* 16 million pages, the most that a VM has, bring it to 50,000 */
#define VALUE_SEED 0x70736861726576ull
#define HASH_SEED 0x7073686172656cull

/* Two chains, so that the multiplications overlap. */
uint32_t likeness_value(const void *page)
{
	const uint64_t *word = page;
	uint64_t a = VALUE_SEED, b = ~VALUE_SEED;
	unsigned int any = 0;

	for (unsigned int i = 0; i < WORDS; i += 2) {
		/* not at one place of each stride: heads of records are alike */
		uint64_t x = word[i * STRIDE + i * 7 % STRIDE];
		uint64_t y = word[(i + 1) * STRIDE + (i + 1) * 7 % STRIDE];

		any += (x != 0) + (y != 0);
		a = (a ^ x) * 0x9e3779b97f4a7c15ull;
		a ^= a >> 29;
		b = (b ^ y) * 0xd6e8feb86659fd93ull;
		b ^= b >> 32;
	}
	if (any < FEW_WORDS)
		return XXH3_64bits_withSeed(page, PS_PAGE_SIZE, VALUE_SEED) & (LIKENESS_WHOLE - 1);
	a = (a ^ (b << 17 | b >> 47)) * 0x94d049bb133111ebull;
	return (a ^ a >> 31) >> 16 & (LIKENESS_WHOLE - 1);
}

/* ---- the table: by page, open addresses ---------------------------------------------------- */

static uint8_t *doubles_of(struct likeness *l, uint64_t hash)
{
	return &l->doubles[hash & (LIKENESS_SLOTS - 1)];
}

/* Which part of the doubles is taken, 16 to the power of it, where so many are in. */
static unsigned int level_of(uint8_t doubles)
{
	return doubles < 8 ? 0 : doubles < 64 ? 1 : doubles < 128 ? 2 : doubles < 192 ? 3 : 4;
}

static bool is_chosen(uint32_t page, unsigned int level)
{
	return (page * 0x9e3779b1u >> 8 & ((1u << 4 * level) - 1)) == 0;
}

static uint32_t home_of(uint32_t page)
{
	return page * 2654435761u >> 16 & (LIKENESS_SLOTS - 1);
}

/* Where it is, or would be. */
static uint32_t find(const struct likeness *l, uint32_t page)
{
	uint32_t at = home_of(page);

	while (l->slot[at].page && l->slot[at].page != page + 1)
		at = (at + 1) & (LIKENESS_SLOTS - 1);
	return at;
}

/* Those behind it move up, so that none is behind a gap. */
void likeness_drop(struct likeness *l, uint32_t at)
{
	uint32_t next = at;

	l->n--;
	--*doubles_of(l, l->slot[at].hash);
	for (;;) {
		uint32_t home;

		l->slot[at].page = 0;
		do {
			next = (next + 1) & (LIKENESS_SLOTS - 1);
			if (!l->slot[next].page)
				return;
			home = home_of(l->slot[next].page - 1);
			/* it may move if its home is not between the gap and itself */
		} while (at <= next ? at < home && home <= next : at < home || home <= next);
		l->slot[at] = l->slot[next];
		at = next;
	}
}

/* False: it is as low as it gets. */
static bool lower(struct likeness *l)
{
	uint64_t below = l->below - l->below / 8;

	if (below < BELOW_LEAST)
		return false;
	l->below = below;
	for (uint32_t at = 0; at < LIKENESS_SLOTS;) {
		if (l->slot[at].page && l->slot[at].value >= l->below)
			likeness_drop(l, at); /* another may be in its place now */
		else
			at++;
	}
	return true;
}

void likeness_forget(struct likeness *l, uint32_t page)
{
	uint32_t at = find(l, page);

	if (l->slot[at].page)
		likeness_drop(l, at);
}

void likeness_note(struct likeness *l, uint32_t page, const void *content)
{
	uint32_t value = likeness_value(content), at = find(l, page);
	unsigned int level;
	uint64_t hash;

	if (!l->below)
		l->below = LIKENESS_WHOLE;
	if (value >= l->below) {
		if (l->slot[at].page)
			likeness_drop(l, at);
		return;
	}
	hash = XXH3_64bits_withSeed(content, PS_PAGE_SIZE, HASH_SEED);
	if (l->slot[at].page && l->slot[at].hash == hash)
		return;
	if (l->slot[at].page)
		likeness_drop(l, at);
	level = level_of(*doubles_of(l, hash));
	if (!is_chosen(page, level))
		return;
	while (l->n >= PS_LIKENESS_MAX)
		if (!lower(l))
			return;
	if (value >= l->below)
		return;
	l->slot[find(l, page)] = (struct likeness_slot){page + 1, value, level, hash};
	++*doubles_of(l, hash);
	l->n++;
}
