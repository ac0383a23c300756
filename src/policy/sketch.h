/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sketch: what a VM's pages are like, in 4 KiB, so that two VMs anywhere in a fleet can be
 * compared without either one's pages.
 *
 * A sketch is a sample of the VM's pages, chosen by content: a page that is chosen in one VM is
 * chosen in every VM that has it, if that one samples as finely. Of each there is a token: a few
 * bits of a keyed function of the page's hash. Who has the key made tokens that can be compared;
 * who has not has random numbers.
 */
#ifndef PSHARE_POLICY_SKETCH_H
#define PSHARE_POLICY_SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SKETCH_MAX 1792u /* tokens */
#define SKETCH_BITS 26u	 /* of a token */
#define SKETCH_BYTES 4096u
#define SKETCH_KEY_SIZE 16u

struct sketch {
	double weight;	/* pages that each token stands for, 1 at least */
	uint32_t pages; /* sampled: those that are double are counted as often as they are there */
	uint32_t n;	/* tokens, each once */
	uint32_t token[SKETCH_MAX]; /* sorted */
};

/* Of page hashes, each sampled with a chance of 1 / weight; pages: how many were, n at least.
 * hash is used up. */
void sketch_make(struct sketch *sketch, const uint8_t key[SKETCH_KEY_SIZE], uint64_t *hash,
		 uint32_t n, uint32_t pages, double weight);

/* At most max tokens, by sampling less finely. */
void sketch_thin(struct sketch *sketch, uint32_t max);

/* As bytes, which are fewer than the tokens have: their differences, in Rice's code. The number
 * of bytes. */
size_t sketch_encode(const struct sketch *sketch, uint8_t out[SKETCH_BYTES]);
/* n tokens into *sketch, all else of which is untouched. 0 or -EINVAL. */
int sketch_decode(struct sketch *sketch, uint32_t n, const uint8_t *bytes, size_t length);

/* SipHash-2-4: a keyed function of eight bytes that nobody can tell from a random one. */
uint64_t sketch_keyed(const uint8_t key[SKETCH_KEY_SIZE], uint64_t value);

#endif
