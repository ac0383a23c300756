/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* view-memory: what is shown of memory under pressure, of a VM and of the host. */
#ifndef PSHARE_DAEMON_VIEW_MEMORY_H
#define PSHARE_DAEMON_VIEW_MEMORY_H

#include "daemon/view.h"
#include "daemon/vm.h"

void view_memory_vm(struct vm *vm, const struct ps_agent_stats *stats, struct view_memory *out);
void view_memory_host(struct daemon *d, struct view_host_memory *out);

#endif
