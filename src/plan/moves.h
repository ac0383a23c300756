/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* moves: which VMs would better live elsewhere, one move after the other. */
#ifndef PSHARE_PLAN_MOVES_H
#define PSHARE_PLAN_MOVES_H

#include "plan/model.h"

#define PLAN_MOVES_MAX 256u
#define PLAN_MOVES_VMS 20000u /* of a larger fleet none are sought */

struct plan_move {
	uint32_t vm, from, to;
	double gain; /* pages that are saved more, by this move, after those before it */
};

/*
 * In the order in which they can be made: each fits when it is made. Room for PLAN_MOVES_MAX. Their
 * number or -ENOMEM. Hosts that are away, in maintenance or standby take part in none.
 */
int plan_moves_find(const struct plan *plan, struct plan_move *moves);

#endif
