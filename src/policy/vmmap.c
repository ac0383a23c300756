/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What the daemon owes a VM: for each page the frame whose reference it holds. It is what a VM's
 * death is settled from, so it is the daemon's own word, not the agent's: an agent that lies about
 * UNSHARED, REFUSED or SHARED is measured against it.
 *
 *	NONE	no reference				leaves to PENDING, MAPPED, HINTED
 *	PENDING	the agent was told to map the frame	leaves to MAPPED, NONE
 *	MAPPED	the agent said that it did		leaves to NONE
 *	HINTED	no reference; a note where its hint is	leaves to NONE
 *
 * 4 bytes a page: 30 bits of frame or note, 2 of state, in chunks of a block that exist while
 * one of its pages has an entry; above them a fixed root and directories of 512 chunks, so that
 * any page number below PS_PAGES_MAX costs at most a directory (4 KiB) and a chunk (2 KiB).
 *
 * Rejected: a hash table (no order, and 8 bytes an entry at best), one array for a region (a VM may
 * offer 1 TiB and share nothing).
 */
#include "policy/vmmap.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/frames.h"

#define CHUNK_PAGES PS_BLOCK_PAGES
#define DIR_CHUNKS 512u
#define DIR_PAGES (DIR_CHUNKS * CHUNK_PAGES)
#define ROOT_DIRS (PS_PAGES_MAX / DIR_PAGES)
#define ALLOC_OVERHEAD 16u /* of malloc(), for each piece */

#define STATE_SHIFT 30
#define FRAME_MASK ((1u << STATE_SHIFT) - 1)

struct chunk {
	uint32_t used;
	uint32_t entry[CHUNK_PAGES]; /* state and frame; 0: none */
};

struct dir {
	uint32_t used;
	struct chunk *chunk[DIR_CHUNKS];
};

struct vmmap {
	uint64_t count[VMMAP_HINTED + 1]; /* by state, but NONE */
	uint64_t bytes;
	struct dir *dir[ROOT_DIRS];
};

static uint32_t encode(enum vmmap_state state, uint32_t frame)
{
	return (uint32_t)state << STATE_SHIFT | frame;
}

static struct vmmap_entry decode(uint32_t entry)
{
	if (!entry)
		return (struct vmmap_entry){VMMAP_NONE, PS_FRAME_NONE};
	return (struct vmmap_entry){entry >> STATE_SHIFT, entry & FRAME_MASK};
}

static struct dir *dir_of(const struct vmmap *map, uint32_t page)
{
	return page < PS_PAGES_MAX ? map->dir[page / DIR_PAGES] : NULL;
}

static struct chunk *chunk_of(const struct vmmap *map, uint32_t page)
{
	struct dir *dir = dir_of(map, page);

	return dir ? dir->chunk[page % DIR_PAGES / CHUNK_PAGES] : NULL;
}

struct vmmap_entry vmmap_get(const struct vmmap *map, uint32_t page)
{
	const struct chunk *chunk = chunk_of(map, page);

	return decode(chunk ? chunk->entry[page % CHUNK_PAGES] : 0);
}

/* Gives back the chunk and the directory of a page, where they are empty. */
static void release(struct vmmap *map, uint32_t page)
{
	struct dir **dir = &map->dir[page / DIR_PAGES];
	struct chunk **chunk = &(*dir)->chunk[page % DIR_PAGES / CHUNK_PAGES];

	if (*chunk && !(*chunk)->used) {
		free(*chunk);
		*chunk = NULL;
		(*dir)->used--;
		map->bytes -= sizeof(**chunk) + ALLOC_OVERHEAD;
	}
	if (!(*dir)->used) {
		free(*dir);
		*dir = NULL;
		map->bytes -= sizeof(**dir) + ALLOC_OVERHEAD;
	}
}

/* The chunk of a page, made if there was none; NULL: no memory, nothing changed. */
static struct chunk *chunk_make(struct vmmap *map, uint32_t page)
{
	struct dir **dir = &map->dir[page / DIR_PAGES];
	struct chunk **chunk;

	if (!*dir) {
		*dir = calloc(1, sizeof(**dir));
		if (!*dir)
			return NULL;
		map->bytes += sizeof(**dir) + ALLOC_OVERHEAD;
	}
	chunk = &(*dir)->chunk[page % DIR_PAGES / CHUNK_PAGES];
	if (!*chunk) {
		*chunk = calloc(1, sizeof(**chunk));
		if (!*chunk) {
			release(map, page);
			return NULL;
		}
		(*dir)->used++;
		map->bytes += sizeof(**chunk) + ALLOC_OVERHEAD;
	}
	return *chunk;
}

/* May an entry become that? */
static bool may_become(struct vmmap_entry from, enum vmmap_state state, uint32_t frame)
{
	return from.state == VMMAP_NONE ||
	       (from.state == VMMAP_PENDING && state == VMMAP_MAPPED && from.frame == frame);
}

/* The entry of a page that had one of that state. */
static int set_entry(struct vmmap *map, uint32_t page, enum vmmap_state old, uint32_t entry)
{
	struct chunk *chunk = chunk_make(map, page);

	if (!chunk)
		return -ENOMEM;
	if (old == VMMAP_NONE)
		chunk->used++;
	else
		map->count[old]--;
	chunk->entry[page % CHUNK_PAGES] = entry;
	map->count[entry >> STATE_SHIFT]++;
	return 0;
}

int vmmap_set(struct vmmap *map, uint32_t page, enum vmmap_state state, uint32_t frame)
{
	struct vmmap_entry old = vmmap_get(map, page);

	if (page >= PS_PAGES_MAX || frame >= PS_FRAMES_MAX)
		return -EINVAL;
	if (state != VMMAP_PENDING && state != VMMAP_MAPPED)
		return -EINVAL;
	if (!may_become(old, state, frame))
		return -EEXIST;
	return set_entry(map, page, old.state, encode(state, frame));
}

int vmmap_hint(struct vmmap *map, uint32_t page, uint32_t note)
{
	struct vmmap_entry old = vmmap_get(map, page);

	if (page >= PS_PAGES_MAX || note >> VMMAP_NOTE_BITS)
		return -EINVAL;
	if (old.state != VMMAP_NONE && old.state != VMMAP_HINTED)
		return -EEXIST;
	return set_entry(map, page, old.state, encode(VMMAP_HINTED, note));
}

struct vmmap_entry vmmap_clear(struct vmmap *map, uint32_t page)
{
	struct vmmap_entry old = vmmap_get(map, page);

	if (old.state != VMMAP_NONE) {
		struct chunk *chunk = chunk_of(map, page);

		chunk->entry[page % CHUNK_PAGES] = 0;
		chunk->used--;
		map->count[old.state]--;
		release(map, page);
	}
	return old;
}

bool vmmap_next(const struct vmmap *map, uint32_t *page, struct vmmap_entry *entry)
{
	uint32_t at = *page;

	while (at < PS_PAGES_MAX) {
		const struct chunk *chunk = chunk_of(map, at);

		if (!dir_of(map, at)) {
			at = (at / DIR_PAGES + 1) * DIR_PAGES;
		} else if (!chunk) {
			at = (at / CHUNK_PAGES + 1) * CHUNK_PAGES;
		} else if (!chunk->entry[at % CHUNK_PAGES]) {
			at++;
		} else {
			*page = at;
			*entry = decode(chunk->entry[at % CHUNK_PAGES]);
			return true;
		}
	}
	return false;
}

uint64_t vmmap_pending(const struct vmmap *map)
{
	return map->count[VMMAP_PENDING];
}

uint64_t vmmap_mapped(const struct vmmap *map)
{
	return map->count[VMMAP_MAPPED];
}

uint64_t vmmap_hinted(const struct vmmap *map)
{
	return map->count[VMMAP_HINTED];
}

uint64_t vmmap_bytes(const struct vmmap *map)
{
	return map->bytes;
}

bool vmmap_saved_step(const struct vmmap *map, const struct frames *frames, uint32_t *page,
		      double *saved, uint32_t *budget)
{
	struct vmmap_entry entry;

	for (; vmmap_next(map, page, &entry); ++*page) {
		uint32_t refs;

		if (!*budget)
			return false;
		--*budget;
		if (entry.state != VMMAP_MAPPED)
			continue;
		refs = frames_refs(frames, entry.frame);
		if (refs)
			*saved += 1 - 1.0 / refs;
	}
	return true;
}

double vmmap_saved(const struct vmmap *map, const struct frames *frames)
{
	uint32_t page = 0, budget = UINT32_MAX;
	double saved = 0;

	(void)vmmap_saved_step(map, frames, &page, &saved, &budget);
	return saved;
}

struct vmmap *vmmap_new(void)
{
	struct vmmap *map = calloc(1, sizeof(*map));

	if (map)
		map->bytes = sizeof(*map) + ALLOC_OVERHEAD;
	return map;
}

struct vmmap *vmmap_free(struct vmmap *map)
{
	if (!map)
		return NULL;
	for (uint32_t d = 0; d < ROOT_DIRS; d++) {
		for (uint32_t c = 0; map->dir[d] && c < DIR_CHUNKS; c++)
			free(map->dir[d]->chunk[c]);
		free(map->dir[d]);
	}
	free(map);
	return NULL;
}

/* Counts a chunk's entries by state; true if its own count is right. */
static bool check_chunk(const struct chunk *chunk, uint64_t count[VMMAP_HINTED + 1])
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < CHUNK_PAGES; i++) {
		struct vmmap_entry entry = decode(chunk->entry[i]);

		if (entry.state == VMMAP_NONE)
			continue;
		if (entry.state != VMMAP_HINTED && entry.frame >= PS_FRAMES_MAX)
			return false;
		count[entry.state]++;
		used++;
	}
	return used && used == chunk->used;
}

bool vmmap_check(const struct vmmap *map)
{
	uint64_t count[VMMAP_HINTED + 1] = {0}, bytes = sizeof(*map) + ALLOC_OVERHEAD;

	for (uint32_t d = 0; d < ROOT_DIRS; d++) {
		uint32_t used = 0;

		if (!map->dir[d])
			continue;
		for (uint32_t c = 0; c < DIR_CHUNKS; c++) {
			if (!map->dir[d]->chunk[c])
				continue;
			if (!check_chunk(map->dir[d]->chunk[c], count))
				return false;
			used++;
		}
		if (!used || used != map->dir[d]->used)
			return false;
		bytes += sizeof(struct dir) + ALLOC_OVERHEAD;
		bytes += used * (sizeof(struct chunk) + ALLOC_OVERHEAD);
	}
	for (int state = VMMAP_PENDING; state <= VMMAP_HINTED; state++)
		if (count[state] != map->count[state])
			return false;
	return bytes == map->bytes;
}
