/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/workset.h"

static double part(uint32_t touched, uint32_t n)
{
	return touched >= n ? 1 : (double)touched / n;
}

void workset_period(struct workset *w, uint32_t touched, uint32_t n)
{
	double f;

	if (!n)
		return;
	f = part(touched, n);
	if (!w->periods++) {
		w->slow = w->fast = f;
	} else {
		w->slow += WORKSET_SLOW * (f - w->slow);
		w->fast += WORKSET_FAST * (f - w->fast);
	}
	w->now = 0;
}

void workset_so_far(struct workset *w, uint32_t touched, uint32_t n)
{
	if (n)
		w->now = part(touched, n);
}

double workset_part(const struct workset *w)
{
	double most = w->slow > w->fast ? w->slow : w->fast;

	if (!w->periods)
		return 1;
	return most > w->now ? most : w->now;
}
