/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* usage: what VMs take of the host's memory. */
#ifndef PSHARE_DAEMON_USAGE_H
#define PSHARE_DAEMON_USAGE_H

#include "daemon/vm.h"

/* Reads what all VMs have (vm->memory) and sums up: d->vm_bytes, d->budget. */
void usage_read(struct daemon *d);

/* The memory that VMs may have together, and what is free of it: the budget if there is one, else
 * the host's. */
const struct mem_source *usage_source(const struct daemon *d);

#endif
