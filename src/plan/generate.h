/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* generate: a made-up fleet, the same for the same seed. */
#ifndef PSHARE_PLAN_GENERATE_H
#define PSHARE_PLAN_GENERATE_H

#include "plan/model.h"

struct plan_generate {
	uint64_t hosts, vms, seed;
	uint64_t memory; /* of each host, pages; 0: 256 to 1024 GiB, as many as go with the VMs */
};

/* The hosts and VMs of an empty plan. 0 or -ENOMEM. Not finished yet. */
int plan_generate(struct plan *plan, const struct plan_generate *what);

#endif
