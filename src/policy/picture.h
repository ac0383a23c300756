/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* picture: what a cell of a VM's picture is, how cells are laid out, joined and checked. */
#ifndef PSHARE_POLICY_PICTURE_H
#define PSHARE_POLICY_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

/* A cell from the pages that it has in each state. Of those that are memory, or were, the most
 * frequent; NONE only where there is no other. No page at all: OUTSIDE. */
uint8_t picture_cell(const uint32_t pages[PS_PICTURE_STATES]);

/* Lays out the n regions (base and npages are set; 0 pages: it has no cells): the smallest cells
 * that fit. Returns the pages of a cell. */
uint32_t picture_lay_out(struct ps_picture_region *region, uint32_t n);

/* Can what an agent said be read? Its cells, which are then all within bounds, are counted, and
 * what no cell can be is made OUTSIDE. copy is the caller's own. False: it is no picture. */
bool picture_check(struct ps_picture *copy, uint32_t *cells);

/* n cells as at most max: out[0] .. out[m - 1], and m is returned; *joined: cells to one. */
uint32_t picture_join(const uint8_t *cell, uint32_t n, uint8_t *out, uint32_t max,
		      uint32_t *joined);

#endif
