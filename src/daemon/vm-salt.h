/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm-salt: the salt of a VM, and the domain that it belongs in. */
#ifndef PSHARE_DAEMON_VM_SALT_H
#define PSHARE_DAEMON_VM_SALT_H

#include <stddef.h>

#include "daemon/vm.h"
#include "policy/salt.h"

/* The key of the domain that the settings of now give it. */
struct domain_key vm_target(const struct vm *vm);
/* Names, digests and judges a salt that is at secret; len 0: the empty salt. -EAGAIN: too many new
 * salts of this user in a short time. */
int vm_set_salt(struct vm *vm, const void *secret, size_t len);
void vm_clear_salt(struct vm *vm);
/* May this VM use the salt it named? Judged anew when the policy changes. */
void vm_judge_salt(struct vm *vm);

#endif
