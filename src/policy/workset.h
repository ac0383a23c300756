/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * workset: how much of its memory a VM uses, by sampling (Waldspurger, OSDI 2002, section 5.3).
 *
 * Each period some random pages are made to tell when they are touched; t of n were: f = t / n.
 * Three averages of f: a slow one and a fast one over periods, and that of the period under way.
 * The largest counts, so that the estimate follows more use at once, and less use slowly.
 */
#ifndef PSHARE_POLICY_WORKSET_H
#define PSHARE_POLICY_WORKSET_H

#include <stdint.h>

#define WORKSET_SLOW 0.125 /* weight of the latest period in the slow average */
#define WORKSET_FAST 0.5   /* and in the fast one */

struct workset {
	double slow, fast, now; /* parts of the memory, 0 to 1 */
	uint32_t periods;	/* that are over; 0: nothing is known, all counts as used */
};

/* touched of n pages were touched in a period that is over. n 0: nothing was learnt. */
void workset_period(struct workset *w, uint32_t touched, uint32_t n);
/* The same of the period under way, so far. */
void workset_so_far(struct workset *w, uint32_t touched, uint32_t n);
/* The part that counts: the largest of the three; 1 before anything is known. */
double workset_part(const struct workset *w);

#endif
