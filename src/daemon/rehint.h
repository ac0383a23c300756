/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rehint: hints that were lost are asked for again. */
#ifndef PSHARE_DAEMON_REHINT_H
#define PSHARE_DAEMON_REHINT_H

#include "daemon/daemon.h"

struct vm;

/* Whose time has come. */
void rehint_tick(struct daemon *d);
/* A slice of what was begun; true: there is more to do now. */
bool rehint_work(struct vm *vm);

#endif
