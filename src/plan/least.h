/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* least: where not all VMs fit, how few of them have to be out? */
#ifndef PSHARE_PLAN_LEAST_H
#define PSHARE_PLAN_LEAST_H

#include "plan/place.h"

/* VMs that want a place, and hosts that have so much left beside those that stay. */
struct plan_least {
	const struct plan *plan;
	enum plan_basis basis;
	const uint32_t *vms; /* their numbers, plan_of() */
	uint32_t n;
	const double *left;   /* of each of the plan's hosts, pages; below 0: it takes none */
	const uint32_t *stay; /* PLAN_WITH: VMs that stay on their host */
	uint32_t nstay;
	uint64_t known; /* that so many may be out is known */
	uint64_t *work; /* looks at parts that may be spent on trying, all in all */
};

/* The fewest that are out, *out, or a few more where there is too much to try; never more than
 * known. 0 or -ENOMEM. */
int plan_least_out(const struct plan_least *least, uint64_t *out);

/* Of the VMs of a host, those that run on it today: how few have to go for the rest to fit into
 * that capacity? 0 or -ENOMEM. */
int plan_least_gone(const struct plan *plan, uint32_t host, double capacity, enum plan_basis basis,
		    uint64_t *work, uint64_t *out);

#endif
