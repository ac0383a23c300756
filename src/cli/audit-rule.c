/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rule, made of nothing of the daemon's: of its books come a VM's facts (its user's group, its
 * salt's fingerprint), never which domain it put the VM in.
 */
#include "cli/audit-rule.h"

#include <string.h>

bool audit_may_share(const struct audit_key *a, const struct audit_key *b)
{
	if (a->own == b->own)
		return true;
	if (!a->known || !b->known || a->daemon != b->daemon || strcmp(a->group, b->group) != 0)
		return false;
	if (a->salting == 0)
		return true;
	if (a->has_salt && b->has_salt)
		return !a->salt_empty && !b->salt_empty && strcmp(a->salt, b->salt) == 0;
	return !a->has_salt && !b->has_salt && a->salting == 1;
}
