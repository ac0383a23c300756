/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guard: pages in a store's mapping are closed: who writes waits, and who wants to pin one for
 * writing waits too. Reads go on.
 */
#ifndef PSHARE_AGENT_GUARD_H
#define PSHARE_AGENT_GUARD_H

#include <stdint.h>

#include "agent/region.h"

/* Takes over those of n pages (a block's at most) that lie in a store's mapping: they are OUT, and
 * the settler leaves them alone. was: the states of all n, to be put back. Under act, not
 * settle. */
void guard_claim(struct agent *a, struct region *r, uint32_t page, uint32_t n, uint8_t *was);
/* Pages page..page+n-1 all lie in mappings of a store. After it returns 0 nobody changes them but
 * through a reference that he has already. -errno: nothing changed. Under act. */
int guard_close(struct agent *a, struct region *r, uint32_t page, uint32_t n);
/* Undoes it for those that were not replaced, and wakes writers that wait at them. Pages whose
 * frames are guarded for good stay so. Under act. */
void guard_open(struct agent *a, struct region *r, uint32_t page, uint32_t n);
/* Wakes writers that wait at those pages. */
void guard_wake(struct agent *a, struct region *r, uint32_t page, uint32_t n);

#endif
