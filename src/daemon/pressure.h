/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pressure: the state of memory, and what it has VMs give back. */
#ifndef PSHARE_DAEMON_PRESSURE_H
#define PSHARE_DAEMON_PRESSURE_H

#include "daemon/vm.h"

/* Reads what is free, takes a step, and orders what that calls for; if it is time. */
void pressure_tick(struct daemon *d);
/* A setting has changed, or an order was given: all of it anew, at once. */
void pressure_now(struct daemon *d);

#endif
