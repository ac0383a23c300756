/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cell says one state of up to some thousand pages, so it has to choose: what most of its memory
 * is in. Where a guest has touched a tenth of a cell, that tenth is what there is to see, and the
 * part says that it is a tenth.
 *
 * Joining cells goes by their parts; what a cell did not say of its other pages is lost, so the
 * join of cells is a little more in favour of the frequent than a count would be.
 */
#include "policy/picture.h"

uint8_t picture_cell(const uint32_t pages[PS_PICTURE_STATES])
{
	unsigned int best = PS_PICTURE_NONE;
	uint64_t all = pages[PS_PICTURE_NONE];

	for (unsigned int s = PS_PICTURE_NONE + 1; s < PS_PICTURE_STATES; s++) {
		all += pages[s];
		if (pages[s] && (best == PS_PICTURE_NONE || pages[s] > pages[best]))
			best = s;
	}
	if (!all)
		return PS_PICTURE_CELL(PS_PICTURE_OUTSIDE, 0);
	/* rounded, but what is there is never nothing */
	all = ((uint64_t)pages[best] * PS_PICTURE_PARTS * 2 + all) / (2 * all);
	return PS_PICTURE_CELL(best, all ? all : 1);
}

static uint32_t cells_of(uint32_t npages, uint32_t shift)
{
	return npages ? ((npages - 1) >> shift) + 1 : 0;
}

uint32_t picture_lay_out(struct ps_picture_region *region, uint32_t n)
{
	uint32_t shift = 0;
	uint64_t cells;

	for (;; shift++) {
		cells = 0;
		for (uint32_t i = 0; i < n; i++) {
			region[i].cell = (uint32_t)cells;
			region[i].cells = cells_of(region[i].npages, shift);
			cells += region[i].cells;
		}
		if (cells <= PS_PICTURE_CELLS)
			return 1u << shift;
	}
}

bool picture_check(struct ps_picture *copy, uint32_t *cells)
{
	uint32_t pages = copy->cell_pages, shift = 0;

	*cells = 0;
	if (!pages || (pages & (pages - 1)) || pages > PS_PAGES_MAX ||
	    copy->nregions > PS_REGIONS_MAX)
		return false;
	while (pages >> shift > 1)
		shift++;
	for (uint32_t i = 0; i < copy->nregions; i++) {
		const struct ps_picture_region *r = &copy->region[i];

		if (r->base >= PS_PAGES_MAX || r->npages > PS_PAGES_MAX - r->base ||
		    r->cell != *cells || r->cells != cells_of(r->npages, shift) ||
		    r->cells > PS_PICTURE_CELLS - *cells)
			return false;
		*cells += r->cells;
	}
	for (uint32_t i = 0; i < *cells; i++)
		if (copy->cell[i] >> 4 >= PS_PICTURE_STATES)
			copy->cell[i] = PS_PICTURE_CELL(PS_PICTURE_OUTSIDE, 0);
	return true;
}

/* What n cells are together: the parts that they say, and the rest of each as nothing. */
static uint8_t join(const uint8_t *cell, uint32_t n)
{
	uint32_t pages[PS_PICTURE_STATES] = {0};

	for (uint32_t i = 0; i < n; i++) {
		unsigned int state = cell[i] >> 4, part = cell[i] & 15;

		if (state == PS_PICTURE_OUTSIDE || state >= PS_PICTURE_STATES)
			continue;
		pages[state] += part;
		pages[PS_PICTURE_NONE] += PS_PICTURE_PARTS - part;
	}
	return picture_cell(pages);
}

uint32_t picture_join(const uint8_t *cell, uint32_t n, uint8_t *out, uint32_t max, uint32_t *joined)
{
	uint32_t many = 1, m = 0;

	while (n > (uint64_t)many * max)
		many *= 2;
	*joined = many;
	for (uint32_t i = 0; i < n; i += many)
		out[m++] = join(&cell[i], n - i < many ? n - i : many);
	return m;
}
