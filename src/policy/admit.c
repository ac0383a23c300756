/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A reservation is a promise, so it is given only while it can be kept: all of them, what VMs need
 * beside their guests, and minFree fit into what is managed. A VM without one always fits: it is
 * promised nothing.
 */
#include "policy/admit.h"

#include "policy/error.h"

#define MB (1024ull * 1024)

uint64_t admit_left(const struct admit *admit)
{
	uint64_t usable = admit->managed > admit->min_free ? admit->managed - admit->min_free : 0;

	return usable > admit->reserved ? usable - admit->reserved : 0;
}

bool admit_fits(const struct admit *admit, uint64_t reservation, char *err)
{
	uint64_t left = admit_left(admit);

	if (reservation <= left)
		return true;
	(void)policy_error(err,
			   "a reservation of %llu MB does not fit: %llu MB are left (%llu MB "
			   "managed, less %llu MB minFree, less %llu MB reserved)",
			   (unsigned long long)((reservation + MB - 1) / MB),
			   (unsigned long long)(left / MB),
			   (unsigned long long)(admit->managed / MB),
			   (unsigned long long)(admit->min_free / MB),
			   (unsigned long long)(admit->reserved / MB));
	return false;
}
