/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * paper-vm: an agent of paper (peer.h) in a process of its own, which has memory that the kernel
 * sees and gives it up as it is told. What it has, says and is told stands on a board that the
 * test and that process share.
 *
 * Its guest is a stretch of anonymous memory: `use` pages of it are in use. Of them it keeps what
 * TARGET lets it; what it gives up is gone (MADV_DONTNEED) and counted as compressed, though
 * nothing is kept: only the daemon is under test.
 */
#ifndef PSHARE_TEST_PAPER_VM_H
#define PSHARE_TEST_PAPER_VM_H

#include "peer.h"

struct paper_vm_board {
	/* by the test */
	uint32_t use;	/* pages that its guest has touched */
	uint32_t speed; /* pages that it can give up in a hundredth of a second; 0: it gives none */
	uint32_t cowh;	/* pages that breaking its blocks would share; all its memory is in them */
	uint32_t active; /* percent of its pages; what it says of its working set */
	bool breaks;	 /* it breaks blocks when told: then they have given what they could */
	bool whole;	 /* its blocks share nothing, and only pages of broken ones can go out */
	bool refuse;	 /* it says that its swap file fails */
	bool boasts;	 /* it claims mappings, zeros and a quarantine that it has not */
	bool end;
	/* by the agent */
	bool ready;
	uint32_t out, resident; /* pages */
	uint32_t broken;	/* blocks */
	bool broke_before_out;	/* no page went out before all blocks were broken */
	uint32_t flags_seen;	/* all PS_TARGET_... that it was told, ever */
	uint32_t flags_of[8];	/* by state */
	struct ps_msg_target target;
	uint32_t most_out; /* pages: the most that it was ever told to have out */
	struct ps_msg_config config;
	uint64_t swap_cap;
	uint64_t swap_links; /* of its swap file; -1: it has none */
	bool swap_is_file;
	bool cut;
};

struct paper_vm {
	pid_t pid;
	struct paper_vm_board *board;
};

/* Starts one with a guest of so many pages, in the daemon as name. It dies with the test. */
void paper_vm_start(struct paper_vm *p, const struct t_daemon *d, const char *name, uint32_t pages,
		    uint32_t use);
void paper_vm_end(struct paper_vm *p);

#endif
