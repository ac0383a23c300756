/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* headroom: what the limit on a VMM's memory leaves for pages in quarantine. */
#ifndef PSHARE_POLICY_HEADROOM_H
#define PSHARE_POLICY_HEADROOM_H

#include <stdint.h>

struct headroom {
	uint64_t limit; /* bytes: of the VMM's control group; UINT64_MAX: none */
	uint64_t used;	/* bytes, what is in quarantine included */
	/* pages: */
	uint64_t size;	      /* of all guest RAM that takes part */
	uint64_t own;	      /* of it, charged to the VMM now: neither frames nor zero pages */
	uint64_t quarantined; /* in quarantine now */
};

/* So many pages may be in quarantine at once, those that are there included. UINT32_MAX: as many as
 * it has room for. */
uint32_t headroom_quarantine(const struct headroom *h);

/* Pages that a VM is to give of what its control group lacks, all VMs in which have `all` pages,
 * this one `has` of them: its part, rounded up, has at most. */
uint64_t headroom_part(uint64_t lacks, uint64_t has, uint64_t all);

#endif
