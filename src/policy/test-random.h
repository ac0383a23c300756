/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* splitmix64: the same numbers on every machine, so a failing test fails again. */
#ifndef PSHARE_POLICY_TEST_RANDOM_H
#define PSHARE_POLICY_TEST_RANDOM_H

#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t z = (rng->state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* 0 .. n - 1 */
static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return rng_next(rng) % n;
}

#endif
