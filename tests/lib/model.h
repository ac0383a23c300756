/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * model: what each page of a fake guest must hold, kept outside the memory that is managed.
 *
 * A page's content is a function of one 64-bit key, and of up to MODEL_PATCHES small writes on
 * top of it. Key 0 is a page of zeros. Keys of the pool (pool_key) are the same in every VM, so
 * pages with such a key have twins everywhere; unique keys have none. A page goes from one to the
 * other for ever: that is what the torture lives on.
 *
 * Content of key k: word i holds k * (2i + 1), and where k says so, the same again after some
 * words, so that half of the contents compress. So word 0 is the key itself, and a wrong page
 * says by itself whose content it shows.
 *
 * One thread owns a page and changes it and its model; seq is odd meanwhile. Others may read it
 * at any time with mpage_peek and compare when seq stood still.
 */
#ifndef PSHARE_TEST_MODEL_H
#define PSHARE_TEST_MODEL_H

#include "util.h"

#define MODEL_PATCHES 3u
#define MODEL_POOL 384u /* different pool contents; few enough that twins are many */

struct mpage {
	uint32_t seq;
	uint8_t npatch;
	uint8_t len[MODEL_PATCHES];
	uint16_t off[MODEL_PATCHES];
	uint64_t key;
	uint64_t val[MODEL_PATCHES];
};

uint64_t pool_key(uint32_t index);
uint64_t unique_key(uint64_t *rng);

void content_fill(void *page, uint64_t key);
bool content_is(const void *page, uint64_t key);
/* One of its words. */
uint64_t content_word(uint64_t key, uint32_t i);

/* What the page must hold now. */
void mpage_expect(const struct mpage *m, void *buf);
bool mpage_holds(const struct mpage *m, const void *page);
/* Fails the process with a full account of what differs, if it does. */
void mpage_check(const struct mpage *m, const void *page, const char *when, uint32_t number);
/* For a page owned by another thread: 1 right, 0 wrong, -1 it changed meanwhile. */
int mpage_peek(const struct mpage *m, const void *page, struct mpage *seen);

/* The owner's operations, each on memory and model. */
void mpage_write(struct mpage *m, void *page, uint64_t key);
/* len 1..8 bytes at any offset that fits; starts afresh with a pool key if patches are full */
void mpage_patch(struct mpage *m, void *page, uint16_t off, uint8_t len, uint64_t val);
/* Undoes the newest patch: the page may be equal to its twins again. */
void mpage_unpatch(struct mpage *m, void *page);
/* Bracket for an owner that lets the kernel change the page (read(2), DMA, discard). */
void mpage_begin(struct mpage *m);
void mpage_end(struct mpage *m, uint64_t key);

#endif
