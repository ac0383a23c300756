/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * need: what memory and how many hosts a case takes: today's VMs, or more, with hosts that are
 * gone.
 */
#ifndef PSHARE_PLAN_NEED_H
#define PSHARE_PLAN_NEED_H

#include "plan/place.h"

struct plan_case {
	uint64_t add;	  /* so many VMs more, copies of today's in turn */
	uint32_t fail;	  /* the largest hosts fail, so many */
	bool maintenance; /* the hosts in maintenance are emptied; else they run as others do */
};

/* By basis: enum plan_basis. Sizes in pages. */
struct plan_need {
	uint64_t vms;
	uint32_t hosts;	 /* left */
	double capacity; /* of them, for VMs */
	double used[PLAN_BASES];
	/* VMs that are out, if those stay whose host is there: they fit nowhere, or have to leave
	 * their host for the rest of its VMs to fit */
	uint64_t homeless[PLAN_BASES];
	/* so many hosts would do, of those that there are and more like the commonest, if the
	 * largest of them fail, as many as in the case; UINT32_MAX: a VM fits on none */
	uint32_t needed[PLAN_BASES];
};

int plan_need_count(const struct plan *plan, const struct plan_case *what, struct plan_need *need);

/*
 * How many VMs of today's mean size fit beside today's, if so many of the largest hosts fail? In
 * slots: more memory never makes it fewer. With sharing, each is taken to share as today's do on
 * the average (saved_per_vm, pages). 0 or -ENOMEM.
 */
int plan_room_for_more(const struct plan *plan, double saved_per_vm, uint32_t fail,
		       uint64_t more[PLAN_BASES]);

#endif
