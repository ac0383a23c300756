/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * swapfile: the swap file of one VM: pages that are out, on disk, encrypted and authenticated.
 *
 * A slot is one page of the file. A content goes out in a batch: swapfile_submit() encrypts it into
 * a buffer of the file's own and returns; a thread of the file's own writes; swapfile_reap() says
 * how that ended. Until then, and for good where it failed, the caller keeps the content: nothing
 * is given up that is not on disk.
 *
 * A slot is read only as what it was written last for: content, page, slot and version are one
 * authenticated block, and what authenticates it is in this process's memory. A flipped bit, two
 * blocks exchanged, an older block of the same slot, another VM's block: -EBADMSG.
 *
 * Threads: everything but swapfile_new() and swapfile_free() may be called by any number of threads
 * at the same time. No lock is held while the disk works; no call allocates. Contents must not lie
 * in guest memory that may be out.
 */
#ifndef PSHARE_AGENT_SWAPFILE_H
#define PSHARE_AGENT_SWAPFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

#define SWAPFILE_BATCH 64u	/* pages of a batch at most */
#define SWAPFILE_BATCHES 4u	/* under way at the same time */
#define SWAPFILE_NEIGHBOURS 16u /* pages of one read at most */
#define SWAPFILE_SLOT_NONE UINT32_MAX

struct swapfile;

/* How a batch ended. */
struct swapfile_done {
	uint32_t batch; /* as swapfile_submit() numbered it */
	uint32_t n;	/* pages of it */
	uint32_t good;	/* the first ones, that are on disk */
	int error;	/* of the others, which have no slot any more; 0: there are none. -errno */
};

/* Pages unless the name says otherwise. */
struct swapfile_figures {
	uint64_t used;	 /* slots that hold a content, or are being written */
	uint64_t cap;	 /* slots that the file may have */
	uint64_t held;	 /* bytes of memory: tables, buffers */
	uint64_t cpu_ns; /* of the thread that writes */
	/* events, ever growing */
	uint64_t writes, reads;
	uint64_t batches;
	uint64_t failed;  /* pages that could not be written */
	uint64_t damaged; /* pages read that were not what had been written */
	int write_error;  /* the latest, -errno; 0: none since a batch ended well */
	int read_error;
	bool direct; /* past the page cache */
};

/* Takes the descriptor of a regular file, readable and writable, that is the caller's alone; what
 * is in it counts for nothing. It may grow to cap bytes. bell: an eventfd that is rung when a
 * batch has ended; -1: none. Makes the key, and starts the thread. 0; -errno, and the descriptor is
 * the caller's still: -EINVAL (no such file, or no room for a page), -ENOSYS (the library of
 * ciphers does not work here), -ENOMEM, ... */
int swapfile_new(struct swapfile **file, int fd, uint64_t cap, int bell);
/* Waits for what is being written, wipes the key, closes the descriptor. Nobody else may be inside.
 * Takes NULL; returns NULL. */
struct swapfile *swapfile_free(struct swapfile *file);

/* Another cap, in bytes. Slots beyond a lower one stay readable until they are dropped. */
void swapfile_set_cap(struct swapfile *file, uint64_t cap);

/* Begins to write n (1 to SWAPFILE_BATCH) pages: contents[i] is the content of pages[i], and is not
 * touched any more when the call returns. slots[i]: where it goes; neighbours where that can be. A
 * slot may be dropped before the batch has ended. Returns the number of the batch (> 0).
 * -EAGAIN: SWAPFILE_BATCHES are under way, or space is just being given back. -ENOSPC: fewer than
 * n slots are free. */
long swapfile_submit(struct swapfile *file, uint32_t n, const uint32_t *pages,
		     const void *const *contents, uint32_t *slots);
/* The oldest batch that has ended, if there is one: 1 and *done; else 0. */
int swapfile_reap(struct swapfile *file, struct swapfile_done *done);
/* The same, but waits until one has ended; 0: none is under way. */
int swapfile_wait(struct swapfile *file, struct swapfile_done *done);

/* Reads n (1 to SWAPFILE_NEIGHBOURS) slots that follow each other, written and reaped, into out (n
 * pages, aligned to a page): slot + i as the content of pages[i], or, where pages[i] is
 * PS_FRAME_NONE, not at all. results[i]: 0; -EBADMSG: damaged, exchanged or stale; -ENOENT: not a
 * slot that holds a content; another -errno: the disk's. Where it is not 0, the page of out is
 * zeros. Returns how many are good. */
uint32_t swapfile_read(struct swapfile *file, uint32_t slot, uint32_t n, const uint32_t *pages,
		       void *out, int *results);
/* The slot's content counts for nothing any more. Where a stretch of the file has no other left,
 * the thread that writes gives the disk's space back. */
void swapfile_drop(struct swapfile *file, uint32_t slot);

void swapfile_count(struct swapfile *file, struct swapfile_figures *figures);

#endif
