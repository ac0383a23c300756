/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * foreign: userfaultfds that the VMM itself opens.
 */
#ifndef PSHARE_AGENT_FOREIGN_H
#define PSHARE_AGENT_FOREIGN_H

#include <stdbool.h>

/* Is that ioctl one that may concern guest memory? */
bool foreign_request(unsigned long request);
/* Does such a one. The kernel's result or -errno. */
int foreign_ioctl(int fd, unsigned long request, void *arg);

#endif
