/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sample: how much of its memory the VM uses: random pages are staged, those touched are counted.
 */
#ifndef PSHARE_AGENT_SAMPLE_H
#define PSHARE_AGENT_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/workset.h"
#include "wire/wire.h"

struct agent;
struct region;

struct sample {
	struct workset set;
	uint32_t page[PS_SAMPLE_PAGES_MAX]; /* in the VM */
	uint32_t n;
	uint64_t ends; /* ns; 0: no period is under way */
	uint64_t look; /* ns: when it is next looked how many have been touched */
	uint64_t random;
};

/* A block that is staged in one piece is brought back by the worker itself: the samples in it count
 * as not touched. Under act. */
void sample_is_cold(struct agent *a, const struct region *r, uint32_t block);
/* Begins and ends periods. Returns the ns until it wants to be called again. Worker, no lock
 * held. */
uint64_t sample_step(struct agent *a, uint64_t now);

#endif
