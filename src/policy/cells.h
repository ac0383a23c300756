/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cells: memory in pieces of one size, named by numbers of 32 bits. The index is made of it.
 */
#ifndef PSHARE_POLICY_CELLS_H
#define PSHARE_POLICY_CELLS_H

#include <stdbool.h>
#include <stdint.h>

#define CELL_WORDS 32u /* 64-bit words in a cell */
#define CELL_NONE UINT32_MAX
#define SLAB_CELLS 256u /* cells in one piece of malloc()'s */

struct slab {
	uint64_t *words; /* SLAB_CELLS cells, or NULL: none is in use */
	uint32_t next;	 /* slab with a free cell */
	uint16_t used;	 /* cells in use */
	uint16_t fresh;	 /* cells from here on were never used */
	uint16_t free;	 /* first of the freed ones, SLAB_CELLS: none; each names the next */
};

struct cells {
	struct slab *slab;
	uint32_t n;
	uint32_t room;
	uint32_t first; /* slab with a free cell, or CELL_NONE */
	uint64_t bytes;
};

void cells_init(struct cells *cells);
void cells_deinit(struct cells *cells); /* frees all cells; idempotent */

/* A cell, its content not set. CELL_NONE: no memory. */
uint32_t cells_alloc(struct cells *cells);
void cells_release(struct cells *cells, uint32_t cell);

static inline uint64_t *cells_at(const struct cells *cells, uint32_t cell)
{
	return cells->slab[cell / SLAB_CELLS].words + (uint64_t)(cell % SLAB_CELLS) * CELL_WORDS;
}

bool cells_check(const struct cells *cells);

#endif
