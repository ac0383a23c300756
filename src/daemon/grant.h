/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* grant: how much memory each VM verifiably has, and what it may have of the daemon for it. */
#ifndef PSHARE_DAEMON_GRANT_H
#define PSHARE_DAEMON_GRANT_H

#include "daemon/daemon.h"
#include "daemon/user.h"
#include "policy/fair.h"

struct vm;

/* A region or a domain of that VM came or went: it may hint what it has from now on, and its part
 * is found anew soon. */
void grants_changed(struct vm *vm);
/* Finds what all have, if it is time. */
void grants_tick(struct daemon *d);

/* Pages that all VMs of its process claim. */
uint64_t grant_process_claims(const struct vm *vm);
/* What counts of a VM where something of the host is split. */
struct fair grant_of(const struct vm *vm);

#endif
