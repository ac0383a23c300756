/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * headroom: a page in quarantine is charged to the VMM, and so is the copy that the guest gets when
 * it writes to the frame in its place. A guest that writes all that was shared while it is in
 * quarantine would need its whole memory and the quarantine beside it. So of what the limit leaves,
 * what the guest may still come to need is set apart first; the quarantine may have half of the
 * rest. (The other half is for what else the VMM allocates meanwhile.)
 *
 * Where the limit is below what the guest may come to need, somebody counts on the guest not to
 * need it: then the quarantine has a sixteenth of what is free at the moment.
 */
#include "policy/headroom.h"

#include "wire/wire.h"

#define PART 2u
#define PART_OVERCOMMITTED 16u

static uint64_t less(uint64_t x, uint64_t y)
{
	return x > y ? x - y : 0;
}

uint32_t headroom_quarantine(const struct headroom *h)
{
	uint64_t used, free, growth, pages;

	if (h->limit == UINT64_MAX)
		return UINT32_MAX;
	used = less(h->used, h->quarantined * PS_PAGE_SIZE);
	free = less(h->limit, used) / PS_PAGE_SIZE;
	growth = less(h->size, h->own);
	pages = free < growth ? free / PART_OVERCOMMITTED : (free - growth) / PART;
	return pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

uint64_t headroom_part(uint64_t lacks, uint64_t has, uint64_t all)
{
	double part = all ? (double)has / (double)all * (double)lacks : 0;
	uint64_t pages = part < (double)has ? (uint64_t)part : has;

	return pages < has && (double)pages < part ? pages + 1 : pages;
}
