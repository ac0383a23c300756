/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * picture: what the VM's memory is in, as a picture of at most PS_PICTURE_CELLS cells, in memory
 * that the daemon reads when somebody asks it (wire.h has the layout).
 *
 * Invariants
 *  - Nothing is armed, hashed or changed: page tables and states are read, a block at a time, under
 *    `act`, in slices.
 *  - Where cells lie is kept here; what is in shared memory is only written. So nobody can make us
 *    write elsewhere.
 *  - The daemon's wish (wanted_until) is believed as far as it costs next to nothing: with it a
 *    hundredth of a core at most, without it a thousandth.
 *
 * Cost: a scan of all page tables: where pages lie alone in mappings as much as the walk's quiet
 * pass. So nearly none is drawn while nobody looks: twice a minute made a quiet pass over such a VM
 * twice as dear.
 *
 * Rejected: to keep the picture up to date where states change: a dozen places, two of them on the
 * way of a fault, for something that nobody looks at most of the time. A message that asks for it:
 * an order that must not be lost, and an answer that the daemon would have to wait for.
 */
#include "agent/picture.h"

#include <string.h>

#include "agent/agent.h"
#include "policy/picture.h"
#include "sys/pagemap.h"
#include "sys/proc.h"

static enum ps_picture_state state_of(enum page_state state, uint8_t present)
{
	switch (state) {
	case PAGE_SHARED:
	case PAGE_OLD:
	case PAGE_OLD_HINTED:
		return PS_PICTURE_SHARED;
	case PAGE_BROKEN:
	case PAGE_BROKEN_HINTED:
		return PS_PICTURE_BROKEN;
	case PAGE_ZERO:
		return PS_PICTURE_ZERO;
	case PAGE_STAGED:
		return PS_PICTURE_STAGED;
	case PAGE_COLD_TWIN:
		return PS_PICTURE_TWIN;
	case PAGE_ZIPPED:
		return PS_PICTURE_ZIPPED;
	case PAGE_SWAPPED:
		return PS_PICTURE_SWAPPED;
	case PAGE_OUT:
	case PAGE_COMING:
		return PS_PICTURE_PRIVATE;
	default:
		return present;
	}
}

/* What the page tables have of a block's pages: seen[page - first]. */
static void look(struct agent *a, const struct region *r, uint32_t first, uint32_t end,
		 uint8_t seen[PS_BLOCK_PAGES])
{
	struct page_region ranges[WALK_RANGES];
	uintptr_t start = (uintptr_t)region_page(r, first), walked;
	int n = pagemap_present(a->pagemap, start, (uintptr_t)region_page(r, end), ranges,
				WALK_RANGES, &walked);

	memset(seen, PS_PICTURE_NONE, PS_BLOCK_PAGES);
	for (int i = 0; i < n; i++) {
		size_t from = (ranges[i].start - start) / PS_PAGE_SIZE;
		size_t pages = (ranges[i].end - ranges[i].start) / PS_PAGE_SIZE;
		bool huge = ranges[i].categories & PAGE_IS_HUGE;

		/* the zero page where the guest only read is no memory */
		if (!(ranges[i].categories & PAGE_IS_PFNZERO))
			memset(&seen[from], huge ? PS_PICTURE_LARGE : PS_PICTURE_PRIVATE, pages);
	}
}

/* The cell that was counted is whole. */
static void put_cell(struct agent *a, struct picture *p)
{
	if (a->link.map && p->cell < PS_PICTURE_CELLS)
		__atomic_store_n(&a->link.map->picture.cell[p->cell], picture_cell(p->pages),
				 __ATOMIC_RELAXED);
	memset(p->pages, 0, sizeof(p->pages));
}

/* Under act. */
static void draw_block(struct agent *a, struct picture *p, const struct region *r, uint32_t block)
{
	const struct ps_picture_region *place = &p->region[p->at];
	uint32_t first = region_first_of(r, block), end = region_end_of(r, block);
	uint8_t seen[PS_BLOCK_PAGES];

	look(a, r, first, end, seen);
	for (uint32_t page = block * PS_BLOCK_PAGES; page < end; page++) {
		uint32_t cell = place->cell + page / p->cell_pages;

		if (cell != p->cell) {
			put_cell(a, p);
			p->cell = cell;
		}
		if (page >= first)
			p->pages[state_of(page_state(&r->state[page]), seen[page - first])]++;
	}
}

/* Is that region still what it was when it was given its place? */
static bool is_same(const struct region *r, const struct ps_picture_region *place)
{
	return r->life == REGION_MANAGED && r->base == place->base && r->end == place->npages;
}

/* Returns false when all blocks have been drawn. */
static bool next_block(struct agent *a, struct picture *p)
{
	bool more = false;

	pthread_mutex_lock(&a->act);
	for (; p->at < p->n && !more; p->at++, p->block = 0) {
		const struct region *r = &a->region[p->slot[p->at]];

		if (!is_same(r, &p->region[p->at]) || p->block >= r->blocks)
			continue;
		draw_block(a, p, r, p->block++);
		more = true;
		break;
	}
	pthread_mutex_unlock(&a->act);
	return more;
}

/* Where regions have come or gone, all cells get new places. */
static void begin(struct agent *a, struct picture *p)
{
	struct ps_picture *out = &a->link.map->picture;

	memset(p, 0, offsetof(struct picture, ended));
	pthread_mutex_lock(&a->act);
	for (uint32_t i = 0; i < PS_REGIONS_MAX; i++) {
		const struct region *r = &a->region[i];

		if (r->life != REGION_MANAGED)
			continue;
		p->region[p->n] = (struct ps_picture_region){.base = r->base, .npages = r->end};
		p->slot[p->n++] = (uint8_t)i;
	}
	pthread_mutex_unlock(&a->act);
	p->cell_pages = picture_lay_out(p->region, p->n);
	p->under_way = true;
	if (out->cell_pages == p->cell_pages && out->nregions == p->n &&
	    memcmp(out->region, p->region, sizeof(p->region)) == 0)
		return;
	out->drawn_at = 0;
	memset(out->cell, 0, sizeof(out->cell));
	memcpy(out->region, p->region, sizeof(p->region));
	out->nregions = p->n;
	out->cell_pages = p->cell_pages;
}

/* When the next one is to begin. */
static uint64_t due(const struct agent *a, const struct picture *p, uint64_t now)
{
	uint64_t until = __atomic_load_n(&a->link.map->picture.wanted_until, __ATOMIC_RELAXED);
	bool wanted = until > now;
	uint64_t rest = p->took * (wanted ? PICTURE_SEEN_REST : PICTURE_REST);
	uint64_t apart = wanted ? PICTURE_SEEN_NS : PICTURE_NS;

	if (!a->link.map->picture.drawn_at && !wanted)
		apart = PICTURE_SEEN_NS; /* none, or a new daemon's */
	return p->ended + (rest > apart ? rest : apart);
}

uint64_t picture_step(struct agent *a, uint64_t now)
{
	struct picture *p = &a->picture;
	uint64_t began = sys_now(), at;
	bool more = true;

	if (a->link.state != LINK_UP || !a->link.has_picture) {
		p->under_way = false;
		return UINT64_MAX;
	}
	if (!p->under_way) {
		at = due(a, p, now);
		if (now < at)
			return at - now;
		begin(a, p);
		p->took = 0;
	}
	for (uint32_t i = 0; more && i < PICTURE_SLICE_BLOCKS; i++)
		more = next_block(a, p);
	p->took += sys_now() - began;
	if (more)
		return 0;
	put_cell(a, p);
	p->under_way = false;
	p->ended = sys_now();
	__atomic_store_n(&a->link.map->picture.drawn_at, p->ended, __ATOMIC_RELAXED);
	return PICTURE_SEEN_NS;
}
