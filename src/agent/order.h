/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * order: one page that is to have one frame, as the daemon orders it.
 */
#ifndef PSHARE_AGENT_ORDER_H
#define PSHARE_AGENT_ORDER_H

#include <stdint.h>

struct order {
	uint32_t page; /* in the VM */
	uint32_t frame;
};

/* Sorts n orders by page, in place; no memory is needed. Equal pages come in any order. */
void orders_sort(struct order *o, uint32_t n);

#endif
