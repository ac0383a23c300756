/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The victim's AES is AES, and its key schedule runs backwards. */
#include "aes.h"
#include "harness/harness.h"

TEST("the example of FIPS 197, appendix C.1, comes out, and the last round key gives the key back")
{
	static struct aes_tables tables;
	uint8_t key[16], plain[16], out[16], last[16], back[16];
	static const uint8_t expected[16] = {0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
					     0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
	struct aes_key expanded;

	for (unsigned int i = 0; i < 16; i++) {
		key[i] = (uint8_t)i;
		plain[i] = (uint8_t)(i * 0x11);
	}
	aes_make_tables(&tables);
	aes_expand(&expanded, key);
	aes_encrypt(&tables, tables.last, &expanded, plain, out);
	CHECK_MEM(out, expected, 16);
	for (unsigned int i = 0; i < 16; i++)
		last[i] = (uint8_t)(expanded.round[40 + i / 4] >> (24 - 8 * (i % 4)));
	aes_unroll(last, back);
	CHECK_MEM(back, key, 16);
}
