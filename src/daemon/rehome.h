/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rehome: every VM in the domain that the settings of now give it. */
#ifndef PSHARE_DAEMON_REHOME_H
#define PSHARE_DAEMON_REHOME_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/vm.h"

/* Tells the VM to leave, or lets it join, as its target wants. For whenever something changed. */
void rehome_vm(struct vm *vm);
/* The same for all, after a change that may move anybody. */
void rehome_all(struct daemon *d);
/* The agent says that it left the store of that generation. 0, or -EPROTO: it was not told to. */
int rehome_left(struct vm *vm, uint64_t generation);
/* No page of the VM maps a frame of an earlier session any more. */
void rehome_old_gone(struct vm *vm);

/* Does the VM hold references only where it may? */
bool rehome_settled(const struct vm *vm);
/* Is it on its way out of a domain that somebody else was made to leave? */
bool rehome_is_moving(const struct vm *vm);
/* When it must have left, were it told to now. */
uint64_t rehome_time_to_leave(const struct vm *vm);

/* What is due by time: VMs that did not leave, VMs that could not join. */
void rehome_tick(struct daemon *d);

#endif
