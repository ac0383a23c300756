/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "aes.h"

#include <string.h>

static uint8_t times2(uint8_t x)
{
	return (uint8_t)(x << 1 ^ (x >> 7) * 0x1b);
}

static uint8_t times(uint8_t a, uint8_t b)
{
	uint8_t sum = 0;

	for (; b; b >>= 1, a = times2(a))
		sum ^= (uint8_t)((b & 1) * a);
	return sum;
}

/* The inverse in GF(2^8), then the affine map: FIPS 197, 5.1.1. */
uint8_t aes_sbox(uint8_t x)
{
	static uint8_t table[256];
	static int made;

	for (unsigned int i = 0; !made && i < 256; i++) {
		uint8_t inverse = 0, y;

		for (unsigned int k = 1; i && k < 256; k++)
			if (times((uint8_t)i, (uint8_t)k) == 1)
				inverse = (uint8_t)k;
		y = inverse;
		for (int n = 1; n < 5; n++)
			y ^= (uint8_t)(inverse << n | inverse >> (8 - n));
		table[i] = y ^ 0x63;
	}
	made = 1;
	return table[x];
}

static uint32_t word(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (uint32_t)a << 24 | (uint32_t)b << 16 | (uint32_t)c << 8 | d;
}

void aes_make_tables(struct aes_tables *tables)
{
	for (unsigned int x = 0; x < 256; x++) {
		uint8_t s = aes_sbox((uint8_t)x), s2 = times2(s), s3 = s2 ^ s;
		uint32_t t = word(s2, s, s, s3);

		for (unsigned int i = 0; i < 4; i++)
			tables->t[i][x] = i ? t >> 8 * i | t << (32 - 8 * i) : t;
		tables->last[x] = word(s, s, s, s);
	}
	for (unsigned int i = 0; i < sizeof(tables->rest); i++)
		tables->rest[i] = (uint8_t)(i * 7 + 1);
}

static uint32_t sub_word(uint32_t w)
{
	return word(aes_sbox((uint8_t)(w >> 24)), aes_sbox((uint8_t)(w >> 16)),
		    aes_sbox((uint8_t)(w >> 8)), aes_sbox((uint8_t)w));
}

static uint32_t schedule(uint32_t before, unsigned int i)
{
	uint8_t rcon = 1;

	if (i % 4)
		return before;
	for (unsigned int n = 4; n < i; n += 4)
		rcon = times2(rcon);
	return sub_word(before << 8 | before >> 24) ^ (uint32_t)rcon << 24;
}

void aes_expand(struct aes_key *key, const uint8_t bytes[AES_BLOCK])
{
	uint32_t *w = key->round;

	for (unsigned int i = 0; i < 4; i++)
		w[i] = word(bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]);
	for (unsigned int i = 4; i < 4 * (AES_ROUNDS + 1); i++)
		w[i] = w[i - 4] ^ schedule(w[i - 1], i);
}

static void put(uint8_t out[AES_BLOCK], const uint32_t w[4])
{
	for (unsigned int i = 0; i < AES_BLOCK; i++)
		out[i] = (uint8_t)(w[i / 4] >> (24 - 8 * (i % 4)));
}

void aes_unroll(const uint8_t last[AES_BLOCK], uint8_t bytes[AES_BLOCK])
{
	uint32_t w[4 * (AES_ROUNDS + 1)];

	for (unsigned int i = 0; i < 4; i++)
		w[4 * AES_ROUNDS + i] =
			word(last[4 * i], last[4 * i + 1], last[4 * i + 2], last[4 * i + 3]);
	for (unsigned int i = 4 * AES_ROUNDS + 3; i >= 4; i--)
		w[i - 4] = w[i] ^ schedule(w[i - 1], i);
	put(bytes, w);
}

void aes_encrypt(const struct aes_tables *tables, const uint32_t last[256],
		 const struct aes_key *key, const uint8_t in[AES_BLOCK], uint8_t out[AES_BLOCK])
{
	const uint32_t *k = key->round;
	uint32_t s[4], n[4];

	for (unsigned int i = 0; i < 4; i++)
		s[i] = word(in[4 * i], in[4 * i + 1], in[4 * i + 2], in[4 * i + 3]) ^ *k++;
	for (unsigned int round = 1; round < AES_ROUNDS; round++) {
		for (unsigned int i = 0; i < 4; i++)
			n[i] = tables->t[0][s[i] >> 24] ^ tables->t[1][s[(i + 1) % 4] >> 16 & 255] ^
			       tables->t[2][s[(i + 2) % 4] >> 8 & 255] ^
			       tables->t[3][s[(i + 3) % 4] & 255] ^ *k++;
		memcpy(s, n, sizeof(s));
	}
	for (unsigned int i = 0; i < 4; i++)
		n[i] = ((last[s[i] >> 24] & 0xff000000) |
			(last[s[(i + 1) % 4] >> 16 & 255] & 0xff0000) |
			(last[s[(i + 2) % 4] >> 8 & 255] & 0xff00) |
			(last[s[(i + 3) % 4] & 255] & 0xff)) ^
		       *k++;
	put(out, n);
}
