/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mainloop: a turn of the loop, and the end of what ended in it. */
#ifndef PSHARE_DAEMON_MAINLOOP_H
#define PSHARE_DAEMON_MAINLOOP_H

#include "daemon/daemon.h"

/* Runs until it is told to stop. 0, or -errno after a line in the log. */
int daemon_run(struct daemon *d);
/* One turn: waits for an event, or only looks (wait false, or more left from the turn before);
 * *more: is there work left? 0 or -errno. */
int daemon_turn(struct daemon *d, bool wait, bool *more);
/* Frees sessions and VMs that ended, which nothing points to any more. */
void daemon_free_ended(struct daemon *d);

#endif
