/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* enough: how many hosts would do? */
#ifndef PSHARE_PLAN_ENOUGH_H
#define PSHARE_PLAN_ENOUGH_H

#include "plan/place.h"

struct plan_enough {
	double *capacity; /* the hosts in the order in which they are taken */
	uint8_t *mode;
	uint32_t n;
	uint32_t fail;
};

/* Of the plan's hosts, and more like the commonest, for so many VMs of so many pages in all. fail:
 * the largest of those that are taken fail, so many. 0 or -ENOMEM. */
int plan_enough_init(struct plan_enough *enough, const struct plan *plan, uint64_t nvms,
		     double memory, uint32_t fail);
void plan_enough_free(struct plan_enough *enough);

/* *hosts: so many for these VMs; UINT32_MAX: one fits on none. 0 or -ENOMEM. */
int plan_enough_count(const struct plan_enough *enough, const struct plan *plan, uint64_t nvms,
		      enum plan_basis basis, uint32_t *hosts);

/* May it be counted on at all? Not if it is away, nor if it stands by and is in maintenance. */
static inline bool plan_counts(const struct plan_host *host)
{
	return host->state != PLAN_AWAY && (host->state != PLAN_MAINTENANCE || !host->standby);
}

#endif
