/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * model: what a page of a test guest holds, as a function of three numbers. Nothing has to be
 * remembered but them, so a check makes the content anew and never compares memory with memory.
 */
#ifndef PSHARE_GUEST_MODEL_H
#define PSHARE_GUEST_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define MODEL_PAGE 4096u

/* One step of splitmix64: a well mixed number for each state. */
static inline uint64_t model_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* The seed that a text stands for: equal texts, equal memory, in whatever guest. */
static inline uint64_t model_seed(const char *text)
{
	uint64_t seed = 0;

	while (*text)
		seed = model_mix(seed ^ (unsigned char)*text++);
	return seed;
}

/* Fills page (MODEL_PAGE bytes) with the content of page `number` in its `generation`. */
static inline void model_fill(void *page, uint64_t seed, uint64_t number, uint32_t generation)
{
	uint64_t state = model_mix(seed ^ model_mix(number ^ ((uint64_t)generation << 40)));
	uint64_t *word = page;

	for (size_t i = 0; i < MODEL_PAGE / sizeof(*word); i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		word[i] = state;
	}
}

#endif
