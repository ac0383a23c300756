/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hammer: the guest of the fake VMM. Threads that write, read, discard and count at random over
 * regions of managed memory, with a model of every byte outside of it.
 *
 * Ownership. Pages come in chunks of HAMMER_CHUNK; chunk c belongs to thread c % threads, which
 * alone changes its pages and their models. So neighbours belong to different threads, and a run
 * of shared pages is broken from several sides. Anybody may read any page (mpage_peek).
 *
 * Counter pages, the last ones of each region, belong to all: 8 words in each, to which a thread
 * adds 1 on one visit and takes 1 away on its next, atomically. A lost update shows as a sum that
 * no set of visits explains; the pages are equal to each other most of the time, so they are
 * shared while they count.
 *
 * Hot pages. Each thread writes to a small set of pages, and rarely elsewhere. Now and then the set
 * moves on; most of the pages it leaves get a content that has twins, and then stay quiet for some
 * HAMMER_QUIET_MS: long enough to be shared before somebody comes back. The counter pages that are
 * visited move on alike.
 *
 * World lock. Threads hold it for reading for one batch of operations. Who holds it for writing
 * sees a guest that stands still: model and memory agree everywhere (hammer_verify), and regions
 * may be moved, unmapped, forked.
 */
#ifndef PSHARE_TEST_HAMMER_H
#define PSHARE_TEST_HAMMER_H

#include <pthread.h>

#include "model.h"

#define HAMMER_REGIONS 8u
#define HAMMER_THREADS 16u
#define HAMMER_CHUNK 8u
#define HAMMER_BATCH 64u
#define HAMMER_HOT 64u
#define HAMMER_QUIET_MS 16000u
#define HAMMER_HOT_COUNTERS 16u
#define HAMMER_COUNTERS 8u /* words of a counter page, 512 bytes apart */

struct hregion {
	uint8_t *base; /* NULL: not mapped now */
	uint32_t npages;
	uint32_t ncounter; /* the last of the npages */
	struct mpage *model;
	uint8_t *in[HAMMER_THREADS]; /* for each counter page: 1 if this thread has added its 1 */
	bool dontfork;
	bool nohuge;
};

struct hammer;

struct hthread {
	struct hammer *h;
	uint32_t id;
	uint64_t rng;
	pthread_t thread;
	struct {
		struct hregion *r;
		uint32_t page;
	} hot[HAMMER_HOT];
	uint64_t next_hot;
	int pipe[2];
	/* written by the thread, read by anybody */
	uint64_t ops;
	uint64_t max_batch_ns;
};

/* What a run shows of itself; may lie in memory shared with other processes. */
struct hammer_stats {
	uint64_t ops;
	uint64_t verified; /* pages found right by whole verifications */
	uint64_t max_batch_ns;
	uint64_t direct_reads;
	uint64_t discards;
};

struct hammer {
	struct hregion region[HAMMER_REGIONS];
	uint32_t nregions;
	uint32_t nthreads;
	uint64_t seed;
	uint64_t hot_ns;      /* how long pages stay hot */
	uint32_t hot_counter; /* the first of the counter pages that are visited */
	int direct_fd; /* file of pool contents, block i = pool_key(i), for O_DIRECT; -1: none */
	int file_fd;   /* the same file without O_DIRECT; -1: none */
	bool no_discard;
	pthread_rwlock_t world;
	volatile int stop;
	struct hthread thread[HAMMER_THREADS];
	struct hammer_stats *stats;
	struct hammer_stats own_stats;
};

/* The VMM goes on when its advice is refused: calls are made to fail, or memory is short. */
extern bool hammer_tolerant;

void hammer_init(struct hammer *h, uint32_t nthreads, uint64_t seed);
/* Maps a region as QEMU maps guest RAM (2 MiB aligned, MERGEABLE, DONTFORK, huge pages on or
 * off), fills it, adds it. Before hammer_start, or under the world lock. */
struct hregion *hammer_region(struct hammer *h, uint32_t npages, bool dontfork, bool nohuge);
/* mmap + madvise for a region whose model exists: everything zero after it. at: where,
 * if it is free, or NULL. */
void hammer_map(struct hregion *r, void *at);
void hammer_fill(struct hammer *h, struct hregion *r);
/* Model of [page, page + n): zero now (discarded, mapped anew). The world lock is held. */
void hammer_zeroed(struct hammer *h, struct hregion *r, uint32_t page, uint32_t n);

void hammer_start(struct hammer *h);
void hammer_stop(struct hammer *h); /* and joins */
void hammer_lock(struct hammer *h);
void hammer_unlock(struct hammer *h);
/* Every byte of every region, with the world lock held (or nobody running). Fails the process. */
void hammer_verify(struct hammer *h, const char *when);
void hammer_verify_region(struct hammer *h, struct hregion *r, const char *when);
/* Gathers the threads' counts into stats. */
void hammer_publish(struct hammer *h);

/* One operation at random (hammer-ops.c). The world lock is held for reading. */
void hammer_op(struct hthread *t);
/* Reserves n bytes of address space, aligned to 2 MiB. */
uint8_t *hammer_reserve(size_t bytes);

#endif
