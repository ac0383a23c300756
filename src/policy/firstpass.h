/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * firstpass: is a VM's first pass under way? It is looked at faster then (Mem.ShareRateFirst), so
 * that somebody who starts a VM sees within a minute what sharing gives. Pure; counts in pages.
 */
#ifndef PSHARE_POLICY_FIRSTPASS_H
#define PSHARE_POLICY_FIRSTPASS_H

#include <stdbool.h>
#include <stdint.h>

#define FIRST_PASS_QUIET_LOOKS 30u  /* in a row that found next to nothing new: it is over */
#define FIRST_PASS_NEW_PART 64u	    /* "next to nothing": less than this part of what is there */
#define FIRST_PASS_TIMES 2u	    /* hashed so often what is there, it is over in any case */
#define FIRST_PASS_PAGES_MIN 16384u /* but not before so many pages: a guest that boots is small */

#define FIRST_PASS_LOOK_MS 2000u /* between two looks, at most */

struct first_pass {
	bool over;
	unsigned int quiet; /* looks in a row */
	uint64_t from;	    /* pages hashed when it began */
	uint64_t last;	    /* ... and at the end of the last look */
};

/* It begins: a VM is new, or all of its memory is to be hashed anew. hashed: pages so far. */
void first_pass_begin(struct first_pass *first, uint64_t hashed);
/* At the end of a look. present: pages that it found. */
void first_pass_judge(struct first_pass *first, uint64_t hashed, uint64_t present);
/* Pages a second: first_rate while it is under way, if that is more than rate. rate 0 (nothing is
 * to be looked at) stays 0. */
uint32_t first_pass_rate(const struct first_pass *first, uint32_t rate, uint32_t first_rate);

#endif
