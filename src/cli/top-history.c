/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What was seen since top began: the daemon keeps none of it. When the room is used up, every
 * oldest entry makes room for one.
 */
#include <string.h>

#include "cli/top.h"

double top_overcommit(const struct top_host *host)
{
	double over = host->managed > 0 ? host->size / host->managed - 1 : 0;

	return over > 0 ? over : 0;
}

void top_history_note(struct top_history *h, double at, double value, int state, double overcommit)
{
	if (h->n == TOP_HISTORY) {
		h->n--;
		memmove(h->at, h->at + 1, h->n * sizeof(h->at[0]));
		memmove(h->value, h->value + 1, h->n * sizeof(h->value[0]));
		memmove(h->state, h->state + 1, h->n * sizeof(h->state[0]));
		memmove(h->overcommit, h->overcommit + 1, h->n * sizeof(h->overcommit[0]));
	}
	h->at[h->n] = at;
	h->value[h->n] = (float)value;
	h->state[h->n] = (uint8_t)(state < 0 ? 0 : state);
	h->overcommit[h->n++] = overcommit;
}

void top_history_add(struct top_history *h, double at, const struct top_host *host)
{
	top_history_note(h, at, host->saving, top_state_number(host->state), top_overcommit(host));
}

double top_history_overcommit(const struct top_history *h, double seconds)
{
	double sum = 0, weight = 0, end, start;

	if (!h->n)
		return 0;
	end = h->at[h->n - 1];
	start = end - seconds;
	for (uint32_t i = h->n - 1; i; i--) {
		double from = h->at[i - 1] > start ? h->at[i - 1] : start;

		/* what a look found is what led up to it */
		if (h->at[i] <= start)
			break;
		sum += h->overcommit[i] * (h->at[i] - from);
		weight += h->at[i] - from;
	}
	return weight > 0 ? sum / weight : h->overcommit[h->n - 1];
}

uint32_t top_history_levels(const struct top_history *h, uint32_t width, uint8_t *level,
			    double *most)
{
	uint32_t n = h->n < width ? h->n : width, first = h->n - n;

	*most = 0;
	for (uint32_t i = 0; i < n; i++)
		if (h->value[first + i] > *most)
			*most = h->value[first + i];
	for (uint32_t i = 0; i < n; i++) {
		double part = *most > 0 ? h->value[first + i] / *most : 0;

		level[i] = (uint8_t)(part * 8 + 0.5);
		if (!level[i] && part > 0)
			level[i] = 1;
	}
	return n;
}
