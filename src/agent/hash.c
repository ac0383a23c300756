/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/hash.h"

#include <stddef.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "wire/wire.h"

uint64_t page_hash(const void *page, uint64_t seed)
{
	return XXH3_64bits_withSeed(page, PS_PAGE_SIZE, seed);
}

bool page_is_zero(const void *page)
{
	const uint64_t *word = page;
	const size_t words = PS_PAGE_SIZE / sizeof(*word);

	/* Most pages that are not zero show it at once. */
	if (word[0] | word[words / 2] | word[words - 1])
		return false;
	for (size_t i = 0; i < words; i += 8)
		if (word[i] | word[i + 1] | word[i + 2] | word[i + 3] | word[i + 4] | word[i + 5] |
		    word[i + 6] | word[i + 7])
			return false;
	return true;
}
