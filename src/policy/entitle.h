/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* entitle: how much memory each VM is to have: shares, reservation, limit, idle tax. */
#ifndef PSHARE_POLICY_ENTITLE_H
#define PSHARE_POLICY_ENTITLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Shares of a VM by its size, as ESX has them. */
#define SHARES_LOW_PER_MB 5u
#define SHARES_NORMAL_PER_MB 10u
#define SHARES_HIGH_PER_MB 20u
#define SHARES_MAX 1000000000u

#define IDLE_TAX_MAX 99u /* percent */

/* sched.mem.shares: a level, or a number > 0. */
#define SHARES_LOW (-1)
#define SHARES_NORMAL (-2)
#define SHARES_HIGH (-3)

/* Pages. */
struct entitle_vm {
	uint64_t shares; /* absolute: see entitle_shares(); 0 counts as 1 */
	uint64_t has;	 /* what it takes of the host now */
	uint64_t active; /* its working set */
	uint64_t min;	 /* reservation: what it has of it is never taken */
	uint64_t max;	 /* its size, or its limit if that is less */
	uint64_t target; /* the result */
};

struct idle_tax {
	uint32_t percent; /* Mem.IdleTax */
	bool variable;	  /* Mem.IdleTaxType: the rate rises with the part that is idle */
};

/* The shares of a VM of so many MB: a level's, or the number itself. */
uint64_t entitle_shares(int64_t set, uint64_t megabytes);

/* What a VM pays for `pages` pages of which `active` are in use, in pages: an idle page costs
 * 1 / (1 - tax) of an active one (Waldspurger 2002, 5.3). */
double entitle_cost(uint64_t pages, uint64_t active, const struct idle_tax *tax);

/*
 * Sets the targets of n VMs that together may have `pages`.
 *  - Nobody gets more than max, nor less than min(min, has, max).
 *  - The targets sum up to `pages`, or to all max if that is less; to the reservations in use if
 *    those alone are more.
 *  - Where there is too little for what they have, each page goes to whoever pays most for it:
 *    shares over the cost of what he has already. Where there is more, nobody loses anything and
 *    the rest is split by shares alone.
 *  - With more shares, all else equal, a VM never gets less.
 */
void entitle(struct entitle_vm *vm, size_t n, uint64_t pages, const struct idle_tax *tax);

#endif
