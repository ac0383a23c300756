/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who this process is, and where its program lies. */
#ifndef PSHARE_SYS_SELF_H
#define PSHARE_SYS_SELF_H

#include <stddef.h>
#include <sys/types.h>

uid_t sys_self_uid(void); /* effective */

/* The folder that holds this process's program, without a trailing slash. 0, or -errno. */
int sys_self_folder(char *folder, size_t size);

/* Ends a connection in both directions; whoever owns the descriptor closes it. 0 or -errno. */
int sys_shutdown(int sock);

#endif
