/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * freeze: what the guest of a stopped VMM has, said to the daemon page by page, for a fork.
 */
#ifndef PSHARE_AGENT_FREEZE_H
#define PSHARE_AGENT_FREEZE_H

#include <stdbool.h>
#include <stdint.h>

#define FREEZE_MAX_NS 10000000000ull /* then we go on, whatever the daemon does */

struct agent;

struct freeze {
	uint64_t asked;	  /* image for which it is to be said; 0: none */
	uint64_t holding; /* image for which nothing is changed; 0: none */
	uint64_t until;	  /* ns: not for longer */
};

/* Answers FREEZE. True: nothing is to be changed now, in guest memory or on the daemon's books.
 * Worker, no lock held. */
bool freeze_serve(struct agent *a, uint64_t now);
/* THAW has come, or the daemon is gone. */
void freeze_end(struct agent *a);

#endif
