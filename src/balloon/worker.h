/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker: the process that talks with one QEMU. */
#ifndef PSHARE_BALLOON_WORKER_H
#define PSHARE_BALLOON_WORKER_H

#include "wire/balloon.h"

/* Talks with QEMU over qmp_fd and with pshared over channel, both of which it takes, until one of
 * them has ended. Returns the state that it reported last. */
enum ps_balloon_state worker_run(const struct ps_balloon_start *start, int qmp_fd, int channel);

#endif
