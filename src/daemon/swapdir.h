/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* swapdir: the swap files of VMs: where they are made, and how large each may become. */
#ifndef PSHARE_DAEMON_SWAPDIR_H
#define PSHARE_DAEMON_SWAPDIR_H

#include "daemon/vm.h"

/* The VM gets a swap file, or another cap for the one it has, if it needs one: told at the end of
 * the turn. */
void swapdir_offer(struct vm *vm);
/* The folder or the setting has changed: what failed is tried again at once. */
void swapdir_retry(struct vm *vm);
/* May its pages be swapped now? If not, *why is half a sentence. */
bool swapdir_ready(const struct vm *vm, const char **why);
/* The folder for a VM's file; "": there is none. */
const char *swapdir_of(const struct vm *vm);
/* Makes it: the file, for the agent alone, and *cap, the bytes that it may have. The descriptor is
 * the caller's; -errno. */
int swapdir_open(struct vm *vm, uint64_t *cap);

#endif
