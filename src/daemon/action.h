/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* action: reclaim, suspend and resume: what is done to a VM's memory because somebody said so. */
#ifndef PSHARE_DAEMON_ACTION_H
#define PSHARE_DAEMON_ACTION_H

#include "daemon/vm.h"

/* Begins one, in the place of another that is under way. pages: RECLAIM, how many. */
void action_begin(struct vm *vm, enum vm_act what, uint64_t pages);
/* How far is it? Ends it when it is done, or gets no further. */
void action_look(struct vm *vm);

/* Is that one under way? */
bool action_is(const struct vm *vm, enum vm_act what);
/* Pages that are still to be pushed out for it. */
uint64_t action_push(const struct vm *vm);
/* May it be asked of the balloon? Not of a guest that was put out: it would have to come in to give
 * something; nor when it has stood still by that. */
bool action_balloons(const struct vm *vm);
const char *action_name(enum vm_act what); /* "reclaim" ...; never NULL */

#endif
