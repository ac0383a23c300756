/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm-balloon: what the daemon knows of a VM's balloon, and wants of it. Part of struct vm;
 * balloon.c alone changes it. */
#ifndef PSHARE_DAEMON_VM_BALLOON_H
#define PSHARE_DAEMON_VM_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/loop.h"
#include "wire/balloon.h"

struct vm_balloon {
	bool offered; /* its agent can hand over a connection to QEMU's monitor */
	bool asked;   /* for one, and has not answered yet */
	int channel;  /* to the worker; -1: there is none */
	struct loop_source source;
	uint64_t try_at;  /* a connection is asked for then; 0: it is not due */
	uint64_t pause;	  /* before the try after that, ns */
	uint64_t beat_at; /* the next order goes out; 0: nothing to say */

	enum ps_balloon_state state;
	bool reported; /* report is of this worker */
	struct ps_balloon_report report;

	bool wanted;	 /* target is known: else the balloon stays as it is */
	uint64_t target; /* bytes: of the policy */
	uint64_t limit;	 /* bytes: sched.mem.maxmemctl; UINT64_MAX: none */
	uint64_t manual; /* bytes: of an administrator; the larger of the two counts */
	bool manual_force;
	bool hold;	/* it is to stand still */
	bool told_held; /* its agent knows, and lets it go where we cannot */
	bool was_held;	/* by a worker that has ended, or by an earlier daemon */
};

/* What was wanted of a balloon: of whom it is, and is given back. */
struct vm_balloon_wish {
	bool wanted, manual_force;
	uint64_t target, manual;
};

#define BALLOON_PAUSE_MIN 1000000000ull /* ns */

static inline void vm_balloon_init(struct vm_balloon *b)
{
	*b = (struct vm_balloon){
		.channel = -1, .source.fd = -1, .pause = BALLOON_PAUSE_MIN, .limit = UINT64_MAX};
}

#endif
