/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sd_notify(3) by hand: one datagram to a socket named in the environment. No library for that. */
#include "daemon/notify.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "sys/sock.h"

void notify_manager(const char *message)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int r;

	if (!path || (path[0] != '/' && path[0] != '@'))
		return;
	r = sys_unix_send_datagram(path, message, strlen(message), true);
	if (r < 0)
		log_warn("cannot tell the service manager %s: %s", message, strerror(-r));
}
