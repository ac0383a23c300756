/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guarded: frames that no page may break, where pins cannot be told.
 */
#ifndef PSHARE_AGENT_GUARDED_H
#define PSHARE_AGENT_GUARDED_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/region.h"

#define GUARDED_AHEAD 16u /* at most so many are unshared for one write fault */

/* A write fault came on the page: settles it, whatever its state. False: it was closed, and is left
 * to who closed it. The settler, under settle. */
bool guarded_fault(struct agent *a, struct region *r, uint32_t page);
/* Protects n frames that were just mapped at page in a block that is guarded; what was written
 * since is BROKEN. Writers that wait at the guard go on. Under act, not settle. */
void guarded_protect(struct agent *a, struct region *r, uint32_t page, uint32_t n);
/* Makes the frames of a block guarded, or plain, as pins are told now. Under act, not settle. */
void guarded_follow(struct agent *a, struct region *r, uint32_t block);

#endif
