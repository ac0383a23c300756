/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_LOOKOWN_H
#define PSHARE_AGENT_LOOKOWN_H

#include "agent/visit.h"
#include "sys/uapi.h"

/* A range of alike pages that the scan found: arms, hashes, hints. */
void own_look(struct visit *v, const struct page_region *range);
/* Takes out what was found to be zeros. */
void own_flush_zeros(struct visit *v);
/* What was zeros and is not mapped any more: whatever comes there is new. */
void own_forget_zeros(struct visit *v);
/* At the end of the visit: is the block one that is written all the time? */
void own_judge_hot(struct visit *v);
/* Hashes and hints all pages of a block that was broken this moment; zeros are taken out. There is
 * room in the ring for them. Under act. */
void own_hint_all(struct agent *a, struct region *r, uint32_t block);

#endif
