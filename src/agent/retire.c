/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * retire: a region is given up. What is out comes back, or is dropped where the memory has gone.
 * Its pages come back into anonymous memory; those that cannot
 * (bringback.c) stay known as leftovers, so that their discard gives zeros. Then the tracker lets
 * go of it, and huge pages are allowed again where the VMM had asked for them.
 */
#include "agent/retire.h"

#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/bringback.h"
#include "agent/leftover.h"
#include "agent/nursery.h"
#include "agent/pagein.h"
#include "agent/quarantine.h"
#include "agent/reader.h"
#include "agent/say.h"
#include "agent/stage.h"
#include "sys/mapping.h"
#include "sys/uffd.h"

/* What we made small, and the VMM did not. */
static void give_back_huge(struct region *r)
{
	uint32_t b, n;

	for (b = 0; b < r->blocks; b += n ? n : 1) {
		uintptr_t start = r->origin + (uintptr_t)b * PS_BLOCK_SIZE, end;

		for (n = 0; b + n < r->blocks && !r->block[b + n].stays_small;)
			n++;
		end = start + (uintptr_t)n * PS_BLOCK_SIZE;
		start = start < r->start ? r->start : start;
		end = end > r->start + r->len ? r->start + r->len : end;
		if (start < end)
			map_advise((void *)start, end - start, MADV_HUGEPAGE);
	}
}

void region_retire(struct agent *a, struct region *r, bool gone)
{
	if (r->life != REGION_MANAGED) {
		if (r->told_cause)
			region_set_life(r, REGION_RETIRED);
		else if (r->life != REGION_RETIRED)
			region_free(a, r);
		return;
	}
	/* act is held, so the table of regions stays; faults need not wait for all of it */
	pthread_mutex_unlock(&a->settle);
	if (!gone && !pagein_range(a, r, r->first, r->end - r->first, a->cold.act_room) &&
	    !map_has_holes((void *)r->start, r->len))
		agent_stop("pages that are out cannot be put back where they were");
	pagein_drop(a, r, r->first, r->end - r->first);
	if (!gone)
		bring_back_all(a, r);
	pthread_mutex_lock(&a->settle);
	if (gone) {
		quarantine_forget(a, r, 0, r->end);
	} else {
		leftover_note(a, r);
		uffd_unregister(a->tracker, (void *)r->start, r->len);
		if (r->huge)
			give_back_huge(r);
	}
	nursery_free(r);
	region_set_life(r, REGION_RETIRED);
	readers_quiesce(a, r);
	stage_free(r);
}
