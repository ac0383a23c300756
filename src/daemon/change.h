/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* change: API requests that wait until a change of a setting is true. */
#ifndef PSHARE_DAEMON_CHANGE_H
#define PSHARE_DAEMON_CHANGE_H

#include <stdbool.h>

#include "daemon/view.h"
#include "daemon/vm.h"

/* A change that is true when every VM (vm NULL) or that one is where it belongs; what: the name of
 * the setting, static. As view_set(): 0, -EINPROGRESS, -EBUSY, -ENOMEM. */
int change_wait(struct daemon *d, struct vm *vm, const char *what, const struct view_change *change,
		struct view_reason *why);
/* Does one of that setting wait? */
bool change_pending(struct daemon *d, const struct vm *vm, const char *what);
/* Nobody is to be told of the changes with that arg. */
void change_forget(struct daemon *d, const void *arg);
/* The VM is about to be freed. */
void changes_vm_gone(struct vm *vm);
/* Once a turn: answers changes that became true, or whose time ran out. */
void changes_check(struct daemon *d);
/* What is due by time. */
void changes_tick(struct daemon *d);
/* The daemon ends. */
void changes_abort(struct daemon *d);

#endif
