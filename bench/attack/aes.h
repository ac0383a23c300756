/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * aes: AES-128 by tables, plainly, as programs had it before processors did (FIPS 197, 5.1 and 5.2;
 * the tables are those of Rijndael's submission, 5.2.1). It is here to be attacked: which table
 * lines it reads depends on the key, and that is the whole point. Never use it for anything else.
 */
#ifndef PSHARE_ATTACK_AES_H
#define PSHARE_ATTACK_AES_H

#include <stdint.h>

#define AES_BLOCK 16u
#define AES_ROUNDS 10u
#define AES_FILE_BYTES 8192u /* two pages: the tables of rounds 1 to 9, and that of the last */
#define AES_LAST_OFFSET 4096u
#define AES_LINE 64u
#define AES_LAST_LINES 16u /* of the last round's table: 256 entries of 4 bytes */

struct aes_tables {
	uint32_t t[4][256];
	uint32_t last[256]; /* S[x] in each byte */
	uint8_t rest[4096 - 1024];
};
_Static_assert(sizeof(struct aes_tables) == AES_FILE_BYTES, "two pages");

struct aes_key {
	uint32_t round[4 * (AES_ROUNDS + 1)];
};

void aes_make_tables(struct aes_tables *tables);
uint8_t aes_sbox(uint8_t x);
void aes_expand(struct aes_key *key, const uint8_t bytes[AES_BLOCK]);
/* Reads the tables where they lie: that is what a neighbour sees. last: tables->last, or a copy. */
void aes_encrypt(const struct aes_tables *tables, const uint32_t last[256],
		 const struct aes_key *key, const uint8_t in[AES_BLOCK], uint8_t out[AES_BLOCK]);
/* The key whose last round key that is. */
void aes_unroll(const uint8_t last[AES_BLOCK], uint8_t bytes[AES_BLOCK]);

#endif
