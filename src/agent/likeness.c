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
 * is not shown: only pages that are known (hinted, shared, out) are.
 *
 * Guests may have one page many thousand times (poison, a video's black), which would fill the
 * sample, or push the bound below its value. So of a page that is in already more than a few times
 * only every 16th, 256th, ... is taken, chosen by its place, and counts for so many.
 *
 * Clones of a fork have their parent's pages without ever having hashed them: those are not in it.
 */
#include "agent/likeness.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/agent.h"
#include "sys/pagemap.h"
#include "sys/proc.h"

#define WORDS 16u
#define STRIDE (PS_PAGE_SIZE / sizeof(uint64_t) / WORDS)
#define FEW_WORDS 4u
#define WHOLE (1u << 29)
#define VALUE_SEED 0x70736861726576ull
#define HASH_SEED 0x7073686172656cull

/* Two chains, so that the multiplications overlap. */
static uint32_t value_of(const void *page)
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
		return XXH3_64bits_withSeed(page, PS_PAGE_SIZE, VALUE_SEED) & (WHOLE - 1);
	a = (a ^ (b << 17 | b >> 47)) * 0x94d049bb133111ebull;
	return (a ^ a >> 31) >> 16 & (WHOLE - 1);
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
static void drop(struct likeness *l, uint32_t at)
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

static void lower(struct likeness *l)
{
	l->below -= l->below / 8;
	for (uint32_t at = 0; at < LIKENESS_SLOTS;) {
		if (l->slot[at].page && l->slot[at].value >= l->below)
			drop(l, at); /* another may be in its place now */
		else
			at++;
	}
}

void likeness_forget(struct likeness *l, uint32_t page)
{
	uint32_t at = find(l, page);

	if (l->slot[at].page)
		drop(l, at);
}

void likeness_note(struct likeness *l, uint32_t page, const void *content)
{
	uint32_t value = value_of(content), at = find(l, page);
	unsigned int level;
	uint64_t hash;

	if (!l->below)
		l->below = WHOLE;
	if (value >= l->below) {
		if (l->slot[at].page)
			drop(l, at);
		return;
	}
	hash = XXH3_64bits_withSeed(content, PS_PAGE_SIZE, HASH_SEED);
	if (l->slot[at].page && l->slot[at].hash == hash)
		return;
	if (l->slot[at].page)
		drop(l, at);
	level = level_of(*doubles_of(l, hash));
	if (!is_chosen(page, level))
		return;
	l->slot[find(l, page)] = (struct likeness_slot){page + 1, value, level, hash};
	++*doubles_of(l, hash);
	l->n++;
	while (l->n > PS_LIKENESS_MAX)
		lower(l);
}

/* ---- shown --------------------------------------------------------------------------------- */

/* Is the page still what it was when it was hashed? */
static bool is_known(struct agent *a, uint32_t vm_page)
{
	uint32_t page;
	const struct region *r = region_of(a, vm_page, &page);

	if (!r || r->life != REGION_MANAGED)
		return false;
	switch (page_state(&r->state[page])) {
	case PAGE_NEW:
	case PAGE_ARMED:
	case PAGE_BROKEN:
	case PAGE_ZERO:
		return false;
	default:
		return true;
	}
}

/* Was the guest's own page discarded? The walk has no reason to look there. */
static bool is_gone(struct agent *a, uint32_t vm_page)
{
	uint64_t entry = 0;
	uint32_t page;
	const struct region *r = region_of(a, vm_page, &page);

	if (!r || r->life != REGION_MANAGED || page_state(&r->state[page]) > PAGE_TWIN)
		return false;
	return pagemap_read(a->pagemap, (uintptr_t)region_page(r, page), &entry, 1) == 0 &&
	       !pagemap_is_copied(entry);
}

/* An eighth of the slots at a time: each is a look into the page tables. Under act. */
static void drop_the_gone(struct agent *a, struct likeness *l)
{
	for (uint32_t i = 0; i < LIKENESS_SLOTS / 8; i++) {
		l->look = (l->look + 1) % LIKENESS_SLOTS;
		if (l->slot[l->look].page && is_gone(a, l->slot[l->look].page - 1))
			drop(l, l->look);
	}
}

static void show(struct agent *a, struct likeness *l)
{
	struct ps_likeness *out = &a->link.map->likeness;
	uint32_t seq = __atomic_load_n(&out->seq, __ATOMIC_RELAXED) | 1, n = 0;
	uint64_t pages = 0;

	__atomic_store_n(&out->seq, seq, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&a->act);
	drop_the_gone(a, l);
	for (uint32_t at = 0; at < LIKENESS_SLOTS && n < PS_LIKENESS_MAX; at++)
		if (l->slot[at].page && is_known(a, l->slot[at].page - 1)) {
			out->hash[n++] = l->slot[at].hash;
			pages += 1ull << 4 * l->slot[at].level;
		}
	pthread_mutex_unlock(&a->act);
	out->n = n;
	out->pages = pages;
	out->below = l->below ? l->below * 8 : WHOLE * 8ull;
	__atomic_store_n(&out->seq, seq + 1, __ATOMIC_SEQ_CST);
}

uint64_t likeness_step(struct agent *a, uint64_t now)
{
	struct likeness *l = &a->likeness;

	if (a->link.state != LINK_UP || !a->link.has_likeness)
		return UINT64_MAX;
	if (now < l->due)
		return l->due - now;
	l->due = now + LIKENESS_NS;
	show(a, l);
	return LIKENESS_NS;
}
