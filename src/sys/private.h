/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* private: a folder that nobody else can enter, and the sockets in it. 0 or -errno. */
#ifndef PSHARE_SYS_PRIVATE_H
#define PSHARE_SYS_PRIVATE_H

#include <stdbool.h>

/* Is it a folder of this user's that nobody else may use? make: made if it is not there; else one
 * that could be made will do. -EPERM: another's, or open to others; -ENOTDIR: no folder, or a
 * link; -EACCES: it cannot be made. */
int sys_private_folder(const char *path, bool make);

/* Removes the sockets PREFIXpid.sock in a folder whose process is gone. */
void sys_forget_sockets(const char *folder, const char *prefix);

#endif
