/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* view-vm: figures of one VM that the host's are summed up from. */
#ifndef PSHARE_DAEMON_VIEW_VM_H
#define PSHARE_DAEMON_VIEW_VM_H

#include <stdint.h>

#include "daemon/view-claim.h"
#include "daemon/vm.h"
#include "wire/wire.h"

/* Pages that it maps from frames, of this session and earlier ones. */
uint64_t view_mapped_pages(const struct vm *vm);
/* Frames of an earlier daemon's store, mapped still: on nobody's books but the agent's. */
uint64_t view_unknown_pages(const struct vm *vm, const struct ps_agent_stats *stats);

#endif
