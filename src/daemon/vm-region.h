/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm-region: the regions of a VM, as its agent claims them. */
#ifndef PSHARE_DAEMON_VM_REGION_H
#define PSHARE_DAEMON_VM_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/vm.h"
#include "wire/wire.h"

/* 0, or -errno with a static line in *why for the peer. */
int vm_region_add(struct vm *vm, const struct ps_msg_region *msg, const char **why);
int vm_region_refused(struct vm *vm, const struct ps_msg_region *msg, const char **why);
int vm_region_del(struct vm *vm, const struct ps_msg_region *msg, const char **why);
bool vm_has_page(struct vm *vm, uint32_t page);
/* Are they all of one region that takes part? */
bool vm_has_pages(struct vm *vm, uint32_t first, uint32_t n);
void vm_forget_regions(struct vm *vm);
/* A slice of giving back what regions that went had; true: there is more to do. */
bool vm_sweep_work(struct vm *vm);

#endif
