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
 * the gate and taken out first, so that nothing moves along, and put back afterwards.
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
#include "agent/quarantine.h"
#include "sys/mapping.h"
#include "sys/uffd.h"

/* An anon_vma-bearing, empty mapping of one page with the offset of `page`. */
static char *sprout(struct agent *a, struct region *r, uint32_t page)
{
	char *addr = region_page(r, page);
	char *park = quarantine_park(&a->quarantine);
	char *seed = NULL;
	long moved;

	/* One write fault gives the mapping its anon_vma; the content stays. */
	if (map_advise(addr, PS_PAGE_SIZE, MADV_POPULATE_WRITE))
		return NULL;
	if (region_gate(a, r, page, 1))
		return NULL;
	pthread_mutex_lock(&a->settle);
	page_set(&r->state[page], PAGE_OUT);
	pthread_mutex_unlock(&a->settle);
	moved = uffd_move(a->tracker, park, addr, PS_PAGE_SIZE, UFFDIO_MOVE_MODE_DONTWAKE);
	if (moved == (long)PS_PAGE_SIZE)
		seed = map_away(addr, PS_PAGE_SIZE);
	if (moved == (long)PS_PAGE_SIZE &&
	    uffd_move(a->tracker, addr, park, PS_PAGE_SIZE, 0) != (long)PS_PAGE_SIZE)
		agent_give_up(a, "a page taken out cannot be put back", EFAULT);
	page_set(&r->state[page], PAGE_NEW);
	region_ungate(a, r, page, 1);
	return seed;
}

int nursery_make(struct agent *a, struct region *r)
{
	size_t len = (size_t)(r->end - r->first) * PS_PAGE_SIZE;
	size_t room = len + 2 * (size_t)PS_BLOCK_SIZE;
	char *reserved, *place, *seed;
	int err;

	if (r->nursery)
		return 0;
	err = region_make_small(a, r, r->first);
	if (err)
		return err;
	seed = sprout(a, r, r->first);
	if (!seed)
		return -EBUSY;
	reserved = map_reserve(room);
	if (!reserved) {
		map_free(seed, PS_PAGE_SIZE);
		return -ENOMEM;
	}
	place = (char *)(((uintptr_t)reserved + PS_BLOCK_SIZE - 1) &
			 ~(uintptr_t)(PS_BLOCK_SIZE - 1)) +
		(r->first % PS_BLOCK_PAGES) * PS_PAGE_SIZE;
	err = map_grow(place, len, seed, PS_PAGE_SIZE);
	if (err) {
		map_free(seed, PS_PAGE_SIZE);
		map_free(reserved, room);
		return err;
	}
	map_free(reserved, (size_t)(place - reserved));
	map_free(place + len, (size_t)(reserved + room - (place + len)));
	r->nursery = place - (size_t)r->first * PS_PAGE_SIZE;
	return 0;
}

void nursery_free(struct region *r)
{
	if (r->nursery)
		map_free(nursery_page(r, r->first), (size_t)(r->end - r->first) * PS_PAGE_SIZE);
	r->nursery = NULL;
}
