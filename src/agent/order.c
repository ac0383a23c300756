/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Orders are sorted so that pages that follow each other become one run. By Shell's method: the
 * worker has no memory to spare for a merge, and qsort() of some C libraries allocates.
 */
#include "agent/order.h"

void orders_sort(struct order *o, uint32_t n)
{
	for (uint32_t gap = n / 2; gap; gap /= 2)
		for (uint32_t i = gap; i < n; i++) {
			struct order x = o[i];
			uint32_t k = i;

			for (; k >= gap && o[k - gap].page > x.page; k -= gap)
				o[k] = o[k - gap];
			o[k] = x;
		}
}
