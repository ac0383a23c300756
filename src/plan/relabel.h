/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* relabel: a placement that is as good, with fewer VMs that would have to move. */
#ifndef PSHARE_PLAN_RELABEL_H
#define PSHARE_PLAN_RELABEL_H

#include "plan/model.h"

/* where: of each VM its host, or PLAN_NONE. Hosts of one kind, in size and setting, change places
 * among each other. 0 or -ENOMEM, then it is as it was. */
int plan_relabel(const struct plan *plan, uint32_t *where);

#endif
