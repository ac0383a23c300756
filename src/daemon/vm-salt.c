/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm-salt: which domain a VM belongs in, by the salt it named, its user, and the settings of now.
 */

#include "daemon/vm-salt.h"

#include <string.h>

#include "daemon/secret.h"
#include "sys/unsafe.h"

struct domain_key vm_target(const struct vm *vm)
{
	const struct daemon *d = vm->daemon;
	struct salt_input in = {
		.salting = (enum force_salting)d->settings.value[SETTING_SHARE_FORCE_SALTING],
		.has_salt = vm->has_salt,
		.salt_empty = vm->salt_empty || vm->salt_refused,
	};
	bool named = vm->has_salt && !in.salt_empty && in.salting != SALTING_OFF;

	memcpy(in.digest, vm->salt.byte, sizeof(in.digest));
	memcpy(in.uuid, vm->own_id, sizeof(in.uuid));
	if (!ps_without(DEFENCE_SALT_OF_USER))
		in.uid_group =
			access_uid_group(d->policy, vm->user->uid, named ? &vm->fingerprint : NULL);
	return domain_key_make(&in);
}

void vm_judge_salt(struct vm *vm)
{
	struct daemon *d = vm->daemon;
	bool refused = vm->has_salt && !vm->salt_empty &&
		       !access_may_use(d->policy, vm->user->uid, vm->fingerprint);

	if (refused && !vm->salt_refused) {
		d->count.salts_refused++;
		if (log_gate_pass(&vm->user->gate, d->now))
			log_warn("%s: user %u may not use salt %08x: a domain of its own", vm->name,
				 vm->user->uid, vm->fingerprint);
	}
	vm->salt_refused = refused;
}

int vm_set_salt(struct vm *vm, const void *secret, size_t len)
{
	struct salt_digest digest = {0};
	uint32_t fingerprint = 0;
	int r = 0;

	if (len)
		r = secret_digest(vm->user, vm->daemon->now, secret, len, &digest, &fingerprint);
	if (r < 0)
		return r;
	vm->has_salt = true;
	vm->salt_empty = len == 0;
	vm->salt = digest;
	vm->fingerprint = fingerprint;
	vm->salt_refused = false;
	vm_judge_salt(vm);
	return 0;
}

void vm_clear_salt(struct vm *vm)
{
	vm->has_salt = vm->salt_empty = vm->salt_refused = false;
	vm->fingerprint = 0;
	explicit_bzero(&vm->salt, sizeof(vm->salt));
}
