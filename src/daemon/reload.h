/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reload: the files of policy and settings are read again, and what changed comes true. */
#ifndef PSHARE_DAEMON_RELOAD_H
#define PSHARE_DAEMON_RELOAD_H

#include "daemon/daemon.h"
#include "daemon/view.h"

/* Other settings are in force from now on. */
void settings_apply(struct daemon *d, const struct host_settings *next);

/* SIGHUP came, from that process. */
void reload(struct daemon *d, struct view_peer *from);

#endif
