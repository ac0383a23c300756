/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* device: the device that makes userfaultfds, for those agents that may not open it themselves. */
#ifndef PSHARE_DAEMON_DEVICE_H
#define PSHARE_DAEMON_DEVICE_H

#include "daemon/daemon.h"

/* Opens it, if this process may: before it becomes another user. */
void device_open(struct daemon *d);
/* Somebody connected to uffd.sock: he gets it, and the connection ends. */
void device_hand_out(struct daemon *d);
void device_close(struct daemon *d);

#endif
