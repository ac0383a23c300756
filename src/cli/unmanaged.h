/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unmanaged: processes of VMs that have the agent and that the daemon does not know. */
#ifndef PSHARE_CLI_UNMANAGED_H
#define PSHARE_CLI_UNMANAGED_H

#include <jansson.h>

/* Those that are not in vms, the daemon's own list (borrowed; may be NULL), as an array of objects
 * as the API has them: name, pid, uid, comm, state, reason, why, mend. Only processes that this
 * user may look at are found. NULL: no memory. */
json_t *unmanaged(const json_t *vms);

#endif
