/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nursery: where a page is born that replaces a frame. The guest's page is made here, whole, and
 * moved over the frame in one mremap(): there is no moment in which the guest could see, or write
 * to, anything else.
 *
 * Why not any scratch memory: the kernel merges two anonymous mappings only if their page offsets
 * run on and they have one anon_vma. A page born in ordinary memory keeps that memory's offset,
 * stays a mapping of its own for ever, and after enough rounds of sharing and unsharing
 * vm.max_map_count is reached. So the nursery is a twin of the guest's mapping: same anon_vma,
 * same offsets, same flags, elsewhere in the address space.
 *
 * How it is made: an mremap() with MREMAP_DONTUNMAP of one page of a mapping that has an anon_vma
 * leaves that page's mapping where it was, and makes a second one that keeps offset and anon_vma;
 * moved and grown with a second mremap(), it covers the whole region. The one page is put behind
 * the gate and taken out first, so that nothing moves along, and put back afterwards. A mapping
 * grows at its end alone, so that page is the first one that is not pinned; those before it are
 * not shared.
 *
 * Invariants: every page of the nursery is empty but while somebody who holds `settle` fills it;
 * it is registered with no userfaultfd (so mremap() from it makes no event and nobody waits); its
 * flags are those of a block made small.
 *
 * Rejected: a never-faulted arena registered with EVENT_REMAP (an event, two context switches, on
 * the way of every write fault); MAP_FIXED of anonymous memory and a copy into it (a window that
 * reads zeros); copy-on-write in place (the page can never be taken out again).
 */
#include "agent/nursery.h"

#include <errno.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/over.h"
#include "agent/quarantine.h"
#include "sys/mapping.h"
#include "sys/uffd.h"

#define NURSERY_TRIES 1024u   /* pages, pinned each of them */
#define TIDY_PAGES (1u << 18) /* in one hold of settle, for which a write fault waits */

/* An anon_vma-bearing, empty mapping of one page with the offset of `page`. -EBUSY: the page is
 * pinned and cannot be taken out. */
static int sprout(struct agent *a, struct region *r, uint32_t page, char **seed)
{
	char *addr = region_page(r, page);
	char *park = quarantine_park(&a->quarantine);
	/* The next page is gated as well: the page that comes back gives its mapping an anon_vma
	 * again, and the kernel takes the neighbour's only where the flags are the same. */
	uint32_t gated = page + 1 < r->end ? 2 : 1;
	long moved;
	int err;

	err = region_make_small(a, r, page);
	/* One write fault gives the mapping its anon_vma; the content stays. */
	if (!err)
		err = map_advise(addr, PS_PAGE_SIZE, MADV_POPULATE_WRITE);
	if (!err)
		err = region_gate(a, r, page, gated);
	if (err)
		return err;
	pthread_mutex_lock(&a->settle);
	page_set(&r->state[page], PAGE_OUT);
	pthread_mutex_unlock(&a->settle);
	moved = uffd_move(a->tracker, park, addr, PS_PAGE_SIZE, UFFDIO_MOVE_MODE_DONTWAKE);
	if (moved == (long)PS_PAGE_SIZE)
		*seed = map_away(addr, PS_PAGE_SIZE);
	if (moved == (long)PS_PAGE_SIZE)
		over_put_back(a, addr, park, PS_PAGE_SIZE);
	page_set(&r->state[page], PAGE_NEW);
	region_ungate(a, r, page, gated);
	if (moved < 0)
		return (int)moved;
	return *seed ? 0 : -ENOMEM;
}

/* Moves the seed to a place of its own and grows it to len bytes there; the place is as far into
 * 2 MiB as its page of the region is. */
static char *plant(char *seed, size_t len, uint32_t page)
{
	size_t room = len + 2 * (size_t)PS_BLOCK_SIZE;
	char *reserved = map_reserve(room), *place;

	if (!reserved)
		return NULL;
	place = (char *)(((uintptr_t)reserved + PS_BLOCK_SIZE - 1) &
			 ~(uintptr_t)(PS_BLOCK_SIZE - 1)) +
		(page % PS_BLOCK_PAGES) * PS_PAGE_SIZE;
	if (map_grow(place, len, seed, PS_PAGE_SIZE)) {
		map_free(reserved, room);
		return NULL;
	}
	map_free(reserved, (size_t)(place - reserved));
	map_free(place + len, (size_t)(reserved + room - (place + len)));
	return place;
}

int nursery_make(struct agent *a, struct region *r)
{
	uint32_t page = r->first;
	char *seed = NULL, *place;
	int err = 0;

	if (r->nursery)
		return 0;
	for (; page < r->end && page - r->first < NURSERY_TRIES; page++) {
		err = sprout(a, r, page, &seed);
		if (err != -EBUSY)
			break;
	}
	if (err)
		return err;
	if (!seed)
		return -EBUSY;
	place = plant(seed, (size_t)(r->end - page) * PS_PAGE_SIZE, page);
	if (!place) {
		map_free(seed, PS_PAGE_SIZE);
		return -ENOMEM;
	}
	r->nursery = place - (size_t)page * PS_PAGE_SIZE;
	r->nursery_first = page;
	return 0;
}

void nursery_tidy(struct agent *a, struct region *r)
{
	uint32_t page = r->nursery_first, n;

	for (; r->nursery && page < r->end; page += n) {
		n = r->end - page < TIDY_PAGES ? r->end - page : TIDY_PAGES;
		pthread_mutex_lock(&a->settle);
		map_advise(nursery_page(r, page), (size_t)n * PS_PAGE_SIZE, MADV_DONTNEED);
		pthread_mutex_unlock(&a->settle);
	}
}

void nursery_free(struct region *r)
{
	if (r->nursery)
		map_free(nursery_page(r, r->nursery_first),
			 (size_t)(r->end - r->nursery_first) * PS_PAGE_SIZE);
	r->nursery = NULL;
}
