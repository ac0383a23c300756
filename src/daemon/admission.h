/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* admission: settings for VMs that are about to start, and whether their reservations fit. */
#ifndef PSHARE_DAEMON_ADMISSION_H
#define PSHARE_DAEMON_ADMISSION_H

#include "daemon/vm.h"

/* Sets a setting of a VM from its text: checked, and refused if a reservation does not fit. 0, or
 * -errno and a line in err (POLICY_ERROR_MAX). */
int admission_set(struct vm *vm, enum setting_id id, const char *text, char *err);

/* What a process that is about to become a VM says it will be: until it says HELLO, its reservation
 * is kept for it. A second one of the same process takes the first one's place. As above. */
struct admission_wish {
	const char *name, *value; /* of a VM's setting */
};
int admission_ask(struct daemon *d, pid_t pid, uid_t uid, const struct admission_wish *wishes,
		  unsigned int n, char *err);
/* A VM is there: what was asked for its process is set. */
void admission_take(struct vm *vm);
void admissions_tick(struct daemon *d);
void admissions_forget(struct daemon *d);

/* Bytes that are reserved, by VMs and for those about to start; what may still be reserved. */
uint64_t admission_reserved(const struct daemon *d);
uint64_t admission_left(const struct daemon *d);

#endif
