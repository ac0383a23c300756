/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_DAEMON_NOTIFY_H
#define PSHARE_DAEMON_NOTIFY_H

/* Tells the service manager ("READY=1", "STOPPING=1"), if $NOTIFY_SOCKET names one. */
void notify_manager(const char *message);

#endif
