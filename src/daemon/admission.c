/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `pshare run` becomes the VMM: what it asks for under its own process id, which the kernel vouches
 * for, is for the VM that says HELLO from that process, or from a child of it where the VMM is
 * started by a script. So nobody can ask in another's name, and no word of it goes through the VMM.
 *
 * A reservation that was granted counts from then on. A process that never becomes a VM gives it
 * back when it ends, or after WAIT_NS.
 */
#include "daemon/admission.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pressure.h"
#include "daemon/swapdir.h"
#include "daemon/usage.h"
#include "policy/admit.h"
#include "sys/cleanup.h"
#include "sys/proc.h"

#define WAIT_NS (60 * SEC)
#define LOOK_NS (1 * SEC)
#define PARENTS 4u
#define ASKED_MAX 1024u /* at once, of all */

struct admission {
	struct list link;
	pid_t pid;
	uid_t uid;
	uint64_t until;
	bool given[SETTING_END - SETTING_HOST_END];
	int64_t set[SETTING_END - SETTING_HOST_END];
	char swap_dir[SETTING_PATH_MAX + 1];
};

static struct admit books(const struct daemon *d)
{
	const struct mem_source *source = usage_source(d);

	return (struct admit){
		.managed = source->managed,
		.min_free = source->min_free,
		.reserved = admission_reserved(d),
	};
}

static uint64_t bytes_of_mb(int64_t mb)
{
	return (uint64_t)mb << 20;
}

uint64_t admission_reserved(const struct daemon *d)
{
	uint64_t bytes = 0;

	list_for_each(vm, &d->vms, struct vm, link)
		bytes += bytes_of_mb(vm_setting(vm, SETTING_MEM_MIN)) +
			 vm->memory.overhead * PS_PAGE_SIZE;
	list_for_each(asked, &d->admissions, struct admission, link)
		bytes += bytes_of_mb(asked->set[SETTING_MEM_MIN - SETTING_HOST_END]);
	return bytes;
}

uint64_t admission_left(const struct daemon *d)
{
	struct admit admit = books(d);

	return admit_left(&admit);
}

static int check_pair(int64_t min, int64_t max, char *err)
{
	if (max < 0 || min <= max)
		return 0;
	return policy_error(err,
			    "a reservation of %lld MB (sched.mem.min) is more than the limit of "
			    "%lld MB (sched.mem.max)",
			    (long long)min, (long long)max);
}

/* Does min fit in the place of what this VM has reserved already? */
static int check_room(const struct daemon *d, int64_t had, int64_t min, char *err)
{
	struct admit admit = books(d);

	admit.reserved -= bytes_of_mb(had);
	return min <= had || admit_fits(&admit, bytes_of_mb(min), err) ? 0 : -ENOSPC;
}

int admission_set(struct vm *vm, enum setting_id id, const char *text, char *err)
{
	int64_t min = vm_setting(vm, SETTING_MEM_MIN), max = vm_setting(vm, SETTING_MEM_MAX);
	struct setting_value value;
	int r = setting_parse(id, text, strlen(text), &value, err);

	if (r < 0)
		return r;
	if (id == SETTING_SWAP_DIR) {
		snprintf(vm->swap_dir, sizeof(vm->swap_dir), "%s", text);
		swapdir_retry(vm);
		return 0;
	}
	if (id == SETTING_MEM_MIN)
		r = check_room(vm->daemon, min, value.num, err);
	if (r == 0)
		r = check_pair(id == SETTING_MEM_MIN ? value.num : min,
			       id == SETTING_MEM_MAX ? value.num : max, err);
	if (r < 0)
		return r;
	vm->set[id - SETTING_HOST_END] = value.num;
	pressure_now(vm->daemon);
	return 0;
}

/* ---- before there is a VM ------------------------------------------------------------------- */

static void forget(struct admission *asked)
{
	list_del(&asked->link);
	free(asked);
}

static int read_wishes(struct admission *asked, const struct admission_wish *wishes, unsigned int n,
		       char *err)
{
	for (unsigned int i = 0; i < n; i++) {
		int id = setting_find(wishes[i].name, true, err);
		struct setting_value value;
		int r = id < 0 ? -EINVAL :
				 setting_parse((enum setting_id)id, wishes[i].value,
					       strlen(wishes[i].value), &value, err);

		if (r < 0)
			return r;
		if (id == SETTING_PSHARE_SALT)
			return policy_error(err, "a salt is not given here: --salt-file");
		asked->given[id - SETTING_HOST_END] = true;
		if (id == SETTING_SWAP_DIR)
			snprintf(asked->swap_dir, sizeof(asked->swap_dir), "%s", wishes[i].value);
		else
			asked->set[id - SETTING_HOST_END] = value.num;
	}
	return check_pair(asked->set[SETTING_MEM_MIN - SETTING_HOST_END],
			  asked->set[SETTING_MEM_MAX - SETTING_HOST_END], err);
}

int admission_ask(struct daemon *d, pid_t pid, uid_t uid, const struct admission_wish *wishes,
		  unsigned int n, char *err)
{
	_cleanup_free_ struct admission *asked = calloc(1, sizeof(*asked));
	unsigned int others = 0;
	int r;

	if (!asked)
		return -ENOMEM;
	for (int id = SETTING_HOST_END; id < SETTING_END; id++)
		asked->set[id - SETTING_HOST_END] = setting_get((enum setting_id)id)->def;
	r = read_wishes(asked, wishes, n, err);
	if (r < 0)
		return r;
	list_for_each(other, &d->admissions, struct admission, link) {
		others++;
		if (other->pid == pid)
			forget(other);
	}
	if (others >= ASKED_MAX)
		return -EBUSY;
	usage_read(d);
	r = check_room(d, 0, asked->set[SETTING_MEM_MIN - SETTING_HOST_END], err);
	if (r < 0)
		return r;
	asked->pid = pid;
	asked->uid = uid;
	asked->until = d->now + WAIT_NS;
	list_add_tail(&d->admissions, &asked->link);
	daemon_wake_at(d, d->now + LOOK_NS);
	TAKE_PTR(asked);
	return 0;
}

/* Is pid the process, or one that it has started? */
static bool is_of(pid_t pid, const struct admission *asked)
{
	for (unsigned int i = 0; i <= PARENTS; i++) {
		if (pid == asked->pid)
			return true;
		if (sys_process_parent(pid, &pid) < 0)
			return false;
	}
	return false;
}

void admission_take(struct vm *vm)
{
	list_for_each(asked, &vm->daemon->admissions, struct admission, link) {
		if ((asked->uid && asked->uid != vm->user->uid) || !is_of(vm->pid, asked))
			continue;
		for (int id = SETTING_HOST_END; id < SETTING_END; id++)
			if (asked->given[id - SETTING_HOST_END] && id != SETTING_PSHARE_ENABLE)
				vm->set[id - SETTING_HOST_END] = asked->set[id - SETTING_HOST_END];
		if (asked->given[SETTING_PSHARE_ENABLE - SETTING_HOST_END]) {
			vm->enable = asked->set[SETTING_PSHARE_ENABLE - SETTING_HOST_END] != 0;
			vm->enable_set = true;
		}
		memcpy(vm->swap_dir, asked->swap_dir, sizeof(vm->swap_dir));
		forget(asked);
		return;
	}
}

void admissions_tick(struct daemon *d)
{
	struct sys_process_memory memory;

	list_for_each(asked, &d->admissions, struct admission, link)
		if (asked->until <= d->now || sys_process_memory(asked->pid, &memory) == -ENOENT)
			forget(asked);
	if (!list_empty(&d->admissions))
		daemon_wake_at(d, d->now + LOOK_NS);
}

void admissions_forget(struct daemon *d)
{
	list_for_each(asked, &d->admissions, struct admission, link)
		forget(asked);
}
