/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * slab: a page has slots of one size. Those with room are listed by how many are in use, so that a
 * new slot goes into the fullest and the emptiest can be emptied: by both, pages come free even
 * where entries leave in any order. What is the last to leave a page makes it a spare, which the
 * next page that is needed takes; spares above that are given back by slab_trim(), never at once: a
 * madvise() interrupts every CPU that runs a thread of the VMM.
 *
 * Three sizes, a factor of 2 apart: on guests' pages a fifth of what slots hold is not payload.
 * Rejected: sizes in steps of 64 bytes over several pages (zsmalloc), which packs to a tenth but
 * needs each page's slots to be moved before any memory comes back.
 */
#include "agent/slab.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "sys/mapping.h"

static uint32_t slots_of(uint32_t class)
{
	return SLAB_SLOTS >> class;
}

int slab_init(struct slab_set *s, uint32_t max)
{
	*s = (struct slab_set){.max = max, .spares = SLAB_NONE, .bare = SLAB_NONE};
	for (uint32_t c = 0; c < SLAB_CLASSES; c++)
		for (uint32_t i = 0; i < SLAB_SLOTS; i++)
			s->partly[c][i] = SLAB_NONE;
	s->memory = map_anon(NULL, (size_t)max * PS_PAGE_SIZE);
	s->slab = map_anon(NULL, max * sizeof(struct slab));
	if (s->memory && s->slab)
		return 0;
	slab_deinit(s);
	return -ENOMEM;
}

void slab_deinit(struct slab_set *s)
{
	map_free(s->memory, (size_t)s->max * PS_PAGE_SIZE);
	map_free(s->slab, s->max * sizeof(struct slab));
	*s = (struct slab_set){0};
}

uint32_t slab_class(uint32_t length)
{
	uint32_t class = 0;

	while (length > SLAB_SLOT_MIN << class)
		class ++;
	return class;
}

char *slab_at(const struct slab_set *s, uint32_t slot)
{
	const struct slab *slab = &s->slab[slot / SLAB_SLOTS];

	return s->memory + (size_t)(slot / SLAB_SLOTS) * PS_PAGE_SIZE +
	       (slot % SLAB_SLOTS) * (SLAB_SLOT_MIN << slab->class);
}

uint32_t slab_owner(const struct slab_set *s, uint32_t slot)
{
	return s->slab[slot / SLAB_SLOTS].owner[slot % SLAB_SLOTS];
}

static void list_add(struct slab_set *s, uint32_t *list, uint32_t page)
{
	s->slab[page].prev = SLAB_NONE;
	s->slab[page].next = *list;
	if (*list != SLAB_NONE)
		s->slab[*list].prev = page;
	*list = page;
}

static void list_remove(struct slab_set *s, uint32_t *list, uint32_t page)
{
	struct slab *slab = &s->slab[page];

	if (slab->prev != SLAB_NONE)
		s->slab[slab->prev].next = slab->next;
	else
		*list = slab->next;
	if (slab->next != SLAB_NONE)
		s->slab[slab->next].prev = slab->prev;
}

/* Full pages and empty ones are in no list of this kind. */
static uint32_t *list_of(struct slab_set *s, const struct slab *slab)
{
	if (!slab->used || slab->used == slots_of(slab->class))
		return NULL;
	return &s->partly[slab->class][slab->used];
}

static uint32_t fullest(const struct slab_set *s, uint32_t class, uint32_t except)
{
	for (uint32_t used = slots_of(class) - 1; used > 0; used--) {
		uint32_t page = s->partly[class][used];

		if (page != SLAB_NONE && page == except)
			page = s->slab[page].next;
		if (page != SLAB_NONE)
			return page;
	}
	return SLAB_NONE;
}

bool slab_grows(const struct slab_set *s, uint32_t class)
{
	return fullest(s, class, SLAB_NONE) == SLAB_NONE && s->spares == SLAB_NONE;
}

static uint32_t new_page(struct slab_set *s, uint32_t class)
{
	uint32_t page = s->spares;

	if (page != SLAB_NONE) {
		list_remove(s, &s->spares, page);
		s->spare--;
	} else if (s->bare != SLAB_NONE) {
		page = s->bare;
		list_remove(s, &s->bare, page);
	} else if (s->fresh < s->max) {
		page = s->fresh++;
	} else {
		return SLAB_NONE;
	}
	s->slab[page].class = (uint8_t) class;
	s->inside++;
	return page;
}

static uint32_t take_in(struct slab_set *s, uint32_t page, uint32_t owner)
{
	struct slab *slab = &s->slab[page];
	uint32_t i = 0;

	if (list_of(s, slab))
		list_remove(s, list_of(s, slab), page);
	while (slab->taken & 1u << i)
		i++;
	slab->taken |= (uint8_t)(1u << i);
	slab->used++;
	slab->owner[i] = owner;
	if (list_of(s, slab))
		list_add(s, list_of(s, slab), page);
	return page * SLAB_SLOTS + i;
}

uint32_t slab_take(struct slab_set *s, uint32_t class, uint32_t owner)
{
	uint32_t page = fullest(s, class, SLAB_NONE);

	if (page == SLAB_NONE)
		page = new_page(s, class);
	return page == SLAB_NONE ? SLAB_NONE : take_in(s, page, owner);
}

void slab_give(struct slab_set *s, uint32_t slot)
{
	uint32_t page = slot / SLAB_SLOTS;
	struct slab *slab = &s->slab[page];

	if (list_of(s, slab))
		list_remove(s, list_of(s, slab), page);
	slab->taken &= (uint8_t) ~(1u << slot % SLAB_SLOTS);
	slab->used--;
	if (list_of(s, slab)) {
		list_add(s, list_of(s, slab), page);
	} else if (!slab->used) {
		list_add(s, &s->spares, page);
		s->spare++;
		s->inside--;
	}
}

static uint32_t emptiest(const struct slab_set *s, uint32_t class)
{
	for (uint32_t used = 1; used < slots_of(class); used++)
		if (s->partly[class][used] != SLAB_NONE)
			return s->partly[class][used];
	return SLAB_NONE;
}

/* Have the other pages of its class room for all that is in that page? */
static bool has_room_elsewhere(const struct slab_set *s, uint32_t class, uint32_t page)
{
	uint32_t room = 0, needed = s->slab[page].used;

	for (uint32_t used = needed; used < slots_of(class) && room < needed; used++)
		for (uint32_t other = s->partly[class][used]; other != SLAB_NONE && room < needed;
		     other = s->slab[other].next)
			room += other == page ? 0 : slots_of(class) - used;
	return room >= needed;
}

uint32_t slab_move(struct slab_set *s, uint32_t class)
{
	uint32_t page = emptiest(s, class), from, to;

	if (page == SLAB_NONE || !has_room_elsewhere(s, class, page))
		return SLAB_NONE;
	from = page * SLAB_SLOTS + (uint32_t)__builtin_ctz(s->slab[page].taken);
	to = take_in(s, fullest(s, class, page), slab_owner(s, from));
	memcpy(slab_at(s, to), slab_at(s, from), SLAB_SLOT_MIN << class);
	slab_give(s, from);
	return to;
}

uint32_t slab_trim(struct slab_set *s, uint32_t n)
{
	uint32_t done = 0;

	for (; done < n && s->spares != SLAB_NONE; done++) {
		uint32_t page = s->spares;

		list_remove(s, &s->spares, page);
		s->spare--;
		list_add(s, &s->bare, page);
		map_advise(s->memory + (size_t)page * PS_PAGE_SIZE, PS_PAGE_SIZE, MADV_DONTNEED);
	}
	return done;
}

uint32_t slab_held(const struct slab_set *s)
{
	return s->inside + s->spare;
}

uint32_t slab_table_held(const struct slab_set *s)
{
	return (uint32_t)((s->fresh * sizeof(struct slab) + PS_PAGE_SIZE - 1) / PS_PAGE_SIZE);
}
