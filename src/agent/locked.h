/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * locked: mlockall() and munlockall().
 */
#ifndef PSHARE_AGENT_LOCKED_H
#define PSHARE_AGENT_LOCKED_H

/* mlockall(flags): locks what is the VMM's, and nothing of ours. 0 or the kernel's -errno. */
int locked_all(int flags);
/* munlockall(). */
int locked_none(void);

#endif
