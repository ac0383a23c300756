/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit-rule: may two VMs share? ESX's rule, said anew for the audit. Pure. */
#ifndef PSHARE_CLI_AUDIT_RULE_H
#define PSHARE_CLI_AUDIT_RULE_H

#include <stdbool.h>
#include <stdint.h>

struct audit_key {
	uint32_t own;	 /* the VM: equal for a process and what it forked off */
	bool known;	 /* a daemon knows it, and says what follows */
	int64_t daemon;	 /* its process */
	int64_t salting; /* Mem.ShareForceSalting */
	char group[24];	 /* of users who may meet */
	bool has_salt, salt_empty;
	char salt[12]; /* fingerprint */
};

bool audit_may_share(const struct audit_key *a, const struct audit_key *b);

#endif
