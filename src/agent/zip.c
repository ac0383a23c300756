/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * zip: entries, in the order in which they were put; their bytes in slots (slab.c), made by one of
 * two libraries (codec.c).
 *
 * Goal: a page that is out comes back in microseconds and holds as little memory as can be.
 *
 *  - A page of one word again and again (zeros among them) is that word in its entry: no slot.
 *  - ZIP_SOON tries LZ4: on guests' pages half of them fit 2048 bytes, at a third of zstd's time.
 *    What does not fit is tried by zstd, which fits another tenth: still cheaper than a disk.
 *  - What stays is worth zstd: zip_settle() compresses it a second time, by its age, and keeps that
 *    where it needs a smaller slot.
 *
 * One lock, held to change lists and to copy 2 KiB at most: never while compressing, expanding, or
 * touching the caller's memory. zip_get() copies the slot out under it, so that an entry may be
 * moved (zip_pack), compressed anew or followed by others while it is expanded. Each payload has a
 * checksum, seeded by page and length: bytes that are not what was put are never handed out.
 *
 * The cap counts all that the cache makes the host hold: pages of slots, tables, working areas. An
 * entry is 32 bytes, the description of a page of slots 44.
 */
#include "agent/zip.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/codec.h"
#include "sys/mapping.h"

#define NONE 0u /* of entries: the first is 1, as its handle */
#define PAGES_OF(bytes) (((bytes) + PS_PAGE_SIZE - 1) / PS_PAGE_SIZE)

enum entry_kind { ENTRY_FREE, ENTRY_SAME, ENTRY_LZ4, ENTRY_ZSTD };

struct entry {
	uint32_t page;
	uint32_t next, prev; /* in the list by age; of a free one, next in the list of those */
	union {
		uint64_t word; /* SAME */
		struct {
			uint32_t slot;
			uint32_t check;
		} at;
	};
	uint32_t when; /* seconds: put */
	uint16_t length;
	uint8_t kind;
	uint8_t life; /* changes when the entry becomes another's */
};
_Static_assert(sizeof(struct entry) == 32, "what an entry is said to take");

struct zip {
	pthread_mutex_t lock;
	struct entry *entry; /* [max + 1] */
	uint32_t max;
	uint32_t fresh; /* the first that was never used */
	uint32_t free;	/* list of entries */
	uint32_t oldest, newest;
	uint32_t unsettled; /* the oldest that zip_settle() has not seen; NONE: none */
	uint32_t now;
	uint64_t cap; /* pages */
	struct slab_set slabs;
	struct codec *codec;
	struct zip_figures f;
};

/* One content on its way in or out. */
struct payload {
	char bytes[ZIP_CONTENT_MAX + CODEC_SPARE];
	uint64_t word;
	uint32_t length;
	uint32_t check;
	enum entry_kind kind;
	uint32_t page;
};

int zip_new(struct zip **zip, uint32_t pages)
{
	struct zip *z;
	int err;

	if (!pages || pages > PS_PAGES_MAX)
		return -EINVAL;
	z = map_anon(NULL, sizeof(*z));
	if (!z)
		return -ENOMEM;
	z->max = pages;
	z->fresh = 1;
	z->entry = map_anon(NULL, (pages + 1ull) * sizeof(struct entry));
	err = z->entry ? codec_new(&z->codec) : -ENOMEM;
	/* Two in a page at the least, and the three pages being filled. */
	if (!err)
		err = slab_init(&z->slabs, pages / 2 + 1 + SLAB_CLASSES);
	if (err) {
		codec_free(z->codec);
		map_free(z->entry, (pages + 1ull) * sizeof(struct entry));
		map_free(z, sizeof(*z));
		return err;
	}
	pthread_mutex_init(&z->lock, NULL);
	*zip = z;
	return 0;
}

struct zip *zip_free(struct zip *z)
{
	if (!z)
		return NULL;
	slab_deinit(&z->slabs);
	codec_free(z->codec);
	map_free(z->entry, (z->max + 1ull) * sizeof(struct entry));
	pthread_mutex_destroy(&z->lock);
	map_free(z, sizeof(*z));
	return NULL;
}

void zip_set_cap(struct zip *z, uint32_t pages)
{
	pthread_mutex_lock(&z->lock);
	z->cap = pages;
	pthread_mutex_unlock(&z->lock);
}

void zip_set_now(struct zip *z, uint32_t seconds)
{
	pthread_mutex_lock(&z->lock);
	z->now = seconds;
	pthread_mutex_unlock(&z->lock);
}

/* ---- contents ------------------------------------------------------------------------------- */

static uint32_t check_of(const struct payload *p)
{
	return (uint32_t)XXH3_64bits_withSeed(p->bytes, p->length,
					      (uint64_t)p->page << 16 | p->length);
}

static bool is_one_word(const uint64_t *words)
{
	/* Equal to itself, one word on. */
	return words[0] == words[PS_PAGE_SIZE / sizeof(*words) - 1] &&
	       memcmp(words, words + 1, PS_PAGE_SIZE - sizeof(*words)) == 0;
}

static bool shrink_by(struct zip *z, struct payload *p, const void *content, enum entry_kind kind)
{
	enum codec_kind codec = kind == ENTRY_LZ4 ? CODEC_LZ4 : CODEC_ZSTD;

	p->kind = kind;
	p->length = codec_shrink(z->codec, codec, content, p->bytes, ZIP_CONTENT_MAX);
	return p->length;
}

static int shrink(struct zip *z, struct payload *p, const void *content, enum zip_method method)
{
	if (is_one_word(content)) {
		p->kind = ENTRY_SAME;
		p->length = 0;
		memcpy(&p->word, content, sizeof(p->word));
		return 0;
	}
	if (!(method == ZIP_SOON && shrink_by(z, p, content, ENTRY_LZ4)) &&
	    !shrink_by(z, p, content, ENTRY_ZSTD))
		return -E2BIG;
	p->check = check_of(p);
	return 0;
}

static int expand(struct zip *z, const struct payload *p, void *out)
{
	uint64_t *words = out;

	if (p->kind == ENTRY_SAME) {
		for (size_t i = 0; i < PS_PAGE_SIZE / sizeof(*words); i++)
			words[i] = p->word;
		return 0;
	}
	if (p->check != check_of(p))
		return -EBADMSG;
	return codec_expand(z->codec, p->kind == ENTRY_LZ4 ? CODEC_LZ4 : CODEC_ZSTD, p->bytes,
			    p->length, out);
}

/* ---- entries; all under the lock ------------------------------------------------------------ */

static uint64_t pages_held(const struct zip *z)
{
	return PAGES_OF(sizeof(*z)) + PAGES_OF(z->fresh * sizeof(struct entry)) +
	       codec_held(z->codec) / PS_PAGE_SIZE + slab_held(&z->slabs) +
	       slab_table_held(&z->slabs);
}

static struct entry *find(struct zip *z, uint32_t handle, uint32_t page)
{
	struct entry *e = &z->entry[handle];

	if (handle == NONE || handle >= z->fresh || e->kind == ENTRY_FREE || e->page != page)
		return NULL;
	return e;
}

/* Its content's bytes: a copy. */
static void copy_out(const struct zip *z, const struct entry *e, struct payload *p)
{
	p->kind = e->kind;
	p->page = e->page;
	p->length = e->length;
	if (e->kind == ENTRY_SAME) {
		p->word = e->word;
		return;
	}
	p->check = e->at.check;
	memcpy(p->bytes, slab_at(&z->slabs, e->at.slot), e->length);
}

static void count(struct zip *z, const struct entry *e, uint64_t by)
{
	z->f.entries += by;
	z->f.payload += by * e->length;
	z->f.same += e->kind == ENTRY_SAME ? by : 0;
	z->f.zstd += e->kind == ENTRY_ZSTD ? by : 0;
	if (e->kind != ENTRY_SAME)
		z->f.slots[slab_class(e->length)] += by;
}

/* A slot of its own for a payload. over: pages that the cap may be passed by. */
static bool place(struct zip *z, uint32_t handle, const struct payload *p, uint32_t over)
{
	struct entry *e = &z->entry[handle];

	if (p->kind != ENTRY_SAME) {
		uint32_t class = slab_class(p->length), slot;

		if (slab_grows(&z->slabs, class) && pages_held(z) >= z->cap + over)
			return false;
		slot = slab_take(&z->slabs, class, handle);
		if (slot == SLAB_NONE)
			return false;
		memcpy(slab_at(&z->slabs, slot), p->bytes, p->length);
		e->at.slot = slot;
		e->at.check = p->check;
	} else {
		e->word = p->word;
	}
	e->kind = (uint8_t)p->kind;
	e->length = (uint16_t)p->length;
	count(z, e, 1);
	return true;
}

static uint32_t free_entry(struct zip *z)
{
	if (z->free != NONE)
		return z->free;
	return z->fresh <= z->max ? z->fresh : NONE;
}

static void take_entry(struct zip *z, uint32_t handle)
{
	if (handle == z->free)
		z->free = z->entry[handle].next;
	else
		z->fresh++;
}

static void add_newest(struct zip *z, uint32_t handle)
{
	struct entry *e = &z->entry[handle];

	e->next = NONE;
	e->prev = z->newest;
	if (z->newest != NONE)
		z->entry[z->newest].next = handle;
	else
		z->oldest = handle;
	z->newest = handle;
	if (z->unsettled == NONE)
		z->unsettled = handle;
}

static void remove_entry(struct zip *z, uint32_t handle)
{
	struct entry *e = &z->entry[handle];

	if (z->unsettled == handle)
		z->unsettled = e->next;
	if (e->prev != NONE)
		z->entry[e->prev].next = e->next;
	else
		z->oldest = e->next;
	if (e->next != NONE)
		z->entry[e->next].prev = e->prev;
	else
		z->newest = e->prev;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static int put(struct zip *z, const struct payload *p, uint32_t *handle)
{
	uint32_t h = free_entry(z);
	struct entry *e;

	if (h == NONE || pages_held(z) > z->cap || !z->cap)
		return -ENOSPC;
	if (!place(z, h, p, 0))
		return -ENOSPC;
	take_entry(z, h);
	e = &z->entry[h];
	e->page = p->page;
	e->when = z->now;
	e->life++;
	add_newest(z, h);
	*handle = h;
	return 0;
}

int zip_put(struct zip *z, uint32_t page, const void *content, enum zip_method method,
	    uint32_t *handle)
{
	struct payload p = {.page = page};
	int err = shrink(z, &p, content, method);

	pthread_mutex_lock(&z->lock);
	if (err)
		z->f.unfit++;
	else
		err = put(z, &p, handle);
	z->f.full += err == -ENOSPC;
	z->f.puts += !err;
	pthread_mutex_unlock(&z->lock);
	return err;
}

int zip_get(struct zip *z, uint32_t handle, uint32_t page, void *out)
{
	struct payload p;
	struct entry *e;
	int err;

	pthread_mutex_lock(&z->lock);
	e = find(z, handle, page);
	if (e) {
		copy_out(z, e, &p);
		z->f.gets++;
	}
	pthread_mutex_unlock(&z->lock);
	if (!e)
		return -ENOENT;
	err = expand(z, &p, out);
	if (err) {
		memset(out, 0, PS_PAGE_SIZE);
		pthread_mutex_lock(&z->lock);
		z->f.damaged++;
		pthread_mutex_unlock(&z->lock);
	}
	return err;
}

void zip_drop(struct zip *z, uint32_t handle, uint32_t page)
{
	struct entry *e;

	pthread_mutex_lock(&z->lock);
	e = find(z, handle, page);
	if (e) {
		count(z, e, (uint64_t)-1);
		if (e->kind != ENTRY_SAME)
			slab_give(&z->slabs, e->at.slot);
		remove_entry(z, handle);
		e->kind = ENTRY_FREE;
		e->next = z->free;
		z->free = handle;
		z->f.drops++;
	}
	pthread_mutex_unlock(&z->lock);
}

uint32_t zip_oldest(struct zip *z, uint32_t skip, uint32_t n, uint32_t *handles, uint32_t *pages)
{
	uint32_t got = 0;

	pthread_mutex_lock(&z->lock);
	for (uint32_t h = z->oldest; h != NONE && got < n; h = z->entry[h].next) {
		if (skip) {
			skip--;
			continue;
		}
		handles[got] = h;
		pages[got++] = z->entry[h].page;
	}
	pthread_mutex_unlock(&z->lock);
	return got;
}

uint32_t zip_age(struct zip *z, uint32_t handle)
{
	uint32_t age = 0;

	pthread_mutex_lock(&z->lock);
	if (handle != NONE && handle < z->fresh && z->entry[handle].kind != ENTRY_FREE)
		age = z->now - z->entry[handle].when;
	pthread_mutex_unlock(&z->lock);
	return age;
}

/* ---- upkeep --------------------------------------------------------------------------------- */

/* The next one that is old enough, past those that are nothing for zstd. NONE: there is none. */
static uint32_t next_unsettled(struct zip *z, uint32_t older_than, struct payload *p, uint8_t *life)
{
	uint32_t h = NONE;

	pthread_mutex_lock(&z->lock);
	while (z->unsettled != NONE) {
		struct entry *e = &z->entry[z->unsettled];

		if (z->now - e->when <= older_than)
			break;
		h = z->unsettled;
		z->unsettled = e->next;
		if (e->kind == ENTRY_LZ4 && slab_class(e->length) > 0) {
			copy_out(z, e, p);
			*life = e->life;
			break;
		}
		h = NONE;
	}
	pthread_mutex_unlock(&z->lock);
	return h;
}

/* The smaller payload takes the place of the one that it was made from, if that is there still. */
static void replace(struct zip *z, uint32_t handle, uint8_t life, const struct payload *p)
{
	struct entry *e = &z->entry[handle], was;

	pthread_mutex_lock(&z->lock);
	was = *e;
	if (e->kind == ENTRY_LZ4 && e->life == life && place(z, handle, p, 1)) {
		count(z, &was, (uint64_t)-1);
		slab_give(&z->slabs, was.at.slot);
		z->f.again++;
	}
	pthread_mutex_unlock(&z->lock);
}

uint32_t zip_settle(struct zip *z, uint32_t older_than, uint32_t n)
{
	_Alignas(16) char content[PS_PAGE_SIZE];
	struct payload p;
	uint32_t done = 0;
	uint8_t life;

	for (; done < n; done++) {
		uint32_t h = next_unsettled(z, older_than, &p, &life), was;

		if (h == NONE)
			break;
		was = slab_class(p.length);
		if (expand(z, &p, content) == 0 && shrink_by(z, &p, content, ENTRY_ZSTD) &&
		    slab_class(p.length) < was) {
			p.check = check_of(&p);
			replace(z, h, life, &p);
		}
	}
	return done;
}

uint32_t zip_pack(struct zip *z, uint32_t n)
{
	uint32_t done = 0;

	for (uint32_t class = 0; class < SLAB_CLASSES && done < n;) {
		uint32_t slot;

		pthread_mutex_lock(&z->lock);
		slot = slab_move(&z->slabs, class);
		if (slot != SLAB_NONE)
			z->entry[slab_owner(&z->slabs, slot)].at.slot = slot;
		z->f.moved += slot != SLAB_NONE;
		pthread_mutex_unlock(&z->lock);
		done += slot != SLAB_NONE;
		class += slot == SLAB_NONE;
	}
	pthread_mutex_lock(&z->lock);
	done += slab_trim(&z->slabs, n);
	pthread_mutex_unlock(&z->lock);
	return done;
}

void zip_count(struct zip *z, struct zip_figures *figures)
{
	pthread_mutex_lock(&z->lock);
	*figures = z->f;
	figures->slabs = slab_held(&z->slabs);
	figures->held = pages_held(z) * PS_PAGE_SIZE;
	figures->cap = z->cap * PS_PAGE_SIZE;
	pthread_mutex_unlock(&z->lock);
}
