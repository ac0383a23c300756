/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* confine: what a process that talks with a QEMU may still do. */
#ifndef PSHARE_BALLOON_CONFINE_H
#define PSHARE_BALLOON_CONFINE_H

/* The keeper: no core, no rights, no signal of a terminal or a service manager
 * ends it. 0 or -errno. */
int confine_keeper(void);
/* A worker, which has all descriptors that it will ever have: reads, writes,
 * waits, and the memory that answers need. What fails is said, and is no reason
 * not to go on. */
void confine_worker(void);

#endif
