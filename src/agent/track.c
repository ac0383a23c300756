/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * track: pages that came back into anonymous memory are registered with the tracker again; the
 * kernel then merges their mapping with its neighbours. Until then the walk does not see them,
 * which is right: what is not armed counts as written. Not at once, for it is 2 us that a writer on
 * the same processor would wait for.
 */
#include "agent/track.h"

#include "agent/agent.h"
#include "sys/uffd.h"

static bool is_own(const struct region *r, uint32_t page)
{
	return !page_in_store(page_state(&r->state[page]));
}

static void track_block(struct agent *a, struct region *r, uint32_t block)
{
	uint32_t page = block * PS_BLOCK_PAGES, k;
	uint32_t end = page + PS_BLOCK_PAGES < r->end ? page + PS_BLOCK_PAGES : r->end;
	uint64_t mode = UFFDIO_REGISTER_MODE_WP;

	if (r->block[block].gated) /* pages of it are out: as its neighbours are */
		mode |= UFFDIO_REGISTER_MODE_MISSING;
	r->block[block].restless = 1;
	for (page = page < r->first ? r->first : page; page < end; page += k ? k : 1) {
		for (k = 0; page + k < end && is_own(r, page + k);)
			k++;
		if (k && uffd_register(a->tracker, region_page(r, page), (size_t)k * PS_PAGE_SIZE,
				       mode)) {
			/* Out of sight of the walk, never wrong; tried again. */
			r->block[block].untracked = 1;
			a->untracked = true;
		}
	}
}

void track_again(struct agent *a)
{
	if (!atomic_exchange(&a->untracked, false))
		return;
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		for (uint32_t b = 0; r->life == REGION_MANAGED && b < r->blocks; b++)
			if (__atomic_exchange_n(&r->block[b].untracked, 0, __ATOMIC_ACQ_REL))
				track_block(a, r, b);
	}
}
