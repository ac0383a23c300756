/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* view-balloon: a VM's balloon, as the API shows it. */
#ifndef PSHARE_DAEMON_VIEW_BALLOON_H
#define PSHARE_DAEMON_VIEW_BALLOON_H

#include "daemon/view.h"
#include "daemon/vm.h"

void view_balloon_fill(const struct vm *vm, struct view_balloon *out);

#endif
