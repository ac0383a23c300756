/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ration: how much of something that is there for all each user may take: a burst, then one in so
 * long. Allocates nothing; time is the caller's, in ns of any clock that does not run backwards.
 */
#ifndef PSHARE_POLICY_RATION_H
#define PSHARE_POLICY_RATION_H

#include <stdbool.h>
#include <stdint.h>

#define RATIONS_USERS 64u

struct ration {
	uint32_t uid, left;
	uint64_t at;	   /* ns: it was filled up to then; 0: nobody's */
	uint64_t withheld; /* since the last that was given */
};

struct rations {
	uint32_t burst; /* at least 1 */
	uint64_t every; /* ns: one more, when the burst is used up */
	struct ration of[RATIONS_USERS];
};

/* May that user have one more? *withheld (may be NULL): how many he did not get since the last; 0
 * if he does not get this one. now is not 0. */
bool rations_take(struct rations *r, uint32_t uid, uint64_t now, uint64_t *withheld);

#endif
