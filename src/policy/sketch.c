/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The sample is the agent's (agent/likeness.c): the pages whose sampling value is below a bound,
 * which falls as the VM has more pages, so that there are between seven eighths of SKETCH_MAX and
 * SKETCH_MAX of them. A page in it stands for 1 / bound pages.
 *
 * How exact: of two VMs that have a part p of their pages in common, k tokens each, the estimate of
 * that part has a standard error of sqrt((1 - p) / (p k)) of itself: 3.4 % for a third and 1650
 * tokens. That two different pages have one token happens to one in 37,000 of a VM's pages for each
 * other VM that it is compared with.
 *
 * Size: sorted tokens of 26 bits are 2^26 / k apart, and the difference takes 26 - log2(k) + 1.5
 * bits in Rice's code: 16.7 bits a token, 3.7 KB for 1792.
 *
 * Rejected: minwise hashing with many functions (each page would be hashed many times); a sketch of
 * what the daemon knows, which is hashes seeded for each domain, that say nothing about another
 * one; tokens as long as hashes, for a fifth of the samples.
 */
#include "policy/sketch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium/crypto_shorthash_siphash24.h>

#define TOKENS (1u << SKETCH_BITS)
#define RICE_MAX SKETCH_BITS
#define QUOTIENT_MAX 512u /* in one code: more is no sketch */

uint64_t sketch_keyed(const uint8_t key[SKETCH_KEY_SIZE], uint64_t value)
{
	uint8_t bytes[sizeof(value)];
	uint64_t out;

	_Static_assert(crypto_shorthash_siphash24_KEYBYTES == SKETCH_KEY_SIZE, "its key");
	_Static_assert(crypto_shorthash_siphash24_BYTES == sizeof(out), "what it gives");
	memcpy(bytes, &value, sizeof(bytes));
	crypto_shorthash_siphash24((uint8_t *)&out, bytes, sizeof(bytes), key);
	return out;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void sketch_make(struct sketch *sketch, const uint8_t key[SKETCH_KEY_SIZE], uint64_t *hash,
		 uint32_t n, uint32_t pages, double weight)
{
	*sketch = (struct sketch){.weight = weight, .pages = pages > n ? pages : n};
	for (uint32_t i = 0; i < n; i++)
		hash[i] = sketch_keyed(key, hash[i]) >> (64 - SKETCH_BITS);
	qsort(hash, n, sizeof(*hash), by_value);
	for (uint32_t i = 0; i < n && sketch->n < SKETCH_MAX; i++)
		if (!i || hash[i] != hash[i - 1])
			sketch->token[sketch->n++] = (uint32_t)hash[i];
}

/* The lowest tokens are a sample of the sample, the same in every sketch: they are what a random
 * function gave. */
void sketch_thin(struct sketch *sketch, uint32_t max)
{
	double part;
	uint32_t n = sketch->n;

	if (n <= max || !max)
		return;
	/* all below the first that goes, whatever it is */
	part = (double)sketch->token[max] / TOKENS;
	sketch->weight /= part;
	sketch->pages = (uint32_t)((double)sketch->pages * max / n);
	sketch->n = max;
}

/* ---- Rice's code --------------------------------------------------------------------------- */

struct bits {
	uint8_t *out;
	const uint8_t *in;
	size_t at, end; /* bits */
};

static void put_bit(struct bits *bits, unsigned int bit)
{
	if (bits->at < bits->end && bit)
		bits->out[bits->at / 8] |= (uint8_t)(1u << bits->at % 8);
	bits->at++;
}

static int get_bit(struct bits *bits)
{
	int bit;

	if (bits->at >= bits->end)
		return -1;
	bit = bits->in[bits->at / 8] >> bits->at % 8 & 1;
	bits->at++;
	return bit;
}

/* About log2 of the mean difference. */
static unsigned int rice_of(const struct sketch *sketch)
{
	uint32_t range = sketch->n ? sketch->token[sketch->n - 1] / sketch->n : 0;
	unsigned int rice = 0;

	while (rice < RICE_MAX && (range >> (rice + 1)) > 0)
		rice++;
	return rice;
}

size_t sketch_encode(const struct sketch *sketch, uint8_t out[SKETCH_BYTES])
{
	struct bits bits = {.out = out, .at = 8, .end = SKETCH_BYTES * 8};
	unsigned int rice = rice_of(sketch);
	uint32_t last = 0;

	memset(out, 0, SKETCH_BYTES);
	out[0] = (uint8_t)rice;
	for (uint32_t i = 0; i < sketch->n; i++) {
		uint32_t step = sketch->token[i] - last;

		for (uint32_t q = step >> rice; q; q--)
			put_bit(&bits, 1);
		put_bit(&bits, 0);
		for (unsigned int k = 0; k < rice; k++)
			put_bit(&bits, step >> k & 1);
		last = sketch->token[i];
	}
	return bits.at < bits.end ? (bits.at + 7) / 8 : SKETCH_BYTES;
}

static int get_step(struct bits *bits, unsigned int rice, uint32_t *step)
{
	uint32_t q = 0, low = 0;
	int bit;

	while ((bit = get_bit(bits)) == 1)
		if (++q > QUOTIENT_MAX)
			return -EINVAL;
	for (unsigned int k = 0; k < rice && bit >= 0; k++) {
		bit = get_bit(bits);
		low |= bit > 0 ? 1u << k : 0;
	}
	if (bit < 0 || (uint64_t)q << rice >= TOKENS)
		return -EINVAL;
	*step = q << rice | low;
	return 0;
}

int sketch_decode(struct sketch *sketch, uint32_t n, const uint8_t *bytes, size_t length)
{
	struct bits bits = {.in = bytes, .at = 8, .end = length * 8};
	uint32_t last = 0, step;

	if (n > SKETCH_MAX || !length || length > SKETCH_BYTES || bytes[0] > RICE_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		if (get_step(&bits, bytes[0], &step) || step >= TOKENS - last || (i && !step))
			return -EINVAL;
		last += step;
		sketch->token[i] = last;
	}
	sketch->n = n;
	return 0;
}
