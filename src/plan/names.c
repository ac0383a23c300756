/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A table of open addresses over one buffer of texts. Nothing is ever taken out. */
#include "plan/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FNV_BASIS 14695981039346656037ull
#define FNV_PRIME 1099511628211ull

static uint64_t hash_of(const char *text)
{
	uint64_t hash = FNV_BASIS;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * FNV_PRIME;
	return hash ^ hash >> 29;
}

void plan_names_free(struct plan_names *names)
{
	free(names->text);
	free(names->at);
	free(names->slots);
	*names = (struct plan_names){0};
}

const char *plan_names_get(const struct plan_names *names, uint32_t number)
{
	return number < names->n ? names->text + names->at[number] : "";
}

/* The slot that has the text, or would. */
static uint32_t *slot_of(const struct plan_names *names, const char *text)
{
	uint64_t at = hash_of(text);

	for (;; at++) {
		uint32_t *slot = &names->slots[at & (names->nslots - 1)];

		if (!*slot || strcmp(plan_names_get(names, *slot - 1), text) == 0)
			return slot;
	}
}

int64_t plan_names_find(const struct plan_names *names, const char *text)
{
	return names->nslots ? (int64_t)*slot_of(names, text) - 1 : -1;
}

static int grow_slots(struct plan_names *names)
{
	uint32_t more = names->nslots ? names->nslots * 2 : 64;
	uint32_t *slots = calloc(more, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(names->slots);
	names->slots = slots;
	names->nslots = more;
	for (uint32_t i = 0; i < names->n; i++)
		*slot_of(names, plan_names_get(names, i)) = i + 1;
	return 0;
}

static int append(struct plan_names *names, const char *text)
{
	size_t size = strlen(text) + 1;

	if (names->length + size > names->room) {
		size_t room = (names->length + size) * 2;
		char *more = room < UINT32_MAX ? realloc(names->text, room) : NULL;

		if (!more)
			return -ENOMEM;
		names->text = more;
		names->room = room;
	}
	if (names->n == names->at_room) {
		uint32_t room = names->at_room ? names->at_room * 2 : 64;
		uint32_t *more = realloc(names->at, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		names->at = more;
		names->at_room = room;
	}
	names->at[names->n++] = (uint32_t)names->length;
	memcpy(names->text + names->length, text, size);
	names->length += size;
	return 0;
}

int64_t plan_names_put(struct plan_names *names, const char *text, int *made)
{
	uint32_t *slot;
	int r;

	if (made)
		*made = 0;
	if (names->n + names->n / 2 >= names->nslots) {
		r = grow_slots(names);
		if (r)
			return r;
	}
	slot = slot_of(names, text);
	if (*slot)
		return *slot - 1;
	r = append(names, text);
	if (r)
		return r;
	*slot = names->n;
	if (made)
		*made = 1;
	return names->n - 1;
}
