/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/large.h"

static uint16_t mixed(uint16_t run, uint64_t hash)
{
	uint64_t z = (run + 1ull) * 0x9e3779b97f4a7c15ull ^ hash;

	z = (z ^ (z >> 32)) * 0x94d049bb133111ebull;
	return (uint16_t)(z >> 48);
}

void large_still_add(struct large_still *s, uint32_t part, uint64_t hash)
{
	uint32_t stretch = part / LARGE_STRETCH_PAGES;
	uint16_t digest;

	if (part == 0)
		s->counting = 0;
	if (part % LARGE_STRETCH_PAGES == 0)
		s->run = 0;
	s->run = mixed(s->run, hash);
	if (part % LARGE_STRETCH_PAGES != LARGE_STRETCH_PAGES - 1)
		return;
	digest = s->run ? s->run : 1;
	if (s->digest[stretch] == digest)
		s->counting++;
	s->digest[stretch] = digest;
	if (stretch == LARGE_STRETCHES - 1)
		s->still = s->counting;
}

/* What it gives counts more than how cold it is; but of a block that is written all the time half
 * as much is counted on as of one that is still, for what is written is unshared again. */
uint32_t large_score(uint32_t twins, const struct large_still *s, bool any)
{
	uint32_t score = any ? 1u + s->still : 0;

	if (twins >= LARGE_WORTH || any)
		score += twins * (LARGE_STRETCHES + s->still);
	return score;
}
