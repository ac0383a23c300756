/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The settings that the API shows and changes (view.h). Settings of the host are for root and the
 * daemon's user, those of a VM for its user as well. Everything is checked before anything is
 * changed; a change that moves VMs is answered when it is true (change.c).
 */

#include "daemon/view.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/change.h"
#include "daemon/rehome.h"
#include "daemon/session.h"
#include "daemon/vm-salt.h"
#include "sys/self.h"

static int refuse(struct view_reason *why, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct view_reason *why, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return error;
}

int view_setting(struct daemon *daemon, const char *name, char *value, size_t size)
{
	int id = setting_find(name, false, NULL);

	if (id < 0)
		return -ENOENT;
	return setting_format((enum setting_id)id, daemon->settings.value[id], value, size) < 0 ?
		       -ENOENT :
		       0;
}

static bool is_admin(const struct view_peer *peer)
{
	return peer->uid == 0 || peer->uid == sys_self_uid();
}

int view_set(struct daemon *daemon, const char *name, const char *value,
	     const struct view_change *change, struct view_reason *why)
{
	char err[POLICY_ERROR_MAX];
	struct setting_value parsed;
	const char *what;
	int id;

	if (!is_admin(&change->peer))
		return refuse(why, -EPERM,
			      "settings of the host are for root and the daemon's user");
	id = setting_find(name, false, err);
	if (id < 0)
		return refuse(why, -ENOENT, "%s", err);
	if (setting_parse((enum setting_id)id, value, strlen(value), &parsed, err) < 0)
		return refuse(why, -EINVAL, "%s", err);
	what = setting_get((enum setting_id)id)->name;
	if (change_pending(daemon, NULL, what))
		return refuse(why, -EBUSY, "another change of %s is under way", what);
	daemon->settings.value[id] = parsed.num;
	sessions_configure(daemon);
	if (id != SETTING_SHARE_FORCE_SALTING)
		return 0;
	rehome_all(daemon);
	return change_wait(daemon, NULL, what, change, why);
}

/* The VM, if this peer may change it; else NULL, *r and *why. */
static struct vm *may_change(struct daemon *daemon, const char *name,
			     const struct view_change *change, int *r, struct view_reason *why)
{
	struct vm *vm = vm_by_name(daemon, name);

	if (!vm) {
		*r = refuse(why, -ENOENT, "there is no VM \"%.64s\"", name);
		return NULL;
	}
	if (!is_admin(&change->peer) && change->peer.uid != vm->user->uid) {
		*r = refuse(why, -EPERM, "%s belongs to user %u: that user and root may change it",
			    vm->name, vm->user->uid);
		return NULL;
	}
	return vm;
}

/* The VM's target may have changed: it moves, and the change waits for it. */
static int move_and_wait(struct vm *vm, const char *what, const struct view_change *change,
			 struct view_reason *why)
{
	vm->must_leave = vm->holds_unknown;
	rehome_vm(vm);
	return change_wait(vm->daemon, vm, what, change, why);
}

int view_vm_set(struct daemon *daemon, const char *vm_name, const char *name, const char *value,
		const struct view_change *change, struct view_reason *why)
{
	const char *what = setting_get(SETTING_PSHARE_ENABLE)->name;
	char err[POLICY_ERROR_MAX];
	struct setting_value parsed;
	int r, id;
	struct vm *vm = may_change(daemon, vm_name, change, &r, why);

	if (!vm)
		return r;
	id = setting_find(name, true, err);
	if (id < 0)
		return refuse(why, -ENOENT, "%s", err);
	if (id == SETTING_PSHARE_SALT)
		return view_vm_salt(daemon, vm_name, value, strlen(value), change, why);
	if (setting_parse((enum setting_id)id, value, strlen(value), &parsed, err) < 0)
		return refuse(why, -EINVAL, "%s", err);
	if (change_pending(daemon, vm, what))
		return refuse(why, -EBUSY, "another change of %s is under way", what);
	vm->enable = parsed.num != 0;
	vm->enable_set = true;
	sessions_configure(daemon);
	return move_and_wait(vm, what, change, why);
}

int view_vm_salt(struct daemon *daemon, const char *vm_name, const void *salt, size_t length,
		 const struct view_change *change, struct view_reason *why)
{
	const char *what = setting_get(SETTING_PSHARE_SALT)->name;
	struct salt_digest digest;
	uint32_t fingerprint;
	int r = 0;
	struct vm *vm = may_change(daemon, vm_name, change, &r, why);

	if (!vm)
		return r;
	if (change_pending(daemon, vm, what))
		return refuse(why, -EBUSY, "another change of %s is under way", what);
	if (length > PS_SALT_MAX)
		return refuse(why, -EINVAL, "a salt of %zu bytes is too long: up to %u would do",
			      length, PS_SALT_MAX);
	if (!salt) {
		vm_clear_salt(vm);
		vm->salt_set = true;
		return move_and_wait(vm, what, change, why);
	}
	if (length) {
		r = secret_digest(vm->user, daemon->now, salt, length, &digest, &fingerprint);
		explicit_bzero(&digest, sizeof(digest));
		if (r == 0 && !access_may_use(daemon->policy, vm->user->uid, fingerprint))
			return refuse(why, -EPERM, "the policy does not let user %u use that salt",
				      vm->user->uid);
	}
	if (r == 0)
		r = vm_set_salt(vm, salt, length);
	if (r < 0)
		return refuse(why, r, "the salt was not taken: %s", strerror(-r));
	vm->salt_set = true;
	return move_and_wait(vm, what, change, why);
}

void view_cancel(struct daemon *daemon, const void *arg)
{
	change_forget(daemon, arg);
}
