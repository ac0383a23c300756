/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * zip: the compressed cache of one VM: pages that are out, in memory, smaller.
 *
 * An entry is one page. It has a handle until it is dropped; a handle is never 0. What the cache
 * takes of the host's memory (slots, tables, scratch) is counted in pages and capped.
 *
 * Threads: everything but zip_new() and zip_free() may be called by any number of threads at the
 * same time. Nothing waits for anything but a moment's lock; no call allocates. Contents (in and
 * out) are touched without a lock, and must not lie in guest memory that may be out.
 */
#ifndef PSHARE_AGENT_ZIP_H
#define PSHARE_AGENT_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/slab.h"
#include "wire/wire.h"

#define ZIP_CONTENT_MAX SLAB_SLOT_MAX /* a page that does not fit that is not kept */
#define ZIP_PAGES_MAX (1u << 24)      /* of memory that one cache can have: 64 GiB */

/* How a page is compressed. */
enum zip_method {
	ZIP_SOON,  /* LZ4, where that fits ZIP_CONTENT_MAX; else zstd */
	ZIP_STAYS, /* zstd 1: smaller by a quarter, for three times the time */
};

struct zip;

/* Pages unless the name says otherwise. */
struct zip_figures {
	uint64_t entries;	      /* pages that are in the cache */
	uint64_t same;		      /* of them, one word again and again: they take no slot */
	uint64_t zstd;		      /* of them, by zstd */
	uint64_t slots[SLAB_CLASSES]; /* entries by class */
	uint64_t payload;	      /* bytes: what compression made of them */
	uint64_t held;		      /* bytes of memory: slots, used or not, tables, scratch */
	uint64_t slabs;		      /* of it, pages of slots */
	uint64_t cap;		      /* bytes: what held may come to */
	/* events, ever growing */
	uint64_t puts, gets, drops;
	uint64_t unfit;	  /* puts refused: larger than ZIP_CONTENT_MAX */
	uint64_t full;	  /* puts refused: at the cap, or no memory */
	uint64_t again;	  /* compressed a second time, and smaller */
	uint64_t moved;	  /* slots, so that a page of slots could be given back */
	uint64_t damaged; /* gets that found other bytes than were put: each is a defect */
};

/* A cache for at most `pages` pages of guest memory. Reserves address space, takes nearly no memory
 * yet. The cap is 0: nothing can be put before zip_set_cap(). 0 or -ENOMEM, -EINVAL. */
int zip_new(struct zip **zip, uint32_t pages);
/* Nobody else may be inside. Takes NULL; returns NULL. */
struct zip *zip_free(struct zip *zip);

/* What the cache may hold, in pages of memory. Lowered below what it holds: nothing is lost, puts
 * are refused until enough was dropped. */
void zip_set_cap(struct zip *zip, uint32_t pages);
/* The time, in seconds of any clock that does not go back. Entries are as old as their put. */
void zip_set_now(struct zip *zip, uint32_t seconds);

/* Keeps the content (PS_PAGE_SIZE bytes) of a page; `page` is any number the caller knows it by.
 * -E2BIG: it does not fit ZIP_CONTENT_MAX. -ENOSPC: the cap is reached, or there is no memory.
 * 0: *handle names the entry. */
int zip_put(struct zip *zip, uint32_t page, const void *content, enum zip_method method,
	    uint32_t *handle);
/* The content into out (PS_PAGE_SIZE bytes); the entry stays. -ENOENT: no such entry, or it is
 * not that page's. -EBADMSG: its bytes are not what was put; out holds no content then. May be
 * called while the entry is compressed anew or moved, but not after zip_drop(). */
int zip_get(struct zip *zip, uint32_t handle, uint32_t page, void *out);
/* The entry goes; a page of slots that has no other is given back by the next zip_pack(), or used
 * again. Does nothing for a handle that is not that page's. */
void zip_drop(struct zip *zip, uint32_t handle, uint32_t page);

/* The n entries that were put longest ago, oldest first, after skipping `skip` of them: handles
 * and pages. Returns how many there were. */
uint32_t zip_oldest(struct zip *zip, uint32_t skip, uint32_t n, uint32_t *handles, uint32_t *pages);
/* Age of an entry in seconds; 0 for one that is not there. */
uint32_t zip_age(struct zip *zip, uint32_t handle);

/* Upkeep, for a thread that has nothing better to do. Both return how many they dealt with; fewer
 * than n: there is no more to do for now. */
/* Compresses at most n entries that are older than so many seconds, and were put ZIP_SOON, by zstd;
 * each is tried once. */
uint32_t zip_settle(struct zip *zip, uint32_t older_than, uint32_t n);
/* Moves at most n slots together, so that pages with few slots in use become free, and gives the
 * memory of at most n free ones back. */
uint32_t zip_pack(struct zip *zip, uint32_t n);

void zip_count(struct zip *zip, struct zip_figures *figures);

#endif
