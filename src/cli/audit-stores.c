/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit-stores: who holds a store, and how?
 *
 * Whoever has a descriptor of a store can read all frames of the domain, mapped or not; whoever has
 * one for writing can change every guest of it. So the descriptors and mappings of every process
 * of the host are gone through. A store is one that a daemon which was asked says is its own, by
 * device and inode; for those
 *
 *	the daemon		may do all
 *	a VM with a stake	may read: no descriptor for writing, no shared writable mapping
 *	anybody else		may have neither descriptor nor mapping
 *
 * and all who hold one must be VMs that may share. What only bears the name of a store (of a daemon
 * that has gone, or that was not asked) must be written by nobody but a user's own process.
 *
 * Domains change while this is read, so what seems wrong is looked at again, books and all, and is
 * a violation only if it was there each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "sys/launch.h"
#include "sys/look.h"

#define LOOKS 5
#define LOOK_AGAIN_MS 150

enum fault {
	FAULT_NONE,
	FAULT_WRITABLE,	   /* a descriptor or mapping for writing, outside of the daemon */
	FAULT_NOT_A_VM,	   /* held by a process that is none */
	FAULT_NO_STAKE,	   /* held by a VM that has no stake in it */
	FAULT_CROSSED,	   /* held by VMs that may not share */
	FAULT_LEFT_CLOSED, /* no fault: a store that was left by force shows nothing new */
};

struct hold {
	pid_t pid;
	uint64_t device, inode;
	bool write, own_file;
	enum fault fault;
	pid_t other; /* CROSSED: with whom */
};

struct holds {
	struct audit *audit;
	struct hold *at;
	size_t count, room;
	pid_t pid;
	uid_t uid;
};

static bool is_store(const char *path)
{
	return strncmp(path, AUDIT_STORE_NAME, strlen(AUDIT_STORE_NAME)) == 0;
}

static int add_hold(struct holds *holds, uint64_t device, uint64_t inode, bool write, bool own)
{
	struct hold *grown;

	for (size_t i = holds->count; i-- && holds->at[i].pid == holds->pid;) {
		struct hold *h = &holds->at[i];

		if (h->device == device && h->inode == inode) {
			h->write |= write;
			return 0;
		}
	}
	if (holds->count == holds->room) {
		holds->room = holds->room ? 2 * holds->room : 64;
		grown = reallocarray(holds->at, holds->room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		holds->at = grown;
	}
	holds->at[holds->count++] =
		(struct hold){holds->pid, device, inode, write, own, FAULT_NONE, 0};
	return 0;
}

static int take_open(const struct sys_open *open_file, void *arg)
{
	struct holds *holds = arg;

	if (!is_store(open_file->target))
		return 0;
	return add_hold(holds, open_file->device, open_file->inode,
			(open_file->flags & O_ACCMODE) != O_RDONLY, open_file->owner == holds->uid);
}

static int take_map(const struct sys_map *map, void *arg)
{
	struct holds *holds = arg;

	if (!is_store(map->path))
		return 0;
	return add_hold(holds, map->device, map->inode,
			map->access[1] == 'w' && map->access[3] == 's', false);
}

static int take_table(pid_t thread, void *arg)
{
	return sys_each_open(thread, take_open, arg) == -ENOMEM ? -ENOMEM : 0;
}

static int take_process(pid_t pid, void *arg)
{
	struct holds *holds = arg;
	int r;

	holds->pid = pid;
	if (sys_process_uid(pid, &holds->uid))
		return 0;
	r = sys_each_fd_table(pid, take_table, holds);
	if (r != -ENOMEM)
		r = sys_each_map(sys_live_thread(pid), take_map, holds);
	return r == -ENOMEM ? r : 0;
}

/* What a daemon says of that store; *daemon: which. */
static const json_t *find_store(const struct audit *audit, const struct hold *hold,
				const struct audit_daemon **daemon)
{
	json_t *store;
	size_t k;

	for (size_t i = 0; i < audit->ndaemons; i++)
		json_array_foreach(json_object_get(audit->daemons[i].books, "stores"), k, store)
		{
			if (ask_number(store, "inode") != hold->inode ||
			    ask_number(store, "device") != hold->device)
				continue;
			*daemon = &audit->daemons[i];
			return store;
		}
	return NULL;
}

static bool has_stake(const struct audit_vm *vm, uint64_t generation)
{
	const json_t *stake;
	size_t k;

	json_array_foreach(json_object_get(vm->account, "stakes"), k, stake)
	{
		if (ask_number(stake, "generation") == generation)
			return true;
	}
	return false;
}

static enum fault judge_known(const struct audit *audit, const struct hold *hold,
			      const json_t *store, const struct audit_daemon *daemon)
{
	const struct audit_vm *vm = audit_vm_of(audit, hold->pid);

	if (hold->pid == daemon->pid)
		return FAULT_NONE;
	if (hold->write)
		return FAULT_WRITABLE;
	if (!vm)
		return FAULT_NOT_A_VM;
	vm = &audit->vms[vm->root];
	if (vm->daemon == daemon && has_stake(vm, ask_number(store, "generation")))
		return FAULT_NONE;
	if (ask_true(store, "closed"))
		return FAULT_LEFT_CLOSED;
	return vm->account ? FAULT_NO_STAKE : FAULT_NOT_A_VM;
}

/* The first VM before i in the list that holds the same store and may not share with that one. */
static pid_t crossed_with(const struct holds *holds, size_t i)
{
	const struct audit *audit = holds->audit;
	const struct audit_vm *vm = audit_vm_of(audit, holds->at[i].pid), *other;

	for (size_t k = 0; vm && k < i; k++) {
		if (holds->at[k].inode != holds->at[i].inode ||
		    holds->at[k].device != holds->at[i].device)
			continue;
		other = audit_vm_of(audit, holds->at[k].pid);
		/* of who is nobody's that was asked nothing is known */
		if (other && other->group != vm->group && other->account && vm->account)
			return other->pid;
	}
	return 0;
}

static void judge(struct holds *holds)
{
	const struct audit *audit = holds->audit;

	for (size_t i = 0; i < holds->count; i++) {
		struct hold *hold = &holds->at[i];
		const struct audit_daemon *daemon = NULL;
		const json_t *store = find_store(audit, hold, &daemon);

		if (store)
			hold->fault = judge_known(audit, hold, store, daemon);
		else if (hold->write && !hold->own_file && !audit_is_daemon(audit, hold->pid))
			hold->fault = FAULT_WRITABLE;
		if (!hold->fault) {
			hold->other = crossed_with(holds, i);
			hold->fault = hold->other ? FAULT_CROSSED : FAULT_NONE;
		}
	}
}

static int look(struct audit *audit, struct holds *holds)
{
	int r;

	*holds = (struct holds){.audit = audit};
	r = sys_each_process(take_process, holds);
	if (!r)
		judge(holds);
	return r;
}

/* Keeps of the faults those that were found again; how many. */
static size_t keep(struct holds *faults, const struct holds *again)
{
	size_t left = 0;

	for (size_t i = 0; i < faults->count; i++) {
		const struct hold *x = &faults->at[i];

		for (size_t k = 0; x->fault && k < again->count; k++) {
			const struct hold *y = &again->at[k];

			if (x->pid == y->pid && x->device == y->device && x->inode == y->inode &&
			    x->fault == y->fault) {
				faults->at[left++] = *x;
				break;
			}
		}
	}
	faults->count = left;
	return left;
}

static void say(struct audit *audit, const struct hold *hold)
{
	char comm[SYS_COMM_MAX] = "?";
	unsigned long long inode = hold->inode;
	json_t *pids = json_pack("[i]", (int)hold->pid);
	int pid = (int)hold->pid;

	(void)sys_comm(hold->pid, comm);
	switch (hold->fault) {
	case FAULT_WRITABLE:
		audit_say(audit, "stores", AUDIT_VIOLATION, pids, 1,
			  "end that process and all VMs of the store",
			  "%s (process %d) can write to store %llu: to the memory of every VM of "
			  "its domain",
			  comm, pid, inode);
		return;
	case FAULT_NOT_A_VM:
		audit_say(
			audit, "stores", AUDIT_VIOLATION, pids, 1, "end that process",
			"%s (process %d) holds store %llu and is no VM of its domain: it can read "
			"what all VMs there share",
			comm, pid, inode);
		return;
	case FAULT_NO_STAKE:
		audit_say(audit, "stores", AUDIT_VIOLATION, pids, 1, "end that VM",
			  "%s (process %d) holds store %llu and has no stake in that domain", comm,
			  pid, inode);
		return;
	case FAULT_CROSSED:
		if (pids)
			json_array_append_new(pids, json_integer(hold->other));
		audit_say(audit, "stores", AUDIT_VIOLATION, pids, 1, "end one of the two",
			  "%s (process %d) and process %d hold store %llu and may not share", comm,
			  pid, (int)hold->other, inode);
		return;
	case FAULT_LEFT_CLOSED:
		audit_say(audit, "stores", AUDIT_NOTE, pids, 1, NULL,
			  "%s (process %d) holds store %llu, which it was made to leave: nothing "
			  "new is written there",
			  comm, pid, inode);
		return;
	case FAULT_NONE:
		json_decref(pids);
	}
}

int audit_stores(struct audit *audit)
{
	struct holds faults, again;
	int r = look(audit, &faults);
	size_t held = faults.count, bad = 0;

	for (size_t i = 0; i < faults.count; i++)
		bad += faults.at[i].fault != FAULT_NONE;
	for (int i = 1; !r && bad && i < LOOKS; i++) {
		sys_sleep_ms(LOOK_AGAIN_MS);
		audit_read_books(audit);
		r = look(audit, &again);
		bad = r ? 0 : keep(&faults, &again);
		free(again.at);
	}
	for (size_t i = 0; !r && bad && i < faults.count; i++)
		say(audit, &faults.at[i]);
	if (!r && !bad)
		audit_say(
			audit, "stores", AUDIT_OK, NULL, held, NULL,
			"stores are held by their daemon and the VMs of their domain, who can only "
			"read: %zu in all",
			held);
	free(faults.at);
	return r;
}
