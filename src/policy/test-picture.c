/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"

#include <string.h>

#include "policy/picture.h"

#define CELL PS_PICTURE_CELL

static uint8_t cell_of(uint32_t none, uint32_t private, uint32_t shared)
{
	uint32_t pages[PS_PICTURE_STATES] = {0};

	pages[PS_PICTURE_NONE] = none;
	pages[PS_PICTURE_PRIVATE] = private;
	pages[PS_PICTURE_SHARED] = shared;
	return picture_cell(pages);
}

TEST("a cell is what most of its memory is in, and which part of it that is")
{
	CHECK_EQ(cell_of(0, 0, 0), CELL(PS_PICTURE_OUTSIDE, 0));
	CHECK_EQ(cell_of(512, 0, 0), CELL(PS_PICTURE_NONE, 15));
	CHECK_EQ(cell_of(0, 512, 0), CELL(PS_PICTURE_PRIVATE, 15));
	CHECK_EQ(cell_of(0, 200, 312), CELL(PS_PICTURE_SHARED, 9));
	CHECK_EQ(cell_of(400, 60, 52), CELL(PS_PICTURE_PRIVATE, 2));
	CHECK_EQ(cell_of(511, 0, 1), CELL(PS_PICTURE_SHARED, 1));
}

TEST("every layout fits, is dense, and is one that the check lets through")
{
	static const uint32_t sizes[] = {0, 1, 511, 512, 16384, 16385, 131072, 1u << 23, 1u << 26};
	struct ps_picture picture;
	uint32_t cells;

	for (uint32_t n = 0; n <= PS_REGIONS_MAX; n++) {
		memset(&picture, 0, sizeof(picture));
		for (uint32_t i = 0; i < n; i++)
			picture.region[i].npages = sizes[(i + n) % (n > 30 ? 7 : 9)];
		picture.nregions = n;
		picture.cell_pages = picture_lay_out(picture.region, n);
		REQUIRE(picture_check(&picture, &cells));
		CHECK_LE(cells, PS_PICTURE_CELLS);
	}
	memset(&picture, 0, sizeof(picture));
	picture.region[0].npages = 131072;
	CHECK_EQ(picture_lay_out(picture.region, 1), 8);
	picture.region[0].npages = 8u << 20; /* 32 GiB */
	CHECK_EQ(picture_lay_out(picture.region, 1), PS_BLOCK_PAGES);
}

/* A good picture, made bad in one place. */
static bool passes_with(uint32_t *field, uint32_t value, struct ps_picture *good)
{
	uint32_t was = *field, cells;
	bool passes;

	*field = value;
	passes = picture_check(good, &cells);
	CHECK_LE(cells, PS_PICTURE_CELLS);
	*field = was;
	return passes;
}

TEST("whatever an agent says, no cell is out of bounds, and no state is unknown")
{
	static struct ps_picture p;
	uint32_t cells;

	CHECK(!picture_check(&p, &cells)); /* never drawn */
	p.region[0] = (struct ps_picture_region){.npages = 131072};
	p.region[1] = (struct ps_picture_region){.base = 131072, .npages = 1024};
	p.nregions = 2;
	p.cell_pages = picture_lay_out(p.region, 2);
	memset(p.cell, 0xff, sizeof(p.cell));
	REQUIRE(picture_check(&p, &cells));
	CHECK_EQ(cells, 131072 / 16 + 1024 / 16);
	for (uint32_t i = 0; i < cells; i++)
		CHECK_EQ(p.cell[i], CELL(PS_PICTURE_OUTSIDE, 0));
	CHECK(!passes_with(&p.cell_pages, 0, &p));
	CHECK(!passes_with(&p.cell_pages, 17, &p));
	CHECK(!passes_with(&p.cell_pages, 1u << 31, &p));
	CHECK(!passes_with(&p.cell_pages, 1, &p)); /* more cells than there are */
	CHECK(!passes_with(&p.nregions, PS_REGIONS_MAX + 1, &p));
	CHECK(!passes_with(&p.nregions, UINT32_MAX, &p));
	CHECK(!passes_with(&p.region[0].cells, UINT32_MAX, &p));
	CHECK(!passes_with(&p.region[1].cell, 0, &p));
	CHECK(!passes_with(&p.region[1].npages, UINT32_MAX, &p));
	CHECK(!passes_with(&p.region[1].base, UINT32_MAX, &p));
}

TEST("joined cells are the most of what they were; few stay as they are")
{
	static uint8_t cell[PS_PICTURE_CELLS], out[512];
	uint32_t joined;

	memset(cell, CELL(PS_PICTURE_SHARED, 15), sizeof(cell));
	for (uint32_t i = 0; i < PS_PICTURE_CELLS; i += 4)
		cell[i] = CELL(PS_PICTURE_PRIVATE, 15);
	CHECK_EQ(picture_join(cell, 3, out, 512, &joined), 3);
	CHECK_EQ(joined, 1);
	CHECK_EQ(out[0], CELL(PS_PICTURE_PRIVATE, 15));
	CHECK_EQ(picture_join(cell, PS_PICTURE_CELLS, out, 512, &joined), 512);
	CHECK_EQ(joined, PS_PICTURE_CELLS / 512);
	CHECK_EQ(out[511], CELL(PS_PICTURE_SHARED, 11));
	CHECK_EQ(picture_join(cell, 513, out, 512, &joined), 257);
	CHECK_EQ(picture_join(cell, 0, out, 512, &joined), 0);
}
