/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* holes: memory of a store that no frame accounts for. */
#ifndef PSHARE_DAEMON_HOLES_H
#define PSHARE_DAEMON_HOLES_H

struct daemon;

/* Gives back what is there in the holes of each store, some at a time, if it is time. */
void holes_tick(struct daemon *d);

#endif
