/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The index is the largest of the daemon's books: nearly every page of every VM has a hint in it,
 * so its bytes an entry decide what pshare costs. An entry is 8 bytes:
 *
 *	63 ........ 40   39 ............. 28   27 ........ 0
 *	tag of 24 bits   vm + 1, or OF_FRAME   page or frame
 *
 * and lies in a bucket: a list without gaps, sorted by tag, of 256 to 512 entries when the index
 * has grown to its size, in cells of 32 (cells.h). Tags are evenly spread, so where a tag is in its
 * bucket is known to a cell or so without a search (interpolation); putting one in moves half
 * a bucket, 1.5 KiB. Half a cell is empty in each bucket: so an entry costs 8.9 bytes.
 *
 * Which bits do what. The hash is mixed with the index's secret first, because an agent chooses
 * its hashes: without that it could put all of its entries into one bucket. Of the mixed hash:
 *
 *	the lowest base bits	choose among the first buckets	fixed when the index is made
 *	the next 24 bits	are the tag			fixed too
 *	the tag's lowest bits	choose among buckets as well, once there are more than 1 << base
 *
 * Growing is linear hashing: when the mean bucket holds 256, the next bucket in turn is split
 * in two by the next bit of the tag. The bit is in the entry, so no full hash is needed (hints have
 * none), each put splits at most one bucket, and nobody ever waits for a rehash. What is lost is
 * only this: a lookup compares base + 24 bits of the hash, however far the index grows, so with N
 * entries a lookup of an unknown hash is false N times in 2^(base + 24). base comes from the
 * expected size: at that size it is once in 65536 or rarer. An index that grows to 1024 times what
 * was expected is false once in 64. A false hint costs one look at a page; a false frame makes one
 * page not shareable, as in ESX, whose hash is its only key.
 *
 * One entry a tag: a newer hint takes the place of an older one, a frame that of a hint; whose hint
 * it was is told, for its owner keeps books of them (hints.c).
 *
 * A hint that became wrong is found again without its hash: its owner kept the hash's lowest bits
 * as they choose a bucket (index_place()), and a page has one hint at most, so the bucket is
 * searched for the page. That is 2 KiB to read, where a second hash for each page would be
 * 8 bytes to keep. An index therefore never has more than 1 << INDEX_PLACE_BITS buckets, which is
 * enough for 16 TiB of pages.
 *
 * Measured (2^23 entries, resident memory; bench/policy-bench): 8.9 bytes an entry. Rejected, with
 * theirs: these buckets as arrays of malloc()'s, grown by an eighth (10.5: a fifth is holes), open
 * addressing with 8-byte entries (9.4 at 85 %, 11 on average between doublings, and growing needs
 * bits that hints do not keep), the same with 12 bytes (14), chains as ESX has (16), buckets of a
 * cache line with 10-byte entries (12.5).
 */
#include "policy/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/cells.h"
#include "wire/wire.h"

#define TAG_BITS 24u
#define TAG_MASK ((1u << TAG_BITS) - 1)
#define LOCATOR_BITS 40u
#define WHERE_BITS 28u /* page or frame */
#define WHERE_MASK ((1u << WHERE_BITS) - 1)
#define OF_FRAME 4095u /* where a hint has vm + 1 */

#define BASE_MIN 9u
#define BASE_MAX 20u
#define GROWTH_MAX 14u	   /* bits of the tag that may choose a bucket */
#define BUCKET_MEAN 256u   /* entries; above it on average a bucket is split */
#define BUCKET_CELLS 24u   /* 768 entries: 512 and 11 standard deviations */
#define PAGE_BUCKETS 512u  /* buckets in one piece of the directory */
#define ALLOC_OVERHEAD 16u /* of malloc(), for each piece */

struct bucket {
	uint16_t n; /* entries */
	uint16_t ncells;
	uint32_t cell[BUCKET_CELLS];
};

struct page_index {
	uint64_t secret;
	uint32_t base;	/* bits that chose among the first buckets */
	uint32_t level; /* bits that choose among all buckets, but for those split already */
	uint32_t split; /* buckets below it are split: they take one bit more */
	uint64_t hints;
	uint64_t frames;
	uint32_t pages;	     /* pieces of the directory */
	struct bucket **dir; /* PAGE_BUCKETS buckets each */
	struct cells cells;
};

/* Where a hash belongs. */
struct place {
	struct bucket *bucket;
	uint32_t tag;
};

/* ---- hash, tag, entry ----------------------------------------------------------------------- */

/* A bijection of 64 bits (splitmix64's), so it adds no false answers of its own. */
static uint64_t mix(uint64_t hash, uint64_t secret)
{
	hash ^= secret;
	hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ull;
	hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebull;
	return hash ^ (hash >> 31);
}

static uint32_t entry_tag(uint64_t entry)
{
	return entry >> LOCATOR_BITS;
}

static uint32_t entry_of(uint64_t entry)
{
	return entry >> WHERE_BITS & 0xfff;
}

static bool is_frame(uint64_t entry)
{
	return entry_of(entry) == OF_FRAME;
}

static uint64_t entry_make(uint32_t tag, uint32_t of, uint32_t where)
{
	return (uint64_t)tag << LOCATOR_BITS | (uint64_t)of << WHERE_BITS | where;
}

static struct index_entry entry_read(uint64_t entry)
{
	uint32_t where = entry & WHERE_MASK;

	if (is_frame(entry))
		return (struct index_entry){.kind = INDEX_FRAME, .frame = where};
	return (struct index_entry){.kind = INDEX_HINT, .vm = entry_of(entry) - 1, .page = where};
}

/* ---- directory ------------------------------------------------------------------------------ */

static uint64_t bucket_count(const struct page_index *index)
{
	return (1ull << index->level) + index->split;
}

static struct bucket *bucket_at(const struct page_index *index, uint64_t number)
{
	return &index->dir[number / PAGE_BUCKETS][number % PAGE_BUCKETS];
}

/* The bucket of a mixed hash, of which the lowest INDEX_PLACE_BITS would do. */
static struct bucket *bucket_of(const struct page_index *index, uint64_t mixed)
{
	uint64_t number = mixed & ((1ull << index->level) - 1);

	if (number < index->split)
		number = mixed & ((2ull << index->level) - 1);
	return bucket_at(index, number);
}

static struct place place_of(const struct page_index *index, uint64_t hash)
{
	uint64_t mixed = mix(hash, index->secret);

	return (struct place){
		.bucket = bucket_of(index, mixed),
		.tag = mixed >> index->base & TAG_MASK,
	};
}

/* One more piece of the directory. */
static int dir_grow(struct page_index *index)
{
	struct bucket **dir = realloc(index->dir, (index->pages + 1) * sizeof(struct bucket *));

	if (!dir)
		return -ENOMEM;
	index->dir = dir;
	dir[index->pages] = calloc(PAGE_BUCKETS, sizeof(struct bucket));
	if (!dir[index->pages])
		return -ENOMEM;
	index->pages++;
	return 0;
}

/* ---- one bucket ----------------------------------------------------------------------------- */

static uint64_t *entry_at(const struct page_index *index, const struct bucket *bucket, uint32_t at)
{
	return cells_at(&index->cells, bucket->cell[at / CELL_WORDS]) + at % CELL_WORDS;
}

static uint32_t tag_at(const struct page_index *index, const struct bucket *bucket, uint32_t at)
{
	return entry_tag(*entry_at(index, bucket, at));
}

/* Where the tag should be: tags are evenly spread. */
static uint32_t bucket_guess(const struct bucket *bucket, uint32_t tag)
{
	return (uint64_t)tag * bucket->n >> TAG_BITS;
}

/* The place of the tag, or where it would be. */
static uint32_t bucket_find(const struct page_index *index, const struct bucket *bucket,
			    uint32_t tag)
{
	uint32_t at = bucket_guess(bucket, tag);

	while (at < bucket->n && tag_at(index, bucket, at) < tag)
		at++;
	while (at && tag_at(index, bucket, at - 1) >= tag)
		at--;
	return at;
}

/* The entry with that tag, or NULL. *at (may be NULL): where it is. */
static uint64_t *bucket_get(const struct page_index *index, const struct bucket *bucket,
			    uint32_t tag, uint32_t *at)
{
	uint32_t found = bucket_find(index, bucket, tag);

	if (found == bucket->n || tag_at(index, bucket, found) != tag)
		return NULL;
	if (at)
		*at = found;
	return entry_at(index, bucket, found);
}

static int bucket_add_cell(struct page_index *index, struct bucket *bucket)
{
	uint32_t cell;

	if (bucket->ncells == BUCKET_CELLS)
		return -ENOMEM;
	cell = cells_alloc(&index->cells);
	if (cell == CELL_NONE)
		return -ENOMEM;
	bucket->cell[bucket->ncells++] = cell;
	return 0;
}

/* Gives back the cells that n entries do not need. */
static void bucket_fit(struct page_index *index, struct bucket *bucket)
{
	uint32_t need = (bucket->n + CELL_WORDS - 1) / CELL_WORDS;

	while (bucket->ncells > need)
		cells_release(&index->cells, bucket->cell[--bucket->ncells]);
}

/* Cell by cell: the entry goes in, what falls out at the end goes into the next one. */
static int bucket_insert(struct page_index *index, struct bucket *bucket, uint64_t entry)
{
	uint32_t at = bucket_find(index, bucket, entry_tag(entry)), from = at % CELL_WORDS;

	if (bucket->n == bucket->ncells * CELL_WORDS && bucket_add_cell(index, bucket))
		return -ENOMEM;
	*(is_frame(entry) ? &index->frames : &index->hints) += 1;
	for (uint32_t c = at / CELL_WORDS; c < bucket->ncells; c++, from = 0) {
		uint64_t *words = cells_at(&index->cells, bucket->cell[c]);
		bool is_last = c == bucket->n / CELL_WORDS;
		uint32_t end = is_last ? bucket->n % CELL_WORDS : CELL_WORDS - 1;
		uint64_t out = is_last ? 0 : words[end];

		memmove(&words[from + 1], &words[from], (end - from) * sizeof(*words));
		words[from] = entry;
		entry = out;
	}
	bucket->n++;
	return 0;
}

/* Cell by cell: what is behind moves down, the first of the next cell comes in at the end. */
static void bucket_remove(struct page_index *index, struct bucket *bucket, uint32_t at)
{
	uint32_t from = at % CELL_WORDS, last = (bucket->n - 1u) / CELL_WORDS;

	*(is_frame(*entry_at(index, bucket, at)) ? &index->frames : &index->hints) -= 1;
	for (uint32_t c = at / CELL_WORDS; c <= last; c++, from = 0) {
		uint64_t *words = cells_at(&index->cells, bucket->cell[c]);

		memmove(&words[from], &words[from + 1], (CELL_WORDS - 1 - from) * sizeof(*words));
		if (c < last)
			words[CELL_WORDS - 1] = *cells_at(&index->cells, bucket->cell[c + 1]);
	}
	bucket->n--;
	bucket_fit(index, bucket);
}

/* ---- growing -------------------------------------------------------------------------------- */

/* Moves entries whose tag has the bit to an empty bucket with room for them; both stay sorted. */
static void bucket_part(struct page_index *index, struct bucket *from, struct bucket *to,
			uint32_t bit)
{
	uint32_t stay = 0;

	for (uint32_t i = 0; i < from->n; i++) {
		uint64_t entry = *entry_at(index, from, i);

		if (entry_tag(entry) & bit)
			*entry_at(index, to, to->n++) = entry;
		else
			*entry_at(index, from, stay++) = entry;
	}
	from->n = stay;
	bucket_fit(index, from);
}

/* Gives an empty bucket room for as many entries as another has with the bit. */
static int bucket_prepare(struct page_index *index, const struct bucket *from, struct bucket *to,
			  uint32_t bit)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < from->n; i++)
		n += !!(tag_at(index, from, i) & bit);
	while (to->ncells * CELL_WORDS < n) {
		if (bucket_add_cell(index, to)) {
			bucket_fit(index, to);
			return -ENOMEM;
		}
	}
	return 0;
}

/* Splits the next bucket if the mean is above BUCKET_MEAN. Without memory it stays as it is. */
static void index_grow(struct page_index *index)
{
	uint64_t next = bucket_count(index);
	uint32_t bit = 1u << (index->level - index->base);
	struct bucket *from, *to;

	if (index->hints + index->frames <= next * BUCKET_MEAN)
		return;
	if (index->level == index->base + GROWTH_MAX || index->level == INDEX_PLACE_BITS - 1)
		return;
	if (next / PAGE_BUCKETS == index->pages && dir_grow(index))
		return;
	from = bucket_at(index, index->split);
	to = bucket_at(index, next);
	if (bucket_prepare(index, from, to, bit))
		return;
	bucket_part(index, from, to, bit);
	if (++index->split == 1u << index->level) {
		index->level++;
		index->split = 0;
	}
}

/* ---- operations ----------------------------------------------------------------------------- */

void index_fetch_bucket(const struct page_index *index, uint64_t hash)
{
	struct place place = place_of(index, hash);

	__builtin_prefetch(place.bucket);
	__builtin_prefetch(place.bucket + 1); /* it is larger than a line of the cache */
}

void index_fetch_entry(const struct page_index *index, uint64_t hash)
{
	struct place place = place_of(index, hash);
	uint32_t at = bucket_guess(place.bucket, place.tag);

	if (at < place.bucket->n)
		__builtin_prefetch(entry_at(index, place.bucket, at));
}

uint32_t index_place(const struct page_index *index, uint64_t hash)
{
	return mix(hash, index->secret) & ((1u << INDEX_PLACE_BITS) - 1);
}

uint64_t index_mix(const struct page_index *index, uint64_t hash)
{
	return mix(hash, ~index->secret);
}

struct index_entry index_lookup(const struct page_index *index, uint64_t hash)
{
	struct place place = place_of(index, hash);
	const uint64_t *entry = bucket_get(index, place.bucket, place.tag, NULL);

	return entry ? entry_read(*entry) : (struct index_entry){.kind = INDEX_NONE};
}

static int put_new(struct page_index *index, uint64_t hash, uint64_t entry)
{
	int r = bucket_insert(index, place_of(index, hash).bucket, entry);

	if (!r)
		index_grow(index);
	return r;
}

int index_put_hint(struct page_index *index, uint64_t hash, uint32_t vm, uint32_t page,
		   struct index_entry *had)
{
	struct place place = place_of(index, hash);
	uint64_t *old = bucket_get(index, place.bucket, place.tag, NULL), entry;

	if (vm >= INDEX_VMS || page >= PS_PAGES_MAX)
		return -EINVAL;
	entry = entry_make(place.tag, vm + 1, page);
	if (old && is_frame(*old))
		return -EEXIST;
	*had = old ? entry_read(*old) : (struct index_entry){.kind = INDEX_NONE};
	if (!old)
		return put_new(index, hash, entry);
	*old = entry;
	return 0;
}

int index_put_frame(struct page_index *index, uint64_t hash, uint32_t frame,
		    struct index_entry *had)
{
	struct place place = place_of(index, hash);
	uint64_t *old = bucket_get(index, place.bucket, place.tag, NULL), entry;

	if (frame >= PS_FRAMES_MAX)
		return -EINVAL;
	entry = entry_make(place.tag, OF_FRAME, frame);
	*had = (struct index_entry){.kind = INDEX_NONE};
	if (old && is_frame(*old))
		return *old == entry ? 0 : -EEXIST;
	if (!old)
		return put_new(index, hash, entry);
	*had = entry_read(*old);
	*old = entry;
	index->hints--;
	index->frames++;
	return 0;
}

static bool remove_exactly(struct page_index *index, uint64_t hash, uint32_t of, uint32_t where)
{
	struct place place = place_of(index, hash);
	uint32_t at;
	const uint64_t *entry = bucket_get(index, place.bucket, place.tag, &at);

	if (!entry || *entry != entry_make(place.tag, of, where))
		return false;
	bucket_remove(index, place.bucket, at);
	return true;
}

bool index_remove_frame(struct page_index *index, uint64_t hash, uint32_t frame)
{
	return frame < PS_FRAMES_MAX && remove_exactly(index, hash, OF_FRAME, frame);
}

bool index_remove_hint(struct page_index *index, uint64_t hash, uint32_t vm, uint32_t page)
{
	return vm < INDEX_VMS && page < PS_PAGES_MAX && remove_exactly(index, hash, vm + 1, page);
}

bool index_remove_page(struct page_index *index, uint32_t place, uint32_t vm, uint32_t page)
{
	struct bucket *bucket = bucket_of(index, place);
	uint64_t wanted = entry_make(0, vm + 1, page), mask = (1ull << LOCATOR_BITS) - 1;

	if (vm >= INDEX_VMS || page >= PS_PAGES_MAX)
		return false;
	for (uint32_t c = 0; c < bucket->ncells; c++) {
		const uint64_t *words = cells_at(&index->cells, bucket->cell[c]);
		uint32_t n = bucket->n - c * CELL_WORDS;

		for (uint32_t i = 0; i < n && i < CELL_WORDS; i++) {
			if ((words[i] & mask) != wanted)
				continue;
			bucket_remove(index, bucket, c * CELL_WORDS + i);
			return true;
		}
	}
	return false;
}

/* Drops a bucket's hints of these pages, all in one walk. */
static void bucket_sweep(struct page_index *index, struct bucket *bucket, uint32_t of,
			 uint32_t first, uint32_t last)
{
	uint32_t stay = 0;

	for (uint32_t i = 0; i < bucket->n; i++) {
		uint64_t entry = *entry_at(index, bucket, i);
		uint32_t where = entry & WHERE_MASK;

		if (entry_of(entry) != of || where < first || where > last)
			*entry_at(index, bucket, stay++) = entry;
	}
	if (stay == bucket->n)
		return;
	index->hints -= bucket->n - stay;
	bucket->n = stay;
	bucket_fit(index, bucket);
}

/* Buckets that are split while a sweep is under way move entries to higher numbers only, and those
 * below the cursor have none left to move: so nothing escapes. */
bool index_sweep(struct page_index *index, uint32_t vm, uint32_t first, uint32_t last,
		 uint64_t *cursor, uint32_t budget)
{
	uint64_t looked = 0;

	if (vm >= INDEX_VMS)
		return true;
	for (; *cursor < bucket_count(index); ++*cursor) {
		struct bucket *bucket = bucket_at(index, *cursor);

		if (looked >= budget && looked)
			return false;
		looked += bucket->n + 1u;
		bucket_sweep(index, bucket, vm + 1, first, last);
	}
	return true;
}

struct index_stats index_stats(const struct page_index *index)
{
	uint64_t per_page = sizeof(struct bucket *) + PAGE_BUCKETS * sizeof(struct bucket);

	return (struct index_stats){
		.hints = index->hints,
		.frames = index->frames,
		.bytes = sizeof(*index) + ALLOC_OVERHEAD +
			 index->pages * (per_page + ALLOC_OVERHEAD) + index->cells.bytes,
	};
}

/* ---- life ----------------------------------------------------------------------------------- */

static uint32_t base_for(uint64_t expected)
{
	uint32_t base = BASE_MIN;

	while (base < BASE_MAX && expected > (uint64_t)BUCKET_MEAN << base)
		base++;
	return base;
}

struct page_index *index_new(uint64_t expected, uint64_t secret)
{
	struct page_index *index = calloc(1, sizeof(*index));

	if (!index)
		return NULL;
	index->secret = secret;
	index->base = index->level = base_for(expected);
	cells_init(&index->cells);
	while ((uint64_t)index->pages * PAGE_BUCKETS < bucket_count(index))
		if (dir_grow(index))
			return index_free(index);
	return index;
}

struct page_index *index_free(struct page_index *index)
{
	if (!index)
		return NULL;
	for (uint32_t i = 0; i < index->pages; i++)
		free(index->dir[i]);
	free(index->dir);
	cells_deinit(&index->cells);
	free(index);
	return NULL;
}

/* ---- invariants ----------------------------------------------------------------------------- */

/* Do the tags of a bucket belong to it? Only the bits that chose it are seen in a tag. */
static bool tag_belongs(const struct page_index *index, uint64_t number, uint32_t tag)
{
	bool split = number < index->split || number >= 1ull << index->level;
	uint32_t bits = index->level - index->base + split;

	return (tag & ((1u << bits) - 1)) == number >> index->base;
}

static bool check_bucket(const struct page_index *index, uint64_t number, struct index_stats *sum)
{
	const struct bucket *bucket = bucket_at(index, number);

	for (uint32_t i = 0; i < bucket->n; i++) {
		uint64_t entry = *entry_at(index, bucket, i);

		if (i && tag_at(index, bucket, i - 1) >= entry_tag(entry))
			return false;
		if (!entry_of(entry) || !tag_belongs(index, number, entry_tag(entry)))
			return false;
		*(is_frame(entry) ? &sum->frames : &sum->hints) += 1;
	}
	return bucket->ncells == (bucket->n + CELL_WORDS - 1) / CELL_WORDS;
}

bool index_check(const struct page_index *index)
{
	struct index_stats sum = {.bytes = 0};
	uint64_t cells = 0, in_slabs = 0;

	for (uint64_t i = 0; i < bucket_count(index); i++) {
		if (!check_bucket(index, i, &sum))
			return false;
		cells += bucket_at(index, i)->ncells;
	}
	for (uint32_t i = 0; i < index->cells.n; i++)
		in_slabs += index->cells.slab[i].used;
	return sum.hints == index->hints && sum.frames == index->frames && cells == in_slabs &&
	       cells_check(&index->cells);
}
