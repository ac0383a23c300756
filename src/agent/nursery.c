/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nursery: where a page is made that replaces a frame, or a broken page, in anonymous memory. It is
 * made here, whole, and moved over the old one in one mremap(): there is no moment in which the
 * guest could see anything else.
 *
 * Why not any scratch memory: the kernel merges two anonymous mappings only if their page offsets
 * run on and they have one anon_vma. A page made in ordinary memory keeps that memory's offset,
 * stays a mapping of its own for ever, and after enough rounds of sharing and unsharing
 * vm.max_map_count is reached. So the nursery is a twin of the guest's mapping: same anon_vma,
 * same offsets, same flags, elsewhere in the address space.
 *
 * How it is made: an mremap() with MREMAP_DONTUNMAP of one page of a mapping that has an anon_vma
 * leaves that page's mapping where it was, and makes a second one that keeps offset and anon_vma;
 * moved and grown with a second mremap(), it covers the whole region. The one page is put behind
 * the gate and taken out first, so that nothing moves along, and put back afterwards. A mapping
 * grows at its end alone, so that page is the first one that is not pinned; those before it are
 * not shared. Where UFFDIO_MOVE loops on parts of large folios (PS_CONFIG_MOVE_LOOPS) it is also
 * the first of a block that never was huge.
 *
 * Invariants: every page of the nursery is empty but while somebody who holds `act` or `settle`
 * fills one (never both: they fill pages whose state is theirs); it is registered with no
 * userfaultfd (so mremap() from it makes no event and nobody waits); its flags are those of a block
 * made small.
 *
 * Rejected: a never-faulted arena registered with EVENT_REMAP (an event, two context switches, for
 * every move); MAP_FIXED of anonymous memory and a copy into it (a window that reads zeros).
 */
#include "agent/nursery.h"

#include <errno.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/move.h"
#include "agent/pagein.h"
#include "agent/place.h"
#include "sys/mapping.h"
#include "sys/uffd.h"

#define NURSERY_TRIES 1024u   /* pages, pinned each of them */
#define TIDY_PAGES (1u << 18) /* in one hold of settle, for which a write fault waits */

/* An anon_vma-bearing, empty mapping of one page with the offset of `page`. -EBUSY: the page is
 * pinned and cannot be taken out. */
static int make_seed(struct agent *a, struct region *r, uint32_t page, char **seed)
{
	char *addr = region_page(r, page);
	char *park = r->nursery_park;
	/* The next page is gated as well: the page that comes back gives its mapping an anon_vma
	 * again, and the kernel takes the neighbour's only where the flags are the same. */
	uint32_t gated = page + 1 < r->end && !page_in_store(page_state(&r->state[page + 1])) ? 2 :
												1;
	long moved;
	int err;

	/* What is out in one piece with its block comes back with it, and not one page of it by the
	 * fault below, whose reader would still have the block in hand when this page is taken. */
	if (!pagein_range(a, r, page, 1, a->cold.act_room))
		return -EBUSY;
	err = region_make_small(a, r, page);
	/* One write fault gives the mapping its anon_vma; the content stays. */
	if (!err)
		err = map_advise(addr, PS_PAGE_SIZE, MADV_POPULATE_WRITE);
	if (!err)
		err = region_gate(a, r, page, gated);
	if (err)
		return err;
	region_take(r, page);
	moved = move_pages(a, park, addr, PS_PAGE_SIZE, UFFDIO_MOVE_MODE_DONTWAKE);
	if (moved == (long)PS_PAGE_SIZE)
		*seed = map_away(addr, PS_PAGE_SIZE);
	if (moved == (long)PS_PAGE_SIZE)
		place_back(a, addr, park, PS_PAGE_SIZE);
	page_set(&r->state[page], PAGE_NEW);
	region_ungate(a, r, page, gated);
	if (moved < 0)
		return (int)moved;
	return *seed ? 0 : -ENOMEM;
}

/* Moves the seed to a place of its own and grows it to len bytes there; the place is as far into
 * 2 MiB as its page of the region is. */
static char *grow_seed(char *seed, size_t len, uint32_t page)
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

/* May this page be taken out on this kernel? */
static bool may_move(struct agent *a, const struct region *r, uint32_t page)
{
	return !(a->link.config.flags & PS_CONFIG_MOVE_LOOPS) || !region_block(r, page)->was_large;
}

/* A page of scratch that pages of the region can be moved to and from. */
static int make_park(struct agent *a, struct region *r)
{
	int err;

	if (r->nursery_park)
		return 0;
	r->nursery_park = map_anon(NULL, PS_PAGE_SIZE);
	if (!r->nursery_park)
		return -ENOMEM;
	err = uffd_register(a->tracker, r->nursery_park, PS_PAGE_SIZE, UFFDIO_REGISTER_MODE_WP);
	if (err) {
		map_free(r->nursery_park, PS_PAGE_SIZE);
		r->nursery_park = NULL;
	}
	return err;
}

/* Returns the page that it was made at; the region's end: none could be, *err says why. */
static uint32_t find_seed(struct agent *a, struct region *r, char **seed, int *err)
{
	uint32_t tried = 0;

	*err = -EBUSY;
	for (uint32_t page = r->first; page < r->end && tried < NURSERY_TRIES; page++) {
		if (!may_move(a, r, page)) {
			page |= PS_BLOCK_PAGES - 1; /* the next block */
			continue;
		}
		if (page_in_store(page_state(&r->state[page])))
			continue;
		tried++;
		*err = make_seed(a, r, page, seed);
		if (!*err)
			return page;
		if (*err != -EBUSY)
			break;
	}
	return r->end;
}

int nursery_make(struct agent *a, struct region *r)
{
	char *seed = NULL, *place;
	uint32_t page;
	int err;

	if (r->nursery)
		return 0;
	err = make_park(a, r);
	if (err)
		return err;
	page = find_seed(a, r, &seed, &err);
	if (err)
		return err;
	place = grow_seed(seed, (size_t)(r->end - page) * PS_PAGE_SIZE, page);
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
	map_free(r->nursery_park, PS_PAGE_SIZE);
	r->nursery = r->nursery_park = NULL;
}
