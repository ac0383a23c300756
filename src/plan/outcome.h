/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* outcome: all that a plan says, worked out. */
#ifndef PSHARE_PLAN_OUTCOME_H
#define PSHARE_PLAN_OUTCOME_H

#include "plan/moves.h"
#include "plan/need.h"
#include "plan/saving.h"

#define PLAN_CASES_MAX 5u
#define PLAN_CASE_NAME_MAX 64u

struct plan_question {
	uint64_t add;
	uint32_t fail;
	/* told what is worked out next; may be NULL */
	void (*progress)(const char *what);
};

struct plan_outcome {
	struct plan_saving *each; /* of each host */
	struct plan_saving all;
	struct {
		char name[PLAN_CASE_NAME_MAX];
		struct plan_case what;
		struct plan_need need;
	} cases[PLAN_CASES_MAX];
	uint32_t ncases;
	uint64_t more[PLAN_BASES]; /* room for so many VMs more, with question.fail hosts gone */
	/* all VMs but those of hosts that are away, placed anew on the hosts that run some, by each
	 * way; today as things are */
	struct plan_result today, placed[PLAN_WAYS];
	uint32_t *where; /* of each VM, by likeness: its host; PLAN_NONE: none, or not asked */
	struct plan_move moves[PLAN_MOVES_MAX];
	uint32_t nmoves;
	bool moves_sought;
	double gain; /* of all moves, pages */
};

/* 0 or -ENOMEM. */
int plan_work_out(const struct plan *plan, const struct plan_question *question,
		  struct plan_outcome *outcome);
void plan_outcome_free(struct plan_outcome *outcome);

/* VMs that the placement by likeness has on another host than today. */
uint32_t plan_rehomed(const struct plan *plan, const struct plan_outcome *outcome);
/* What that placement shares beside today and all single moves, pages; 0 if not all have a place
 * in it. Below 0: the moves are the better way. */
double plan_left_to_gain(const struct plan_outcome *outcome);

/* Hosts that sharing saves in a case; 0 where it is not known. */
uint32_t plan_hosts_saved(const struct plan_need *need);

#endif
