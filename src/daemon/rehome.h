/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rehome: every VM in the domain that the settings of now give it, and who waits for that. */
#ifndef PSHARE_DAEMON_REHOME_H
#define PSHARE_DAEMON_REHOME_H

#include "daemon/view.h"
#include "daemon/vm.h"

/* Tells the VM to leave, or lets it join, as its target wants. For whenever something changed. */
void rehome_vm(struct vm *vm);
/* The same for all, after a change that may move anybody. */
void rehome_all(struct daemon *d);
/* The agent says that it left the store of that generation. 0, or -EPROTO: it was not told to. */
int rehome_left(struct vm *vm, uint64_t generation);
/* No page of the VM maps a frame of an earlier session any more. */
void rehome_old_gone(struct vm *vm);

/* A change that is true when every VM (vm NULL) or that one is where it belongs; what: the name of
 * the setting, static. As view_set(): 0, -EINPROGRESS, -EBUSY, -ENOMEM. */
int rehome_wait(struct daemon *d, struct vm *vm, const char *what, const struct view_change *change,
		struct view_reason *why);
bool rehome_busy(struct daemon *d, const struct vm *vm, const char *what);
void rehome_forget(struct daemon *d, const void *arg);
/* The VM is about to be freed. */
void rehome_vm_gone(struct vm *vm);
/* Once a turn: answers changes that became true, or whose time ran out. */
void rehome_check(struct daemon *d);
/* What is due by time: VMs that did not leave, VMs that could not join. */
void rehome_tick(struct daemon *d);
/* The daemon ends. */
void rehome_abort(struct daemon *d);

#endif
