/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The settings that the API shows and changes (view.h). Settings of the host are for
 * administrators, those of a VM for operators and its user, its salt for administrators and its
 * user. Everything is checked before anything is changed; a change that moves VMs is answered when
 * it is true (change.c).
 */

#include "daemon/view.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/action.h"
#include "daemon/admission.h"
#include "daemon/change.h"
#include "daemon/conffile.h"
#include "daemon/pressure.h"
#include "daemon/rehome.h"
#include "daemon/reload.h"
#include "daemon/session.h"
#include "daemon/usage.h"
#include "daemon/vm-salt.h"

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

int view_setting_origin(struct daemon *daemon, const char *name, char *origin, size_t size)
{
	int id = setting_find(name, false, NULL);

	if (id < 0)
		return -ENOENT;
	if (daemon->overridden & UINT64_C(1) << id)
		snprintf(origin, size, "set, until pshared reads its files again");
	else
		conffile_origin(daemon->conf, (enum setting_id)id, origin, size);
	return 0;
}

int view_setting_note(struct daemon *daemon, const char *name, char *note, size_t size)
{
	char origin[CONFFILE_PATH_MAX + 16];
	int id = setting_find(name, false, NULL);

	if (id < 0)
		return -ENOENT;
	*note = '\0';
	if (!(daemon->overridden & UINT64_C(1) << id))
		return 0;
	conffile_origin(daemon->conf, (enum setting_id)id, origin, sizeof(origin));
	snprintf(note, size, "%.200s says otherwise, and will be in force again", origin);
	return 0;
}

/* Puts it where what was set is kept: into the drop-in, or into memory alone. value NULL: out of
 * there. Then *next is what the files and all else say. */
static int keep(struct daemon *d, enum setting_id id, const int64_t *value, struct conffile *next,
		struct view_reason *why)
{
	char err[CONFFILE_ERROR_MAX];
	int r;

	/* a file that is bad would be found bad at the next start: mend it first */
	r = conffile_read(d->options, &d->set, next, err);
	if (r < 0)
		return refuse(why, -EBUSY, "nothing is set while a file is bad: %.200s", err);
	if (conffile_keeps(d->options)) {
		r = conffile_keep(d->options, id, value, err);
		if (r < 0)
			return refuse(why, r == -EPERM ? -EROFS : r, "cannot be kept: %.220s", err);
	} else {
		d->set.line[id] = value != NULL;
		d->set.value[id] = value ? *value : 0;
	}
	r = conffile_read(d->options, &d->set, next, err);
	return r < 0 ? refuse(why, -EBUSY, "%.250s", err) : 0;
}

/* value NULL: what the files say. */
static int set_host(struct daemon *d, enum setting_id id, const int64_t *value,
		    const struct view_change *change, struct view_reason *why)
{
	struct host_settings wanted = d->settings;
	const char *what = setting_get(id)->name;
	char err[POLICY_ERROR_MAX];
	struct conffile next;
	int r;

	if (change_pending(d, NULL, what))
		return refuse(why, -EBUSY, "another change of %s is under way", what);
	if (value)
		wanted.value[id] = *value;
	if (settings_check(&wanted, NULL, err) < 0)
		return refuse(why, -EINVAL, "%s", err);
	r = keep(d, id, value, &next, why);
	if (r < 0)
		return r;
	wanted.value[id] = value ? *value : next.settings.value[id];
	d->overridden &= ~(UINT64_C(1) << id);
	if (wanted.value[id] != next.settings.value[id])
		d->overridden |= UINT64_C(1) << id;
	*d->conf = next;
	settings_apply(d, &wanted);
	return id == SETTING_SHARE_FORCE_SALTING ? change_wait(d, NULL, what, change, why) : 0;
}

static bool is_admin(const struct view_peer *peer)
{
	return peer->role >= ROLE_ADMINISTER;
}

/* The setting, if this peer may change it. */
static int find_host(const char *name, const struct view_change *change, struct view_reason *why)
{
	char err[POLICY_ERROR_MAX];
	int id;

	if (!is_admin(&change->peer))
		return refuse(why, -EPERM, "settings of the host are for administrators");
	id = setting_find(name, false, err);
	return id < 0 ? refuse(why, -ENOENT, "%s", err) : id;
}

int view_set(struct daemon *daemon, const char *name, const char *value,
	     const struct view_change *change, struct view_reason *why)
{
	char err[POLICY_ERROR_MAX];
	struct setting_value parsed;
	int id = find_host(name, change, why);

	if (id < 0)
		return id;
	if (setting_parse((enum setting_id)id, value, strlen(value), &parsed, err) < 0)
		return refuse(why, -EINVAL, "%s", err);
	return set_host(daemon, (enum setting_id)id, &parsed.num, change, why);
}

int view_reset(struct daemon *daemon, const char *name, const struct view_change *change,
	       struct view_reason *why)
{
	int id = find_host(name, change, why);

	return id < 0 ? id : set_host(daemon, (enum setting_id)id, NULL, change, why);
}

/* The VM, if this peer may change it; else NULL, *r and *why. */
static struct vm *may_change(struct daemon *daemon, const char *name, enum role needed,
			     const struct view_change *change, int *r, struct view_reason *why)
{
	struct vm *vm = vm_by_name(daemon, name);

	if (!vm) {
		*r = refuse(why, -ENOENT, "there is no VM \"%.64s\"", name);
		return NULL;
	}
	if (change->peer.role < needed && change->peer.uid != vm->user->uid) {
		*r = refuse(why, -EPERM,
			    "%s belongs to user %u: that user may change it, and the role '%s'",
			    vm->name, vm->user->uid, role_name(needed));
		return NULL;
	}
	return vm;
}

/* Its domain may be another now: it moves, and the change waits for it. */
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
	struct vm *vm = may_change(daemon, vm_name, ROLE_OPERATE, change, &r, why);

	if (!vm)
		return r;
	id = setting_find(name, true, err);
	if (id < 0)
		return refuse(why, -ENOENT, "%s", err);
	if (setting_get((enum setting_id)id)->admin && !is_admin(&change->peer))
		return refuse(why, -EPERM, "%s takes from other VMs: it is for administrators",
			      setting_get((enum setting_id)id)->name);
	if (id == SETTING_PSHARE_SALT)
		return view_vm_salt(daemon, vm_name, value, strlen(value), change, why);
	if (id != SETTING_PSHARE_ENABLE) {
		r = admission_set(vm, (enum setting_id)id, value, err);
		return r < 0 ? refuse(why, r == -ENOSPC ? -EBUSY : r, "%s", err) : 0;
	}
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
	struct vm *vm = may_change(daemon, vm_name, ROLE_ADMINISTER, change, &r, why);

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

int view_act(struct daemon *daemon, const char *vm_name, const char *what, uint64_t bytes,
	     const struct view_peer *peer, struct view_reason *why)
{
	const struct view_change as = {.peer = *peer};
	enum vm_act act = VM_ACT_NONE;
	int r = 0;
	struct vm *vm = may_change(daemon, vm_name, ROLE_OPERATE, &as, &r, why);

	if (!vm)
		return r;
	for (enum vm_act each = VM_ACT_RECLAIM; each <= VM_ACT_RESUME; each++)
		if (!strcmp(what, action_name(each)))
			act = each;
	if (act == VM_ACT_NONE)
		return refuse(why, -EINVAL, "there is no such order");
	if (!vm->session || !vm->member)
		return refuse(why, -EBUSY, "%s takes no part now: see 'pshare show %s'", vm->name,
			      vm->name);
	if (act == VM_ACT_RECLAIM && bytes < PS_PAGE_SIZE)
		return refuse(why, -EINVAL, "less than a page is nothing to reclaim");
	if (act == VM_ACT_SUSPEND && vm->publishing)
		return refuse(why, -EBUSY, "%s is being forked, for which its memory is brought in",
			      vm->name);
	usage_read(daemon);
	action_begin(vm, act, bytes / PS_PAGE_SIZE);
	pressure_now(daemon);
	return 0;
}

int view_admit(struct daemon *daemon, const struct view_wish *wishes, unsigned int n,
	       const struct view_peer *peer, struct view_reason *why)
{
	struct admission_wish asked[VIEW_WISHES_MAX];
	char err[POLICY_ERROR_MAX] = "";
	int r;

	if (n > VIEW_WISHES_MAX)
		return refuse(why, -EINVAL, "more than %u settings", VIEW_WISHES_MAX);
	for (unsigned int i = 0; i < n; i++) {
		int id = setting_find(wishes[i].name, true, err);

		if (id < 0)
			return refuse(why, -EINVAL, "%s", err);
		if (setting_get((enum setting_id)id)->admin && !is_admin(peer))
			return refuse(why, -EPERM,
				      "%s takes from other VMs: it is for administrators",
				      setting_get((enum setting_id)id)->name);
		asked[i] = (struct admission_wish){wishes[i].name, wishes[i].value};
	}
	r = admission_ask(daemon, peer->pid, peer->uid, asked, n, err);
	return r < 0 ? refuse(why, r == -ENOSPC ? -EBUSY : r, "%s", *err ? err : strerror(-r)) : 0;
}

void view_cancel(struct daemon *daemon, const void *arg)
{
	change_forget(daemon, arg);
}
