/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Goal: whatever was written, discarded and written again, a page that is equal to another is
 * found. An agent hints a page once, when it has become stable; so a hint that is dropped is lost,
 * and the index may be full of nothing but hints that are true.
 *
 * One a page. The page's entry in the VM's map holds a note where its hint is in the index
 * (index_place(), 24 bits), so a newer hint of the page, or a frame for it, takes the old one
 * out. Hints are then at most as many as pages: with a quota of the VM's memory none is ever
 * dropped for want of room, however long the history.
 *
 * The quota is of memory that the VM verifiably has (daemon/grant.c), and of that VM alone: who
 * hints pages that he does not have crowds out his own hints and nobody else's. What a guest gave
 * back (a balloon) leaves hints that nobody will ever replace, so the quota may be reached by
 * an honest VM as well. Then the oldest go first: the note has an era too (6 bits), of a 32nd of
 * the quota each. Eras are used in turn, one that still has hints is never begun anew: so
 * of two eras it is always known which is older. The hand goes round the map to find a hint of the
 * oldest era; it looks at SEARCH entries at most, and takes the oldest of those.
 *
 * What was dropped is hinted again: the VM counts what it lost, and when there is room, or
 * when all of its hints are to be thrown away to make some, its agent is told to hint everything
 * anew. Rejected: to tell the agent of each hint that is dropped. At the quota that makes it hint
 * and drop in a circle, for ever.
 *
 * Rejected: a second hash for each page (8 bytes, where 4 that frames need anyway do), a hint's age
 * in the index (no bit is free), and what was there first: one cap for a domain, at which a hint
 * at random went. Old contents' hints filled it, and half of the fresh ones went with them.
 */
#include "policy/hints.h"

#include <errno.h>

#define ERA_BITS 6u
#define ERA_MASK (HINTS_ERAS - 1)
#define ERA_PART 32u /* an era is so much of the quota, ... */
#define ERA_MIN 64u  /* ... but so many hints at least */
#define SEARCH 4096u /* entries looked at for the oldest */
#define ROOM_PART 8u /* hints return when so much of the quota is free */

_Static_assert(INDEX_PLACE_BITS + ERA_BITS == VMMAP_NOTE_BITS, "a note is a place and an era");
_Static_assert(1u << ERA_BITS == HINTS_ERAS, "an era fits its bits");

static uint32_t era_of(uint32_t note)
{
	return note & ERA_MASK;
}

static uint32_t place_in(uint32_t note)
{
	return note >> ERA_BITS;
}

/* How long ago an era began: 0 is the present one. */
static uint32_t era_age(const struct hints *hints, uint32_t era)
{
	return (hints->era - era) & ERA_MASK;
}

void hints_init(struct hints *hints, struct vmmap *map, uint32_t vm)
{
	*hints = (struct hints){.map = map, .vm = vm};
}

void hints_lose(struct hints *hints)
{
	hints->lost++;
}

void hints_found(struct hints *hints)
{
	if (hints->lost)
		hints->lost--;
}

/* Takes the note out; what is in the index is the caller's. */
static void drop_note(struct hints *hints, uint32_t page, uint32_t note)
{
	hints->count[era_of(note)]--;
	(void)vmmap_clear(hints->map, page);
}

bool hints_forget(struct hints *hints, struct page_index *index, uint32_t page)
{
	struct vmmap_entry entry = vmmap_get(hints->map, page);

	if (entry.state != VMMAP_HINTED)
		return false;
	(void)index_remove_page(index, place_in(entry.frame), hints->vm, page);
	drop_note(hints, page, entry.frame);
	return true;
}

void hints_taken(struct hints *hints, uint32_t page)
{
	struct vmmap_entry entry = vmmap_get(hints->map, page);

	if (entry.state == VMMAP_HINTED)
		drop_note(hints, page, entry.frame);
}

static uint32_t oldest_era(const struct hints *hints)
{
	uint32_t era = hints->era;

	do
		era = (era + 1) & ERA_MASK;
	while (!hints->count[era] && era != hints->era);
	return era;
}

/* The page whose hint goes: of the oldest era, or the oldest that a bounded search finds. */
static bool find_oldest(struct hints *hints, uint32_t *victim)
{
	uint32_t oldest = era_age(hints, oldest_era(hints)), best = 0;
	bool found = false, wrapped = false;
	struct vmmap_entry entry;

	for (uint32_t n = 0; n < SEARCH; hints->hand++) {
		uint32_t age;

		if (!vmmap_next(hints->map, &hints->hand, &entry)) {
			if (wrapped)
				break;
			wrapped = true;
			hints->hand = UINT32_MAX; /* and one more: the first page */
			continue;
		}
		n++;
		if (entry.state != VMMAP_HINTED)
			continue;
		age = era_age(hints, era_of(entry.frame));
		if (found && age <= best)
			continue;
		found = true;
		best = age;
		*victim = hints->hand;
		if (age == oldest)
			break;
	}
	return found;
}

static bool make_room(struct hints *hints, struct page_index *index)
{
	uint32_t victim = 0;

	while (vmmap_hinted(hints->map) >= hints->quota) {
		if (!hints->quota || !find_oldest(hints, &victim))
			return false;
		(void)hints_forget(hints, index, victim);
		hints->evicted++;
		hints->lost++;
	}
	return true;
}

/* The next era begins when this one has its part, and when nothing is left of the last time. */
static void step_era(struct hints *hints)
{
	uint64_t part = hints->quota / ERA_PART;
	uint32_t next = (hints->era + 1) & ERA_MASK;

	if (++hints->era_puts < (part > ERA_MIN ? part : ERA_MIN) || hints->count[next])
		return;
	hints->era = next;
	hints->era_puts = 0;
}

int hints_put(struct hints *hints, struct page_index *index, uint32_t page, uint64_t hash,
	      struct index_entry *had)
{
	uint32_t note = index_place(index, hash) << ERA_BITS | hints->era;
	int r = -ENOSPC;

	(void)hints_forget(hints, index, page);
	if (make_room(hints, index))
		r = vmmap_hint(hints->map, page, note);
	if (r == 0) {
		hints->count[hints->era]++;
		r = index_put_hint(index, hash, hints->vm, page, had);
		if (r < 0)
			drop_note(hints, page, note);
	}
	if (r == 0)
		step_era(hints);
	else if (r != -EEXIST)
		hints->lost++;
	return r;
}

bool hints_may_return(const struct hints *hints)
{
	return hints->lost && hints->quota;
}

bool hints_restart(struct hints *hints, uint32_t *page, uint32_t budget)
{
	struct vmmap_entry entry;

	for (uint32_t n = 0; vmmap_next(hints->map, page, &entry); ++*page) {
		if (n++ == budget)
			return false;
		if (entry.state == VMMAP_HINTED)
			drop_note(hints, *page, entry.frame);
	}
	hints->lost = 0;
	return true;
}

bool hints_check(const struct hints *hints)
{
	uint64_t count[HINTS_ERAS] = {0};
	struct vmmap_entry entry;

	for (uint32_t page = 0; vmmap_next(hints->map, &page, &entry); page++)
		if (entry.state == VMMAP_HINTED)
			count[era_of(entry.frame)]++;
	for (uint32_t era = 0; era < HINTS_ERAS; era++)
		if (count[era] != hints->count[era])
			return false;
	return true;
}
