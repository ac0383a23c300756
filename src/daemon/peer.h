/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* peer: who is at the other end of a connection, as far as the kernel and /proc tell. */
#ifndef PSHARE_DAEMON_PEER_H
#define PSHARE_DAEMON_PEER_H

#include "daemon/view.h"

/* Of a connection: ids and role. 0 or -errno. */
int peer_of_socket(int fd, const struct role_groups *groups, struct view_peer *peer);
/* What /proc says of the process pid: name, control group, who logged in. It is a hint: the process
 * may be another one by now. */
void peer_look(struct view_peer *peer);

#endif
