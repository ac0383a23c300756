/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* device: the device that makes userfaultfds, from the daemon. */
#ifndef PSHARE_AGENT_DEVICE_H
#define PSHARE_AGENT_DEVICE_H

/* Asks the daemon whose agent.sock that is. A descriptor that is the caller's, or -errno. Waits for
 * a second at most. */
int device_ask(const char *agent_sock);

#endif
