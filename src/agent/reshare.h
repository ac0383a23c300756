/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reshare: broken pages that are to leave the state of being broken, gathered and done in batches.
 */
#ifndef PSHARE_AGENT_RESHARE_H
#define PSHARE_AGENT_RESHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/order.h"
#include "agent/region.h"

#define RESHARE_MAX 16384u /* pages that wait */
#define RESHARE_BATCH 256u /* done in one batch, where nothing of the VMM has to stand still */
#define RESHARE_FORK_BATCH 4096u /* where a fork has to tell pins */
#define RESHARE_RUNS 512u /* pages that follow each other; a batch takes some 30 us for each */

struct agent;

/* In place of an order's frame: what the agent wants of itself. */
#define RESHARE_ZERO PS_FRAME_NONE	 /* it is all zeros */
#define RESHARE_OWN (PS_FRAME_NONE - 1u) /* its mapping is worth tidying */

struct reshare {
	struct order item[RESHARE_MAX];
	struct order batch[RESHARE_FORK_BATCH];
	uint32_t n;
	uint64_t next; /* ns: no batch before */
};

/* An order to share a broken page. False: no room, the caller refuses it. Worker. */
bool reshare_order(struct agent *a, uint32_t vm_page, uint32_t frame);
/* A broken page that is zero, or whose mapping is to be tidied. False: no room. Worker. */
bool reshare_page(struct agent *a, struct region *r, uint32_t page, uint32_t frame);
/* Does a batch, if it is time. Returns the ns until the next; UINT64_MAX: nothing waits. Worker, no
 * lock held. */
uint64_t reshare_run(struct agent *a, uint64_t now);
/* Refuses all orders: the domain is left. Worker. */
void reshare_refuse(struct agent *a);
/* The daemon is gone: nobody waits for an answer. */
void reshare_forget(struct agent *a);

#endif
