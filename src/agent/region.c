/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * region: from the VMM's word to a managed range, and back.
 *
 * Goal: take exactly what the VMM marks MADV_MERGEABLE, whenever a daemon is there, and leave no
 * trace when it is unmarked, unmapped, or turned into something that cannot be shared.
 *
 * Invariants
 *  - A MANAGED region is private, anonymous, readable and writable, not locked, and registered
 *    with our tracker alone, from start to start + len.
 *  - Page numbers of a region are never used again while the process lives: an order or a
 *    reference that comes late finds no region and is dropped.
 *  - A region leaves MANAGED only when none of its pages maps a frame, or when its memory is about
 *    to go in the same breath, under both locks.
 *
 * Limits: PS_REGIONS_MAX regions, and PS_PAGES_MAX page numbers, both said when they are reached;
 * what is under 2 MiB is left alone.
 *
 * Rejected: managing what is left of a region whose part was unmapped or protected. A VMM does
 * that to memory that it hot-unplugs; giving up the whole region is safe, and it may be opted in
 * again.
 */
#include "agent/region.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/leftover.h"
#include "agent/say.h"
#include "sys/mapping.h"
#include "sys/pagemap.h"
#include "sys/thread.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"
#include "sys/vmas.h"

struct region *region_at(struct agent *a, uintptr_t addr, uint32_t *page)
{
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		if (r->life == REGION_FREE || r->life == REGION_RETIRED || addr < r->start ||
		    addr - r->start >= r->len)
			continue;
		*page = (uint32_t)((addr - r->origin) / PS_PAGE_SIZE);
		return r;
	}
	return NULL;
}

struct region *region_of(struct agent *a, uint32_t vm_page, uint32_t *page)
{
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		if (r->life == REGION_FREE || vm_page < r->base || vm_page - r->base >= r->end)
			continue;
		*page = vm_page - r->base;
		return r;
	}
	return NULL;
}

void region_set_life(struct region *r, enum region_life life)
{
	__atomic_store_n(&r->life, life, __ATOMIC_SEQ_CST);
}

static void set_blank(struct region *r, enum region_life life, uintptr_t start, size_t len)
{
	region_set_life(r, REGION_FREE);
	__atomic_store_n(&r->start, start, __ATOMIC_RELAXED);
	__atomic_store_n(&r->len, len, __ATOMIC_RELAXED);
	memset(&r->announced, 0, sizeof(*r) - offsetof(struct region, announced));
	region_set_life(r, life);
}

static bool overlaps(const struct region *r, uintptr_t addr, size_t len)
{
	return addr < r->start + r->len && r->start < addr + len;
}

bool region_offer(struct agent *a, uintptr_t addr, size_t len)
{
	struct region *free_slot = NULL;
	uint64_t pages;

	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		if (r->life == REGION_FREE) {
			free_slot = free_slot ? free_slot : r;
		} else if (r->life != REGION_RETIRED && overlaps(r, addr, len)) {
			if (r->life != REGION_MANAGED) { /* it may fit by now */
				region_offer_again(a, r);
				r->survey_at = 0;
			}
			return false;
		}
	}
	pages = (addr + len - (addr & ~(uintptr_t)(PS_BLOCK_SIZE - 1))) / PS_PAGE_SIZE;
	pages = (pages + PS_BLOCK_PAGES - 1) / PS_BLOCK_PAGES * PS_BLOCK_PAGES;
	if (!free_slot) {
		agent_say("memory is in more pieces than can be managed: not all of it is shared",
			  0);
		return false;
	}
	if (pages > PS_PAGES_MAX - a->next_base) {
		agent_say("1 TiB of memory has been offered in all, withdrawn memory with it: what "
			  "is offered now is not shared before this VMM is started anew",
			  0);
		return false;
	}
	set_blank(free_slot, REGION_OFFERED, addr, len);
	free_slot->changes = ++a->changes;
	free_slot->base = a->next_base;
	free_slot->origin = addr & ~(uintptr_t)(PS_BLOCK_SIZE - 1);
	free_slot->first = (uint32_t)((addr - free_slot->origin) / PS_PAGE_SIZE);
	free_slot->end = free_slot->first + (uint32_t)(len / PS_PAGE_SIZE);
	free_slot->blocks = (free_slot->end + PS_BLOCK_PAGES - 1) / PS_BLOCK_PAGES;
	a->next_base += (uint32_t)pages;
	spans_set(&a->spans, (size_t)(free_slot - a->region), addr, addr + len);
	return true;
}

void region_survey_anew(struct agent *a, struct region *r)
{
	if (r->life == REGION_OFFERED)
		r->changes = ++a->changes;
}

void region_offer_again(struct agent *a, struct region *r)
{
	region_set_life(r, REGION_OFFERED);
	r->changes = ++a->changes;
}

/* Why memory of that description cannot take part, worst first. */
static enum ps_cause cause_of_mapping(unsigned int what)
{
	if (what & VMAS_HUGETLB)
		return PS_CAUSE_HUGETLB;
	if (what & VMAS_SHARED)
		return PS_CAUSE_SHARED;
	if (what & VMAS_SPECIAL)
		return PS_CAUSE_DEVICE;
	if (what & VMAS_FILE)
		return what & VMAS_MEMFD ? PS_CAUSE_MEMFD : PS_CAUSE_FILE;
	if (what & VMAS_LOCKED)
		return PS_CAUSE_LOCKED;
	if (what & VMAS_UFFD)
		return PS_CAUSE_FOREIGN;
	if (what & (VMAS_HOLE | VMAS_NOT_RW | VMAS_WIPEONFORK | VMAS_PKEY))
		return PS_CAUSE_ACCESS;
	return PS_CAUSE_NONE;
}

static bool make_tables(struct region *r)
{
	size_t state = r->end;
	size_t frame = (size_t)r->end * sizeof(uint32_t);
	size_t block = (size_t)r->blocks * sizeof(struct block);
	size_t asked = ((size_t)r->end + 63) / 64 * sizeof(uint64_t), bytes;
	char *at;

	state = (state + 63) & ~(size_t)63;
	frame = (frame + 63) & ~(size_t)63;
	block = (block + 63) & ~(size_t)63;
	bytes = state + frame + block + asked;
	at = map_anon(NULL, bytes);
	if (!at)
		return false;
	map_name(at, bytes, "pshare tables");
	r->state = (uint8_t *)at;
	r->frame = (uint32_t *)(at + state);
	r->block = (struct block *)(at + state + frame);
	r->asked = (uint64_t *)(at + state + frame + block);
	r->table_bytes = bytes;
	return true;
}

static void drop_tables(struct region *r)
{
	map_free(r->state, r->table_bytes);
	r->state = NULL;
	r->frame = NULL;
	r->block = NULL;
	r->asked = NULL;
	r->table_bytes = 0;
}

static void refuse(struct region *r, enum ps_cause cause)
{
	drop_tables(r);
	region_set_life(r, REGION_REFUSED);
	r->cause = (uint8_t)cause;
}

/* Registers all that does not lie in a store's mapping. */
static int track_own(struct agent *a, const struct region *r, uint64_t mode)
{
	uintptr_t from = r->start, end = r->start + r->len;
	struct leftover l;
	int err = 0;

	while (!err && from < end) {
		bool left = leftover_first(a, from, end, &l);
		uintptr_t to = left ? l.start : end;

		if (from < to)
			err = uffd_register(a->tracker, (void *)from, to - from, mode);
		from = left ? l.end : end;
	}
	return err;
}

/* What an earlier region left here in mappings of a store is this one's, broken. */
static void take_leftovers(struct agent *a, struct region *r)
{
	struct leftover l;

	while (leftover_first(a, r->start, r->start + r->len, &l)) {
		uint32_t page = (uint32_t)((l.start - r->origin) / PS_PAGE_SIZE);
		uint32_t end = (uint32_t)((l.end - r->origin) / PS_PAGE_SIZE);

		for (; page < end; page++) {
			r->frame[page] = FRAME_BROKEN_OLD;
			page_set(&r->state[page], PAGE_BROKEN);
			region_block(r, page)->broken++;
			atomic_fetch_add(&a->broken, 1);
		}
		leftover_drop(a, l.start, l.end);
	}
}

void region_adopt(struct agent *a, struct region *r, int err, unsigned int what)
{
	uint64_t mode = UFFDIO_REGISTER_MODE_WP;
	enum ps_cause cause = err ? PS_CAUSE_ERROR : cause_of_mapping(what);

	if (!cause && a->locks_future)
		cause = PS_CAUSE_LOCKED;
	if (cause) {
		refuse(r, cause);
		return;
	}
	r->forks = !(what & VMAS_DONTFORK);
	r->huge = what & VMAS_HUGEPAGE;
	r->dumps = !(what & VMAS_DONTDUMP);
	if (!make_tables(r)) {
		refuse(r, PS_CAUSE_NO_MEMORY);
		return;
	}
	if (ps_without(DEFENCE_REGISTER_LATE))
		mode |= UFFDIO_REGISTER_MODE_MISSING;
	err = track_own(a, r, mode);
	if (err) {
		uffd_unregister(a->tracker, (void *)r->start, r->len);
		refuse(r, err == -EBUSY ? PS_CAUSE_FOREIGN : PS_CAUSE_ERROR);
		return;
	}
	for (uint32_t i = 0; i < r->blocks; i++)
		r->block[i].restless = 1;
	take_leftovers(a, r);
	r->cause = PS_CAUSE_NONE;
	r->announced = false;
	region_set_life(r, REGION_MANAGED);
}

void region_free(struct agent *a, struct region *r)
{
	drop_tables(r);
	set_blank(r, REGION_FREE, 0, 0);
	spans_clear(&a->spans, (size_t)(r - a->region));
}

int region_make_small(struct agent *a, struct region *r, uint32_t page)
{
	struct block *b = region_block(r, page);
	uintptr_t start = r->origin + (uintptr_t)(page / PS_BLOCK_PAGES) * PS_BLOCK_SIZE;
	uintptr_t end = start + PS_BLOCK_SIZE;
	int err;

	(void)a;
	if (b->small)
		return 0;
	if (start < r->start)
		start = r->start;
	if (end > r->start + r->len)
		end = r->start + r->len;
	err = map_advise((void *)start, end - start, MADV_NOHUGEPAGE);
	if (!err)
		b->small = 1;
	return err;
}

int region_make_all_small(struct agent *a, struct region *r)
{
	int err = map_advise((void *)r->start, r->len, MADV_NOHUGEPAGE);

	(void)a;
	if (err)
		return err;
	for (uint32_t i = 0; i < r->blocks; i++)
		r->block[i].small = 1;
	return 0;
}

void region_mark_frames(struct region *r, uint32_t page, uint32_t n)
{
	if (!r->dumps)
		map_advise(region_page(r, page), (size_t)n * PS_PAGE_SIZE, MADV_DONTDUMP);
	if (!r->forks)
		map_advise(region_page(r, page), (size_t)n * PS_PAGE_SIZE, MADV_DONTFORK);
}

/* A fork leaves every page marked as not the process's alone, and the child's end does not undo
 * that: only a write does, where the page is mapped nowhere else any more. One that changes nothing
 * will do. */
bool region_reown(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uint64_t entry[PS_BLOCK_PAGES];
	uint32_t own = 0;

	if (!r->forked || n > PS_BLOCK_PAGES ||
	    pagemap_read(a->pagemap, (uintptr_t)region_page(r, page), entry, n))
		return false;
	while (own < n && (entry[own] & PM_PRESENT) && !(entry[own] & PM_FILE) &&
	       (entry[own] & PM_MMAP_EXCLUSIVE))
		own++;
	return own &&
	       !map_advise(region_page(r, page), (size_t)own * PS_PAGE_SIZE, MADV_POPULATE_WRITE);
}

int region_gate(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	return uffd_register(a->tracker, region_page(r, page), (size_t)n * PS_PAGE_SIZE,
			     UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MISSING);
}

/* The same for a stretch of one block. */
static int ungate(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	char *addr = region_page(r, page);
	size_t len = (size_t)n * PS_PAGE_SIZE;
	int err = 0;

	if (region_block(r, page)->gated) {
		uffd_wake(a->tracker, addr, len);
		return 0;
	}
	/* Not a register with fewer modes: kernels up to 6.18 take that for "nothing to do". */
	err = uffd_unregister(a->tracker, addr, len);
	if (!err)
		err = uffd_register(a->tracker, addr, len, UFFDIO_REGISTER_MODE_WP);
	if (err) /* readers fill holes behind a gate that stays */
		uffd_wake(a->tracker, addr, len);
	return err;
}

int region_ungate(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uint32_t end = page + n, k;
	int err = 0;

	for (; page < end; page += k) {
		uint32_t edge = (page / PS_BLOCK_PAGES + 1) * PS_BLOCK_PAGES, e;

		k = (edge < end ? edge : end) - page;
		e = (uint32_t)-ungate(a, r, page, k);
		err = e ? -(int)e : err;
	}
	return err;
}

/* ---- the gate of a block --------------------------------------------------------------------- */

/* Calls on each stretch of the block that does not lie in a store's mapping. */
static int each_own(struct agent *a, struct region *r, uint32_t block,
		    int (*call)(struct agent *a, char *addr, size_t len))
{
	uint32_t end = region_end_of(r, block), n;
	int err = 0;

	for (uint32_t page = region_first_of(r, block); !err && page < end; page += n ? n : 1) {
		for (n = 0; page + n < end && !page_in_store(page_state(&r->state[page + n]));)
			n++;
		if (n)
			err = call(a, region_page(r, page), (size_t)n * PS_PAGE_SIZE);
	}
	return err;
}

static int gate_stretch(struct agent *a, char *addr, size_t len)
{
	return uffd_register(a->tracker, addr, len,
			     UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MISSING);
}

int region_gate_block(struct agent *a, struct region *r, uint32_t block)
{
	struct block *b = &r->block[block];
	int err;

	/* Where pages have come out of a store's mapping meanwhile, theirs is not registered. */
	if (b->gated && !__atomic_load_n(&b->untracked, __ATOMIC_ACQUIRE))
		return 0;
	err = each_own(a, r, block, gate_stretch);
	if (!err)
		b->gated = 1;
	return err;
}

static int ungate_stretch(struct agent *a, char *addr, size_t len)
{
	struct page_region kept[PS_BLOCK_PAGES];
	uintptr_t at = (uintptr_t)addr, walked;
	int n = pagemap_present(a->pagemap, at, at + len, kept, PS_BLOCK_PAGES, &walked), err;

	err = uffd_unregister(a->tracker, addr, len);
	if (!err)
		err = uffd_register(a->tracker, addr, len, UFFDIO_REGISTER_MODE_WP);
	/* What was armed is so again. A write between the two is not seen: a hint is wrong then,
	 * which costs a look, as hints do. */
	for (int i = 0; !err && i < n; i++)
		if (!(kept[i].categories & (PAGE_IS_WRITTEN | PAGE_IS_HUGE | PAGE_IS_PFNZERO)))
			pagemap_arm(a->pagemap, kept[i].start, kept[i].end);
	return err;
}

void region_ungate_block(struct agent *a, struct region *r, uint32_t block)
{
	struct block *b = &r->block[block];

	if (!b->gated || __atomic_load_n(&b->out, __ATOMIC_ACQUIRE))
		return;
	if (!each_own(a, r, block, ungate_stretch)) {
		b->gated = 0;
		return;
	}
	/* In a part it is off, or nothing is: the next who needs it must not take it for whole, and
	 * until then all of it is registered again (track.c). */
	__atomic_store_n(&b->untracked, 1, __ATOMIC_RELEASE);
	a->untracked = true;
}

enum page_state region_take(struct region *r, uint32_t page)
{
	uint8_t *byte = &r->state[page];
	enum page_state was;

	while ((was = page_state(byte)) == PAGE_COMING || !page_claim(byte, was, PAGE_OUT))
		if (was == PAGE_COMING)
			sys_yield();
	return was;
}

void region_give_back(struct agent *a, struct region *r, uint32_t page)
{
	page_mark(&r->state[page], PAGE_UNREF);
	__atomic_store_n(&region_block(r, page)->unrefs, 1, __ATOMIC_RELEASE);
	a->unrefs = true;
}
