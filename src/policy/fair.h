/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fair: which part of something that the host has is one VM's. */
#ifndef PSHARE_POLICY_FAIR_H
#define PSHARE_POLICY_FAIR_H

#include <stdint.h>

struct fair {
	uint64_t vm;	/* pages that count of this VM */
	uint64_t user;	/* of all VMs of its user; >= vm */
	uint64_t all;	/* of all users; >= user */
	uint64_t users; /* that have VMs; at least 1 */
};

/* The VM's part of the budget: half of it is split among users alike, half by memory, and a user's
 * part among his VMs by memory. So no user gets less than half of an equal share, whatever
 * the others have; with one user it is by memory alone. The parts of all VMs sum up to the budget
 * at most. What does not hold (vm > user ...) is taken as if it did. */
uint64_t fair_part(const struct fair *fair, uint64_t budget);

#endif
