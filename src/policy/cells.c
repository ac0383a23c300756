/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The index holds millions of arrays that grow a little all the time. With malloc() each growing
 * array leaves a hole that the next one does not fit: measured, a fifth of the memory. So arrays
 * are made of cells of 256 bytes, and cells come from slabs of 64 KiB that have no other size in
 * them: a freed cell fits whoever asks next.
 *
 * Slabs with a free cell are in a list; the cell freed last is used first (it is in the cache). A
 * slab whose last cell was freed goes back to malloc() and keeps its number and its place.
 *
 * Rejected: pointers instead of numbers (twice the size, in each array for each cell).
 */
#include "policy/cells.h"

#include <stdlib.h>
#include <string.h>

#define SLAB_WORDS (SLAB_CELLS * CELL_WORDS)
#define SLABS_MAX (CELL_NONE / SLAB_CELLS)
#define FIRST_ROOM 16u
#define ALLOC_OVERHEAD 16u /* of malloc(), for each piece */
#define SLAB_BYTES (SLAB_WORDS * sizeof(uint64_t) + ALLOC_OVERHEAD)

void cells_init(struct cells *cells)
{
	*cells = (struct cells){.first = CELL_NONE};
}

void cells_deinit(struct cells *cells)
{
	for (uint32_t i = 0; i < cells->n; i++)
		free(cells->slab[i].words);
	free(cells->slab);
	cells_init(cells);
}

static bool table_grow(struct cells *cells)
{
	uint32_t room = cells->room ? cells->room + cells->room / 2 : FIRST_ROOM;
	struct slab *slab;

	if (room > SLABS_MAX)
		room = SLABS_MAX;
	if (room == cells->room)
		return false;
	slab = realloc(cells->slab, room * sizeof(*slab));
	if (!slab)
		return false;
	cells->slab = slab;
	cells->bytes += (room - cells->room) * sizeof(*slab);
	cells->room = room;
	return true;
}

/* Makes cells->first a slab that has memory and a free cell. */
static bool slab_ready(struct cells *cells)
{
	struct slab *slab;

	if (cells->first == CELL_NONE) {
		if (cells->n == cells->room && !table_grow(cells))
			return false;
		cells->slab[cells->n] = (struct slab){.next = CELL_NONE, .free = SLAB_CELLS};
		cells->first = cells->n++;
	}
	slab = &cells->slab[cells->first];
	if (slab->words)
		return true;
	slab->words = malloc(SLAB_WORDS * sizeof(uint64_t));
	if (!slab->words)
		return false;
	cells->bytes += SLAB_BYTES;
	return true;
}

uint32_t cells_alloc(struct cells *cells)
{
	uint32_t number, at;
	struct slab *slab;

	if (!slab_ready(cells))
		return CELL_NONE;
	number = cells->first;
	slab = &cells->slab[number];
	at = slab->free;
	if (at < SLAB_CELLS)
		slab->free = slab->words[at * CELL_WORDS];
	else
		at = slab->fresh++;
	if (++slab->used == SLAB_CELLS)
		cells->first = slab->next;
	return number * SLAB_CELLS + at;
}

void cells_release(struct cells *cells, uint32_t cell)
{
	uint32_t number = cell / SLAB_CELLS, at = cell % SLAB_CELLS;
	struct slab *slab = &cells->slab[number];

	if (slab->used-- == SLAB_CELLS) {
		slab->next = cells->first;
		cells->first = number;
	}
	slab->words[at * CELL_WORDS] = slab->free;
	slab->free = at;
	if (slab->used)
		return;
	free(slab->words);
	cells->bytes -= SLAB_BYTES;
	*slab = (struct slab){.next = slab->next, .free = SLAB_CELLS};
}

/* Is the chain of freed cells as long as it should be? */
static bool check_slab(const struct slab *slab)
{
	uint32_t freed = 0;

	if (!slab->words)
		return !slab->used && !slab->fresh && slab->free == SLAB_CELLS;
	for (uint32_t at = slab->free; at < SLAB_CELLS; at = slab->words[at * CELL_WORDS])
		if (at >= slab->fresh || ++freed > SLAB_CELLS)
			return false;
	return slab->used && slab->used + freed == slab->fresh;
}

bool cells_check(const struct cells *cells)
{
	uint64_t bytes = cells->room * sizeof(struct slab), with_room = 0, listed = 0;

	for (uint32_t i = 0; i < cells->n; i++) {
		if (!check_slab(&cells->slab[i]))
			return false;
		bytes += cells->slab[i].words ? SLAB_BYTES : 0;
		with_room += cells->slab[i].used < SLAB_CELLS;
	}
	for (uint32_t i = cells->first; i != CELL_NONE && listed <= cells->n; listed++)
		i = cells->slab[i].next;
	return bytes == cells->bytes && with_room == listed;
}
