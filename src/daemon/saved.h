/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* saved: SHRDSVD of each VM, counted a slice at a time. */
#ifndef PSHARE_DAEMON_SAVED_H
#define PSHARE_DAEMON_SAVED_H

#include "daemon/daemon.h"

struct vm;

/* Pages that a VM saves, as of a second ago or so; never more than it has mapped. Somebody looks:
 * for a while the figures are kept up to date. */
uint64_t saved_pages(struct vm *vm);
/* A slice of the counting; true: there is more to do now. */
bool saved_work(struct daemon *d);

#endif
