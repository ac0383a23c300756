/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* admit: does a reservation still fit? */
#ifndef PSHARE_POLICY_ADMIT_H
#define PSHARE_POLICY_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes. */
struct admit {
	uint64_t managed;  /* memory that VMs may have: the host's, or Mem.ManagedMB */
	uint64_t min_free; /* kept free of it */
	uint64_t reserved; /* by VMs that are there, what they need beside their guest included */
};

/* What is left to be reserved. */
uint64_t admit_left(const struct admit *admit);
/* Does a VM with that reservation fit? A line with the figures in err (POLICY_ERROR_MAX) if not. */
bool admit_fits(const struct admit *admit, uint64_t reservation, char *err);

#endif
