/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_RETIRE_H
#define PSHARE_AGENT_RETIRE_H

#include <stdbool.h>

#include "agent/region.h"

/* Brings back all, unregisters, and leaves the memory to the VMM and the kernel: MANAGED to
 * RETIRED; anything else to FREE, or RETIRED where the daemon is still to be told. If the memory is
 * gone already, `gone`, pages are just forgotten. Under act and settle. */
void region_retire(struct agent *a, struct region *r, bool gone);

#endif
