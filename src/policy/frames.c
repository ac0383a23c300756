/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The frame numbers of a store are dealt out in extents of 512 slots. An extent mirrors a block:
 * the slot of a page's frame is the page's place in its block, in the extent that was opened for
 * that block of the VM whose content came first. So pages that lie side by side in the first VM
 * get frames side by side, and with them in every other VM that holds the same file or kernel in
 * the same order: one mapping for many pages. Slots that are never filled cost nothing in the
 * store (a memfd keeps holes) and little here (chunks of 16 slots exist when one of them is used).
 *
 * Which frame a page gets, the first that is free of:
 *	1. the one after the frame of the page before it (near): that run goes on, for sure;
 *	2. the page's slot in an extent of its block;
 *	3. the page's slot in one more extent of its block, up to FRAMES_HOMES of them: a frame
 *	   outlives the page that gave it, so a page that changes often needs its slot again;
 *	4. any slot, if the window or FRAMES_HOMES is used up: sharing without a run beats none.
 *
 * Invariants (frames_check() walks them):
 *	- a frame is written only in FILLING, referenced only in LIVE, punched only in PUNCHING;
 *	- no way leads from LIVE back to FREE but through PUNCHING, and none to PUNCHING while
 *	  references are left: a frame is never rewritten, punched or reused while it is mapped;
 *	- an extent exists while one of its slots is not FREE; then its number is dealt out anew.
 *
 * Limits: at most max frames not FREE, numbers below window, FRAMES_REFS_MAX references each.
 *
 * Cost: 12 bytes a frame (64-bit hash, state and references in 32 bits), 14 with its chunk's and
 * extent's heads when full. A lone frame in a block of its own costs about 500: that is what the
 * layout pays where sharing is thin, and never more than an eighth of the frame itself.
 *
 * Rejected: chunks of 64 slots (32 bytes a frame where half of the memory is shared, in runs of
 * 16), dealing out numbers one after the other (runs break where two VMs are scanned in
 * turn), one flat array for the window (12 bytes for each page of the host, shared or not), and
 * 16-bit counts with an overflow table as ESX has (saves 2 bytes, costs a second place to look).
 */
#include "policy/frames.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK_SLOTS 16u
#define EXTENT_SLOTS PS_BLOCK_PAGES
#define EXTENT_CHUNKS (EXTENT_SLOTS / CHUNK_SLOTS)
#define EXTENT_NONE UINT32_MAX
#define FRAMES_HOMES 4u
#define FIRST_CAP 16u
#define ALLOC_OVERHEAD 16u /* of malloc(), for each piece: bytes are reported as they are */

#define STATE_SHIFT 30
#define REFS_MASK FRAMES_REFS_MAX
#define BLOCK_BITS 19 /* PS_PAGES_MAX / PS_BLOCK_PAGES blocks of a VM */

struct chunk {
	uint32_t used;		    /* slots not FREE */
	uint32_t word[CHUNK_SLOTS]; /* state, references */
	uint16_t retired;	    /* bits, by slot; where the compiler would leave a gap */
	uint64_t hash[CHUNK_SLOTS];
};

struct extent {
	uint32_t home; /* the block that it mirrors: home_of() */
	uint32_t next; /* in the same bucket of heads */
	uint32_t used; /* slots not FREE */
	struct chunk *chunk[EXTENT_CHUNKS];
};

struct frames {
	uint32_t max;
	uint32_t max_extents;
	uint32_t cap; /* of the three arrays; a power of two */
	uint32_t top; /* extent numbers ever dealt out */
	uint32_t nspare;
	uint32_t cursor; /* where the search for any slot goes on */
	struct extent **extents;
	uint32_t *spare; /* numbers below top that are free */
	uint32_t *heads; /* home -> extents, chained by next */
	uint64_t chunks;
	uint64_t refs;
	uint64_t count[FRAME_PUNCHING + 1]; /* frames in each state but FREE */
};

/* ---- slots ---------------------------------------------------------------------------------- */

static struct extent *extent_of(const struct frames *frames, uint32_t frame)
{
	uint32_t number = frame / EXTENT_SLOTS;

	return number < frames->top ? frames->extents[number] : NULL;
}

static struct chunk *chunk_of(const struct frames *frames, uint32_t frame)
{
	struct extent *extent = extent_of(frames, frame);

	return extent ? extent->chunk[frame % EXTENT_SLOTS / CHUNK_SLOTS] : NULL;
}

static enum frame_state word_state(uint32_t word)
{
	return word >> STATE_SHIFT;
}

/* The word of a frame that is not FREE, or NULL. */
static uint32_t *word_of(const struct frames *frames, uint32_t frame)
{
	struct chunk *chunk = chunk_of(frames, frame);
	uint32_t *word = chunk ? &chunk->word[frame % CHUNK_SLOTS] : NULL;

	return word && word_state(*word) != FRAME_FREE ? word : NULL;
}

static void word_move(struct frames *frames, uint32_t *word, enum frame_state state)
{
	frames->count[word_state(*word)]--;
	frames->count[state]++;
	*word = (uint32_t)state << STATE_SHIFT;
}

static uint64_t frames_used(const struct frames *frames)
{
	return frames->count[FRAME_FILLING] + frames->count[FRAME_LIVE] +
	       frames->count[FRAME_PUNCHING];
}

static uint32_t extents_open(const struct frames *frames)
{
	return frames->top - frames->nspare;
}

/* ---- extents -------------------------------------------------------------------------------- */

static uint32_t home_of(uint32_t vm, uint32_t page)
{
	return vm << BLOCK_BITS | page / PS_BLOCK_PAGES;
}

static uint32_t *head_of(const struct frames *frames, uint32_t home)
{
	uint32_t hash = home * 0x9e3779b1u; /* Knuth: the high bits are the good ones */

	return &frames->heads[(hash ^ hash >> 16) & (frames->cap - 1)];
}

static void extent_link(struct frames *frames, uint32_t number)
{
	uint32_t *head = head_of(frames, frames->extents[number]->home);

	frames->extents[number]->next = *head;
	*head = number;
}

static void extent_unlink(struct frames *frames, uint32_t number)
{
	uint32_t *link = head_of(frames, frames->extents[number]->home);

	while (*link != number)
		link = &frames->extents[*link]->next;
	*link = frames->extents[number]->next;
}

/* Room for twice as many extents. On failure all is as before, but for an array already larger. */
static int frames_grow(struct frames *frames)
{
	uint32_t cap = frames->cap ? frames->cap * 2 : FIRST_CAP;
	uint32_t *heads = malloc(cap * sizeof(*heads));
	struct extent **extents = realloc(frames->extents, cap * sizeof(struct extent *));
	uint32_t *spare = realloc(frames->spare, cap * sizeof(*spare));

	if (extents)
		frames->extents = extents;
	if (spare)
		frames->spare = spare;
	if (!heads || !extents || !spare) {
		free(heads);
		return -ENOMEM;
	}
	free(frames->heads);
	frames->heads = heads;
	frames->cap = cap;
	for (uint32_t i = 0; i < cap; i++)
		heads[i] = EXTENT_NONE;
	for (uint32_t i = 0; i < frames->top; i++)
		if (frames->extents[i])
			extent_link(frames, i);
	return 0;
}

/* Opens an empty extent for the block. -ENOSPC: the window has no number left. */
static int extent_open(struct frames *frames, uint32_t home, uint32_t *number)
{
	struct extent *extent;

	if (extents_open(frames) == frames->max_extents)
		return -ENOSPC;
	if (!frames->nspare && frames->top == frames->cap && frames_grow(frames))
		return -ENOMEM;
	extent = calloc(1, sizeof(*extent));
	if (!extent)
		return -ENOMEM;
	extent->home = home;
	*number = frames->nspare ? frames->spare[--frames->nspare] : frames->top++;
	frames->extents[*number] = extent;
	extent_link(frames, *number);
	return 0;
}

static void extent_close(struct frames *frames, uint32_t number)
{
	extent_unlink(frames, number);
	free(frames->extents[number]);
	frames->extents[number] = NULL;
	frames->spare[frames->nspare++] = number;
}

/* ---- choosing a slot ------------------------------------------------------------------------ */

static bool slot_free(const struct extent *extent, uint32_t slot)
{
	const struct chunk *chunk = extent->chunk[slot / CHUNK_SLOTS];

	return !chunk || word_state(chunk->word[slot % CHUNK_SLOTS]) == FRAME_FREE;
}

/* Rule 1. */
static bool find_next(const struct frames *frames, uint32_t near, uint32_t *frame)
{
	const struct extent *extent = extent_of(frames, near);

	if (!extent || near % EXTENT_SLOTS == EXTENT_SLOTS - 1)
		return false;
	if (!slot_free(extent, near % EXTENT_SLOTS + 1))
		return false;
	*frame = near + 1;
	return true;
}

/* Rule 2. *homes: how many extents the block has. */
static bool find_home(const struct frames *frames, uint32_t home, uint32_t slot, uint32_t *homes,
		      uint32_t *frame)
{
	*homes = 0;
	if (!frames->cap)
		return false;
	for (uint32_t n = *head_of(frames, home); n != EXTENT_NONE; n = frames->extents[n]->next) {
		if (frames->extents[n]->home != home)
			continue;
		++*homes;
		if (slot_free(frames->extents[n], slot)) {
			*frame = n * EXTENT_SLOTS + slot;
			return true;
		}
	}
	return false;
}

static uint32_t first_free_slot(const struct extent *extent)
{
	uint32_t slot = 0;

	while (!slot_free(extent, slot))
		slot++;
	return slot;
}

/* Rule 4. The search stays at an extent until that is full, so a call rarely looks at two. */
static bool find_any(struct frames *frames, uint32_t *frame)
{
	if (frames_used(frames) == (uint64_t)extents_open(frames) * EXTENT_SLOTS)
		return false;
	for (;; frames->cursor++) {
		const struct extent *extent;

		if (frames->cursor >= frames->top)
			frames->cursor = 0;
		extent = frames->extents[frames->cursor];
		if (extent && extent->used < EXTENT_SLOTS)
			break;
	}
	*frame = frames->cursor * EXTENT_SLOTS + first_free_slot(frames->extents[frames->cursor]);
	return true;
}

static int find_slot(struct frames *frames, uint32_t vm, uint32_t page, uint32_t near,
		     uint32_t *frame)
{
	uint32_t home = home_of(vm, page), slot = page % PS_BLOCK_PAGES, homes, number;
	int r = -ENOSPC;

	if (find_next(frames, near, frame) || find_home(frames, home, slot, &homes, frame))
		return 0;
	if (homes < FRAMES_HOMES)
		r = extent_open(frames, home, &number);
	if (!r)
		*frame = number * EXTENT_SLOTS + slot;
	else if (r == -ENOSPC && find_any(frames, frame))
		r = 0;
	return r;
}

/* ---- taking and giving ---------------------------------------------------------------------- */

static void slot_release(struct frames *frames, uint32_t frame)
{
	struct extent *extent = extent_of(frames, frame);
	struct chunk **chunk = &extent->chunk[frame % EXTENT_SLOTS / CHUNK_SLOTS];

	if (*chunk && !(*chunk)->used) {
		free(*chunk);
		*chunk = NULL;
		frames->chunks--;
	}
	if (!extent->used)
		extent_close(frames, frame / EXTENT_SLOTS);
}

static int slot_take(struct frames *frames, uint32_t frame)
{
	struct extent *extent = extent_of(frames, frame);
	struct chunk **chunk = &extent->chunk[frame % EXTENT_SLOTS / CHUNK_SLOTS];

	if (!*chunk) {
		*chunk = calloc(1, sizeof(**chunk));
		if (!*chunk) {
			slot_release(frames, frame); /* an extent opened for nothing */
			return -ENOMEM;
		}
		frames->chunks++;
	}
	(*chunk)->used++;
	(*chunk)->word[frame % CHUNK_SLOTS] = (uint32_t)FRAME_FILLING << STATE_SHIFT;
	extent->used++;
	frames->count[FRAME_FILLING]++;
	return 0;
}

int frames_alloc(struct frames *frames, uint32_t vm, uint32_t page, uint32_t near, uint32_t *frame)
{
	uint32_t found;
	int r;

	if (page >= PS_PAGES_MAX || vm >= 1u << (31 - BLOCK_BITS))
		return -EINVAL;
	if (frames_used(frames) >= frames->max)
		return -ENOSPC;
	r = find_slot(frames, vm, page, near, &found);
	if (!r)
		r = slot_take(frames, found);
	if (!r)
		*frame = found;
	return r;
}

int frames_set_live(struct frames *frames, uint32_t frame, uint64_t hash)
{
	uint32_t *word = word_of(frames, frame);

	if (!word || word_state(*word) != FRAME_FILLING)
		return -EINVAL;
	word_move(frames, word, FRAME_LIVE);
	chunk_of(frames, frame)->hash[frame % CHUNK_SLOTS] = hash;
	return 0;
}

int frames_ref(struct frames *frames, uint32_t frame)
{
	uint32_t *word = word_of(frames, frame);

	if (!word || word_state(*word) != FRAME_LIVE)
		return -EINVAL;
	if ((*word & REFS_MASK) == FRAMES_REFS_MAX)
		return -EOVERFLOW;
	++*word;
	frames->refs++;
	return 0;
}

int frames_unref(struct frames *frames, uint32_t frame)
{
	uint32_t *word = word_of(frames, frame);

	if (!word || word_state(*word) != FRAME_LIVE || !(*word & REFS_MASK))
		return -EINVAL;
	--*word;
	frames->refs--;
	return !(*word & REFS_MASK);
}

int frames_begin_punch(struct frames *frames, uint32_t frame)
{
	uint32_t *word = word_of(frames, frame);

	if (!word || word_state(*word) == FRAME_PUNCHING)
		return -EINVAL;
	if (*word & REFS_MASK)
		return -EBUSY;
	word_move(frames, word, FRAME_PUNCHING);
	return 0;
}

int frames_end_punch(struct frames *frames, uint32_t frame)
{
	uint32_t *word = word_of(frames, frame);

	if (!word || word_state(*word) != FRAME_PUNCHING)
		return -EINVAL;
	*word = 0;
	frames->count[FRAME_PUNCHING]--;
	chunk_of(frames, frame)->used--;
	extent_of(frames, frame)->used--;
	slot_release(frames, frame);
	return 0;
}

int frames_retire(struct frames *frames, uint32_t frame)
{
	int r = frames_ref(frames, frame);

	if (r == 0)
		chunk_of(frames, frame)->retired |= (uint16_t)(1u << frame % CHUNK_SLOTS);
	return r;
}

/* ---- looking -------------------------------------------------------------------------------- */

enum frame_state frames_state(const struct frames *frames, uint32_t frame)
{
	const uint32_t *word = word_of(frames, frame);

	return word ? word_state(*word) : FRAME_FREE;
}

uint32_t frames_refs(const struct frames *frames, uint32_t frame)
{
	const uint32_t *word = word_of(frames, frame);

	return word ? *word & REFS_MASK : 0;
}

bool frames_retired(const struct frames *frames, uint32_t frame)
{
	const struct chunk *chunk = chunk_of(frames, frame);

	return chunk && chunk->retired >> frame % CHUNK_SLOTS & 1;
}

uint64_t frames_hash(const struct frames *frames, uint32_t frame)
{
	if (frames_state(frames, frame) != FRAME_LIVE)
		return 0;
	return chunk_of(frames, frame)->hash[frame % CHUNK_SLOTS];
}

bool frames_next(const struct frames *frames, enum frame_state state, uint32_t *frame)
{
	uint64_t at = *frame, end = (uint64_t)frames->top * EXTENT_SLOTS;

	if (state == FRAME_FREE)
		return false;
	while (at < end) {
		if (!extent_of(frames, at)) {
			at = (at / EXTENT_SLOTS + 1) * EXTENT_SLOTS;
		} else if (!chunk_of(frames, at)) {
			at = (at / CHUNK_SLOTS + 1) * CHUNK_SLOTS;
		} else if (frames_state(frames, at) != state) {
			at++;
		} else {
			*frame = at;
			return true;
		}
	}
	return false;
}

struct frames_stats frames_stats(const struct frames *frames)
{
	uint64_t per_extent = sizeof(struct extent) + ALLOC_OVERHEAD;
	uint64_t per_number =
		sizeof(struct extent *) + sizeof(*frames->spare) + sizeof(*frames->heads);

	return (struct frames_stats){
		.live = frames->count[FRAME_LIVE],
		.refs = frames->refs,
		.filling = frames->count[FRAME_FILLING],
		.punching = frames->count[FRAME_PUNCHING],
		.extents = extents_open(frames),
		.bytes = sizeof(*frames) + frames->cap * per_number +
			 extents_open(frames) * per_extent +
			 frames->chunks * (sizeof(struct chunk) + ALLOC_OVERHEAD),
	};
}

/* ---- life ----------------------------------------------------------------------------------- */

struct frames *frames_new(uint32_t window, uint32_t max)
{
	struct frames *frames;

	if (window < EXTENT_SLOTS || window > PS_FRAMES_MAX)
		return NULL;
	frames = calloc(1, sizeof(*frames));
	if (!frames)
		return NULL;
	frames->max = max;
	frames->max_extents = window / EXTENT_SLOTS;
	return frames;
}

struct frames *frames_free(struct frames *frames)
{
	if (!frames)
		return NULL;
	for (uint32_t i = 0; i < frames->top; i++) {
		for (uint32_t c = 0; frames->extents[i] && c < EXTENT_CHUNKS; c++)
			free(frames->extents[i]->chunk[c]);
		free(frames->extents[i]);
	}
	free(frames->extents);
	free(frames->spare);
	free(frames->heads);
	free(frames);
	return NULL;
}

/* ---- invariants ----------------------------------------------------------------------------- */

struct tally {
	uint64_t count[FRAME_PUNCHING + 1];
	uint64_t refs;
	uint64_t chunks;
};

static bool check_chunk(const struct chunk *chunk, struct tally *tally)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < CHUNK_SLOTS; i++) {
		uint32_t word = chunk->word[i];

		if (word_state(word) != FRAME_LIVE && (word & REFS_MASK))
			return false;
		if ((chunk->retired >> i & 1) && !(word & REFS_MASK))
			return false;
		used += word_state(word) != FRAME_FREE;
		tally->count[word_state(word)]++;
		tally->refs += word & REFS_MASK;
	}
	tally->chunks++;
	return used && used == chunk->used;
}

static bool check_extent(const struct frames *frames, uint32_t number, struct tally *tally)
{
	const struct extent *extent = frames->extents[number];
	uint32_t used = 0, at = *head_of(frames, extent->home);

	for (uint32_t c = 0; c < EXTENT_CHUNKS; c++) {
		if (!extent->chunk[c])
			continue;
		if (!check_chunk(extent->chunk[c], tally))
			return false;
		used += extent->chunk[c]->used;
	}
	while (at != EXTENT_NONE && at != number)
		at = frames->extents[at]->next;
	return used && used == extent->used && at == number;
}

bool frames_check(const struct frames *frames)
{
	struct tally tally = {.refs = 0};
	uint32_t empty = 0;

	for (uint32_t i = 0; i < frames->top; i++) {
		if (!frames->extents[i])
			empty++;
		else if (!check_extent(frames, i, &tally))
			return false;
	}
	for (uint32_t i = 0; i < frames->nspare; i++)
		if (frames->spare[i] >= frames->top || frames->extents[frames->spare[i]])
			return false;
	for (int state = FRAME_FILLING; state <= FRAME_PUNCHING; state++)
		if (tally.count[state] != frames->count[state])
			return false;
	return empty == frames->nspare && frames->top <= frames->max_extents &&
	       tally.refs == frames->refs && tally.chunks == frames->chunks &&
	       frames_used(frames) <= frames->max;
}
