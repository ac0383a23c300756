/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_AGENT_TRACK_H
#define PSHARE_AGENT_TRACK_H

struct agent;

/* Lets the walk see again what came back since the last call. The worker, under act alone. */
void track_again(struct agent *a);

#endif
