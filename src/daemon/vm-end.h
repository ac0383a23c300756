/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm-end: what may still map a frame when a session, a program or a process has ended. */
#ifndef PSHARE_DAEMON_VM_END_H
#define PSHARE_DAEMON_VM_END_H

#include <sys/types.h>

#include "daemon/vm.h"

/* A new agent says HELLO from that process, and maps nothing yet: the ghosts of it are of programs
 * that it executed before, and end. */
void vm_end_former(struct daemon *d, const struct user *user, pid_t pid);
/* The session ended: a ghost while its process may map frames, else its end. */
void vm_detach(struct vm *vm);
/* Nothing of it maps a frame any more: gives everything back, and ends. */
void vm_end(struct vm *vm);
/* Out of the books; vm_free() follows at the end of the turn. */
void vm_remove(struct vm *vm);

#endif
