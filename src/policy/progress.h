/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* progress: how far sharing has come in a VM, what is still to be expected, and has it settled? */
#ifndef PSHARE_POLICY_PROGRESS_H
#define PSHARE_POLICY_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_NEVER UINT64_MAX /* ms: nobody can say, or it will not */
#define PROGRESS_LOOKS 2u	  /* whole looks until it is known what there is */

/* All in pages, but for what says otherwise. */
struct progress_input {
	bool active;	      /* it takes part: it has memory, a domain, and may share */
	uint64_t present;     /* that the guest has */
	uint64_t unseen;      /* of them, that wait for their first hash */
	uint64_t saved;	      /* by sharing and by zeros, what is in quarantine too */
	uint64_t quarantined; /* taken out, and not given back yet */
	uint64_t waiting;     /* hints not dealt with, frames promised and not mapped yet */
	uint64_t looks;	      /* whole looks in this domain */
	bool lost;	      /* hints were lost and will be asked for again */
	uint64_t rate;	      /* pages a second that may be hashed; 0: none */
	uint64_t look_ms;     /* between two looks */
	uint64_t quarantine_ms;
};

struct progress {
	double looked;	    /* percent of what is present */
	uint64_t saved;	    /* now: given back to the host */
	uint64_t expected;  /* at the end of this pass, if the rest is like what was seen */
	uint64_t left_ms;   /* or PROGRESS_NEVER */
	double done;	    /* 0 to 1, and 1 only if it has settled: see progress_done() */
	uint64_t remaining; /* of expected, what is not given back yet */
	bool settled;
};

/* How far sharing has come: what is given back as a part of what will be, as far as anybody knows
 * now. Where nothing is expected yet, the part of the memory that was looked at (percent). */
double progress_done(uint64_t saved, uint64_t expected, double looked, bool settled);
struct progress progress_of(const struct progress_input *in);

#endif
