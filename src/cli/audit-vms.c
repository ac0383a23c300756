/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit-vms: which processes of the host are VMs, and what memory of theirs could hold a guest's.
 *
 * A VM is a process that a daemon knows; that maps a store; that has a KVM VM open; whose program
 * is a VMM's by name (an emulated one has no KVM); or that has the agent and memory of a guest's
 * size. What was forked off a VM and still runs its program is the same VM: the kernel has it share
 * its parent's pages. So nobody gains by hiding in a child: it is held against the parent.
 *
 * A file that some VM maps writable, and of which it executes nothing, may be a guest's RAM. Every
 * mapping of that file by a VM counts then, for reading or for execution as well: who maps it so
 * reads it too. All other files are left out: the page cache shares text, constants and data of
 * programs between all processes, and nobody's guest memory is in them.
 *
 * A process whose first thread has ended shows its memory under its other threads alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "sys/look.h"
#include "sys/path.h"

#define GUEST_MIN (16u << 20)

/* ---- mappings ------------------------------------------------------------------------------- */

struct reading {
	struct audit_vm *vm;
	size_t room;
	struct audit_file *programs; /* of which something is executed */
	size_t nprograms, programs_room;
	bool agent, store;
	uint64_t anonymous; /* bytes */
};

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Device memory, rings of the kernel's, and what the kernel lends each process. */
static bool is_special(const struct sys_map *map)
{
	if (begins(map->path, "[v") || begins(map->path, "anon_inode:") ||
	    begins(map->path, "/[aio]"))
		return true;
	return begins(map->path, "/dev/") && !begins(map->path, "/dev/shm/") &&
	       !begins(map->path, "/dev/hugepages") && !begins(map->path, "/dev/zero");
}

static enum audit_kind kind_of(const struct sys_map *map)
{
	if (!map->inode)
		return AUDIT_ANONYMOUS;
	if (begins(map->path, AUDIT_STORE_NAME " "))
		return AUDIT_STORE;
	if (begins(map->path, "/memfd:") || begins(map->path, "/SYSV") ||
	    begins(map->path, "/dev/zero"))
		return AUDIT_MEMFD;
	return AUDIT_FILE;
}

static int note_program(struct reading *reading, const struct sys_map *map)
{
	struct audit_file *grown;

	if (reading->nprograms == reading->programs_room) {
		reading->programs_room = reading->programs_room ? 2 * reading->programs_room : 64;
		grown = reallocarray(reading->programs, reading->programs_room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		reading->programs = grown;
	}
	reading->programs[reading->nprograms++] = (struct audit_file){map->device, map->inode};
	return 0;
}

static int take_map(const struct sys_map *map, void *arg)
{
	struct reading *reading = arg;
	struct audit_vm *vm = reading->vm;
	struct audit_map *grown, *out;

	if (map->inode && map->access[2] == 'x' && !begins(map->path, "/memfd:") &&
	    note_program(reading, map))
		return -ENOMEM;
	reading->agent |= strstr(map->path, "libpshare-agent.so") != NULL;
	if (is_special(map))
		return 0;
	if (kind_of(map) == AUDIT_FILE && memcmp(map->access, "---", 3) == 0)
		return 0;
	if (vm->nmaps == reading->room) {
		reading->room = reading->room ? 2 * reading->room : 256;
		grown = reallocarray(vm->maps, reading->room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		vm->maps = grown;
	}
	out = &vm->maps[vm->nmaps++];
	*out = (struct audit_map){
		.start = map->start,
		.end = map->end,
		.offset = map->offset,
		.device = map->device,
		.inode = map->inode,
		.kind = kind_of(map),
		.shared = map->access[3] == 's',
		.writable = map->access[1] == 'w',
	};
	reading->store |= out->kind == AUDIT_STORE;
	if (out->kind == AUDIT_ANONYMOUS && out->writable)
		reading->anonymous += out->end - out->start;
	return 0;
}

static bool is_one_of(const struct audit_file *files, size_t n, const struct audit_map *map)
{
	for (size_t i = 0; i < n; i++)
		if (files[i].inode == map->inode && files[i].device == map->device)
			return true;
	return false;
}

static int read_maps(struct reading *reading)
{
	struct audit_vm *vm = reading->vm;
	int r;

	free(vm->maps);
	vm->maps = NULL;
	vm->nmaps = 0;
	r = sys_each_map(vm->eye, take_map, reading);
	for (size_t i = 0; i < vm->nmaps; i++)
		vm->maps[i].program =
			vm->maps[i].kind == AUDIT_FILE &&
			is_one_of(reading->programs, reading->nprograms, &vm->maps[i]);
	free(reading->programs);
	reading->programs = NULL;
	return r;
}

/* Notes which files are this VM's memory, by what it does with them. */
static int note_files(struct audit *audit, const struct audit_vm *vm)
{
	struct audit_file *grown;

	for (size_t i = 0; i < vm->nmaps; i++) {
		const struct audit_map *map = &vm->maps[i];

		if (map->kind != AUDIT_FILE || !map->writable || map->program ||
		    is_one_of(audit->files, audit->nfiles, map))
			continue;
		grown = reallocarray(audit->files, audit->nfiles + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		audit->files = grown;
		audit->files[audit->nfiles++] = (struct audit_file){map->device, map->inode};
	}
	return 0;
}

/* Leaves out the mappings of files that are nobody's memory. */
static void leave_out_files(const struct audit *audit, struct audit_vm *vm)
{
	size_t left = 0;

	for (size_t i = 0; i < vm->nmaps; i++)
		if (vm->maps[i].kind != AUDIT_FILE ||
		    is_one_of(audit->files, audit->nfiles, &vm->maps[i]))
			vm->maps[left++] = vm->maps[i];
	vm->nmaps = left;
}

int audit_read_maps(struct audit *audit, struct audit_vm *vm)
{
	struct reading reading = {.vm = vm};
	int r = read_maps(&reading), noted = note_files(audit, vm);

	leave_out_files(audit, vm);
	return r ? r : noted;
}

const struct audit_map *audit_map_at(const struct audit_vm *vm, uint64_t address)
{
	size_t low = 0, high = vm->nmaps;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (vm->maps[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < vm->nmaps && vm->maps[low].start <= address ? &vm->maps[low] : NULL;
}

/* ---- VMs ------------------------------------------------------------------------------------ */

void audit_program_name(pid_t pid, char name[PATH_MAX])
{
	char path[PATH_MAX], *end;
	const char *slash;

	*name = '\0';
	if (sys_program(pid, path, sizeof(path)))
		return;
	end = strstr(path, " (deleted)");
	if (end && !end[10])
		*end = '\0';
	slash = strrchr(path, '/');
	snprintf(name, PATH_MAX, "%s", slash ? slash + 1 : path);
}

/* What a daemon says of that process. */
static void find_account(struct audit *audit, struct audit_vm *vm)
{
	json_t *account;
	size_t k;

	for (size_t i = 0; i < audit->ndaemons && !vm->daemon; i++) {
		struct audit_daemon *d = &audit->daemons[i];

		if (!audit_believes(d, vm->uid))
			continue;
		json_array_foreach(json_object_get(d->books, "vms"), k, account)
		{
			if ((pid_t)ask_number(account, "pid") != vm->pid)
				continue;
			vm->daemon = d;
			vm->account = account;
		}
	}
	if (vm->account)
		snprintf(vm->name, sizeof(vm->name), "%s", ask_text(vm->account, "name"));
}

static int take_target(const char *target, void *arg)
{
	*(bool *)arg |= begins(target, "anon_inode:kvm-vm");
	return *(bool *)arg;
}

static bool is_vmm_program(pid_t pid)
{
	static const char *const names[] = {"qemu-system-",	"qemu-kvm", "kvm",  "firecracker",
					    "cloud-hypervisor", "crosvm",   "lkvm", "kvmtool"};
	char name[PATH_MAX];

	audit_program_name(pid, name);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i]);

		if (!strncmp(name, names[i], n) && (!name[n] || names[i][n - 1] == '-'))
			return true;
	}
	return false;
}

static bool is_vm(struct audit_vm *vm, const struct reading *reading)
{
	bool kvm = false;

	if (vm->account || (reading->store && vm->pagemap >= 0))
		return true;
	if (reading->agent && reading->anonymous >= GUEST_MIN)
		return true;
	(void)sys_each_fd(vm->eye, take_target, &kvm);
	return kvm || is_vmm_program(vm->eye);
}

static int add_vm(struct audit *audit, const struct audit_vm *vm)
{
	struct audit_vm *grown = reallocarray(audit->vms, audit->nvms + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	audit->vms = grown;
	audit->vms[audit->nvms++] = *vm;
	return 0;
}

static int take_process(pid_t pid, void *arg)
{
	struct audit *audit = arg;
	struct audit_vm vm = {.pid = pid, .eye = sys_live_thread(pid), .pagemap = -1};
	struct reading reading = {.vm = &vm};
	char comm[SYS_COMM_MAX], program[PATH_MAX];
	int r;

	if (sys_process_uid(pid, &vm.uid) || sys_comm(pid, comm))
		return 0;
	audit_program_name(vm.eye, program);
	if (!*program)
		return 0; /* a thread of the kernel's */
	snprintf(vm.name, sizeof(vm.name), "%s-%d", comm, (int)pid);
	find_account(audit, &vm);
	vm.pagemap = sys_pagemap_of(vm.eye);
	r = read_maps(&reading);
	if (r != -ENOMEM && is_vm(&vm, &reading)) {
		if (vm.pagemap < 0 || r < 0)
			audit_say(audit, "vm", AUDIT_UNKNOWN, json_pack("[i]", (int)pid), 1, NULL,
				  "%s (process %d) may not be looked at: %s", vm.name, (int)pid,
				  strerror(vm.pagemap < 0 ? -vm.pagemap : -r));
		r = add_vm(audit, &vm);
		if (!r)
			return 0;
	}
	free(vm.maps);
	close_fd(&vm.pagemap);
	return r == -ENOMEM ? r : 0;
}

struct audit_vm *audit_vm_of(const struct audit *audit, pid_t pid)
{
	for (size_t i = 0; i < audit->nvms; i++)
		if (audit->vms[i].pid == pid)
			return &audit->vms[i];
	return NULL;
}

/* A child that nobody's books have, with its parent's program, is its parent. */
static uint32_t root_of(const struct audit *audit, uint32_t i)
{
	char own[PATH_MAX], other[PATH_MAX];
	pid_t parent = 0;

	for (size_t depth = 0; depth < audit->nvms; depth++) {
		const struct audit_vm *vm = &audit->vms[i], *above;

		if (vm->account || sys_parent(vm->pid, &parent))
			return i;
		above = audit_vm_of(audit, parent);
		if (!above || sys_program(vm->pid, own, sizeof(own)) ||
		    sys_program(parent, other, sizeof(other)) || strcmp(own, other) != 0)
			return i;
		i = (uint32_t)(above - audit->vms);
	}
	return i;
}

static void make_key(struct audit *audit, uint32_t i)
{
	struct audit_vm *vm = &audit->vms[i];
	const json_t *account;

	vm->root = root_of(audit, i);
	account = audit->vms[vm->root].account;
	vm->key = (struct audit_key){.own = vm->root, .known = account != NULL};
	if (!account)
		return;
	vm->key.daemon = audit->vms[vm->root].daemon->pid;
	vm->key.salting = (int64_t)ask_number(audit->vms[vm->root].daemon->books, "salting");
	vm->key.has_salt = ask_true(account, "has_salt");
	vm->key.salt_empty = ask_true(account, "salt_empty");
	snprintf(vm->key.group, sizeof(vm->key.group), "%s", ask_text(account, "group"));
	snprintf(vm->key.salt, sizeof(vm->key.salt), "%s", ask_text(account, "salt"));
}

/* Each VM is in the group of the first one with which it may share. */
static void judge_groups(struct audit *audit)
{
	for (uint32_t i = 0; i < audit->nvms; i++)
		make_key(audit, i);
	for (uint32_t i = 0; i < audit->nvms; i++) {
		struct audit_vm *vm = &audit->vms[i];

		for (vm->group = 0; vm->group < i; vm->group++)
			if (audit_may_share(&vm->key, &audit->vms[vm->group].key))
				break;
		vm->group = vm->group < i ? audit->vms[vm->group].group : i;
	}
}

void audit_read_books(struct audit *audit)
{
	audit_ask_daemons(audit);
	for (size_t i = 0; i < audit->nvms; i++) {
		struct audit_vm *vm = &audit->vms[i];
		json_t *account;
		size_t k;

		vm->account = NULL;
		if (!vm->daemon)
			continue;
		json_array_foreach(json_object_get(vm->daemon->books, "vms"), k, account)
		{
			if ((pid_t)ask_number(account, "pid") == vm->pid)
				vm->account = account;
		}
	}
	judge_groups(audit);
}

int audit_find(struct audit *audit)
{
	int r = audit_find_daemons(audit);

	if (!r)
		r = sys_each_process(take_process, audit);
	for (size_t i = 0; !r && i < audit->nvms; i++)
		r = note_files(audit, &audit->vms[i]);
	for (size_t i = 0; i < audit->nvms; i++)
		leave_out_files(audit, &audit->vms[i]);
	if (!r)
		judge_groups(audit);
	return r;
}

void audit_free(struct audit *audit)
{
	for (size_t i = 0; i < audit->nvms; i++) {
		free(audit->vms[i].maps);
		close_fd(&audit->vms[i].pagemap);
	}
	audit_free_daemons(audit);
	free(audit->vms);
	free(audit->files);
	json_decref(audit->findings);
}
