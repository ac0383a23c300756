/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* saving: what sharing saves where VMs run today, under each setting of Mem.ShareForceSalting. */
#ifndef PSHARE_PLAN_SAVING_H
#define PSHARE_PLAN_SAVING_H

#include "plan/model.h"

/* In pages. */
struct plan_saving {
	uint32_t vms;
	double touched; /* what its VMs would take, were nothing shared */
	double self;	/* saved inside VMs, whatever the setting */
	/* saved between VMs, under each setting; the standard error of that, as far as it is
	 * estimated from sketches */
	double between[PLAN_MODES], error[PLAN_MODES];
	double now; /* between[mode] of the host; in a sum, of the hosts */
};

/* each: one for each host; *all: of the hosts that count. 0 or -ENOMEM. */
int plan_saving_count(const struct plan *plan, struct plan_saving *each, struct plan_saving *all);

#endif
