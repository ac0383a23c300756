/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * place: VMs onto hosts, by one of three ways, and what memory that takes. Sizes are in pages.
 */
#ifndef PSHARE_PLAN_PLACE_H
#define PSHARE_PLAN_PLACE_H

#include "plan/model.h"

/* What a VM counts as. */
enum plan_basis {
	PLAN_WITH,    /* what it has, less what it shares in itself and with others on the host */
	PLAN_ALONE,   /* what it has, less what it shares in itself */
	PLAN_WITHOUT, /* what it has, were nothing shared */
	PLAN_WHOLE,   /* all that it may come to have */
	PLAN_BASES
};

enum plan_way {
	PLAN_FIRST_FIT,
	PLAN_BEST_FIT,
	PLAN_LIKENESS, /* who has pages in common goes together; PLAN_WITH alone is of use */
	PLAN_WAYS
};

struct plan_task {
	const struct plan *plan;
	uint64_t nvms; /* beyond plan->nvms: copies (plan_of) */
	/* capacity[n]: of each host; the first plan->nhosts are those of the plan, and the others
	 * are like those. 0: takes none */
	const double *capacity;
	const uint8_t *mode; /* Mem.ShareForceSalting of each; NULL: as the plan's hosts have it */
	uint32_t n;
	bool stay;	 /* VMs stay on the host that they have, if its capacity is not 0 */
	bool decreasing; /* first and best fit: the largest first, else as they are numbered */
	enum plan_basis basis;
	enum plan_way way;
};

struct plan_result {
	uint32_t *host; /* of each VM, or PLAN_NONE; may be NULL: not wanted */
	/* of each host, beside the VMs that stay: below 0, they do not fit. May be NULL */
	double *left;
	double used;	/* by the VMs that have a place */
	double saved;	/* between VMs; PLAN_WITH alone */
	uint32_t hosts; /* that have VMs */
	uint64_t homeless;
};

/* 0 or -ENOMEM. result->host is the caller's room for nvms numbers, result->left for n. VMs that
 * stay are not held against their host's capacity; one that has too many of them takes no other. */
int plan_place(const struct plan_task *task, struct plan_result *result);

/* What a VM takes if it shares with nobody, its VMM's memory with it. */
double plan_size(const struct plan *plan, const struct plan_vm *vm, enum plan_basis basis);

#endif
