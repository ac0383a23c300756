/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit-vms: which processes of the host are VMs, what memory of theirs could hold a guest's, and
 * what the daemons say of them.
 *
 * A VM is a process that a daemon knows; that maps a store; that has a KVM VM open; whose program
 * is a VMM's by name (an emulated one has no KVM); or that has the agent and memory of a guest's
 * size. What was forked off a VM and still runs its program is the same VM: the kernel has it share
 * its parent's pages. So nobody gains by hiding in a child: it is held against the parent.
 *
 * Daemons are found by their program, and asked in the folder of their command line. One is
 * believed about VMs of its own user, and about all if it is root's or the system's; else any user
 * could start a "daemon" that says of others' VMs that they may share. With --runtime-dir only that
 * one is asked.
 *
 * Text, constants and data of programs are left out: the page cache shares them between all
 * processes, and nobody's guest memory is in them. A file that is mapped writable and of which
 * nothing is executed may be a guest's RAM.
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
#define SYSTEM_DIR "/run/pshare"
#define SYSTEM_USER "pshare"

/* ---- mappings ------------------------------------------------------------------------------- */

struct reading {
	struct audit_vm *vm;
	size_t room;
	uint64_t *programs; /* inodes of which something is executed */
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
	if (begins(map->path, "/memfd:pshare-store "))
		return AUDIT_STORE;
	if (begins(map->path, "/memfd:") || begins(map->path, "/SYSV") ||
	    begins(map->path, "/dev/zero"))
		return AUDIT_MEMFD;
	return AUDIT_FILE;
}

static int note_program(struct reading *reading, uint64_t inode)
{
	uint64_t *grown;

	if (reading->nprograms && reading->programs[reading->nprograms - 1] == inode)
		return 0;
	if (reading->nprograms == reading->programs_room) {
		reading->programs_room = reading->programs_room ? 2 * reading->programs_room : 64;
		grown = reallocarray(reading->programs, reading->programs_room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		reading->programs = grown;
	}
	reading->programs[reading->nprograms++] = inode;
	return 0;
}

static int take_map(const struct sys_map *map, void *arg)
{
	struct reading *reading = arg;
	struct audit_vm *vm = reading->vm;
	struct audit_map *grown, *out;

	if (map->inode && map->access[2] == 'x' && !begins(map->path, "/memfd:") &&
	    note_program(reading, map->inode))
		return -ENOMEM;
	reading->agent |= strstr(map->path, "libpshare-agent.so") != NULL;
	if (is_special(map))
		return 0;
	if (kind_of(map) == AUDIT_FILE && map->access[1] != 'w')
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

static bool is_program(const struct reading *reading, const struct audit_map *map)
{
	for (size_t i = 0; map->kind == AUDIT_FILE && i < reading->nprograms; i++)
		if (reading->programs[i] == map->inode)
			return true;
	return false;
}

static int read_maps(struct reading *reading)
{
	struct audit_vm *vm = reading->vm;
	size_t left = 0;
	int r;

	free(vm->maps);
	vm->maps = NULL;
	vm->nmaps = 0;
	r = sys_each_map(vm->pid, take_map, reading);
	for (size_t i = 0; i < vm->nmaps; i++)
		if (!is_program(reading, &vm->maps[i]))
			vm->maps[left++] = vm->maps[i];
	vm->nmaps = left;
	free(reading->programs);
	reading->programs = NULL;
	return r;
}

int audit_read_maps(struct audit_vm *vm)
{
	struct reading reading = {.vm = vm};

	return read_maps(&reading);
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

/* ---- daemons -------------------------------------------------------------------------------- */

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The name of a process's program, without its folder; "" where it cannot be read. */
static void program_name(pid_t pid, char name[PATH_MAX])
{
	char path[PATH_MAX], *end;

	*name = '\0';
	if (sys_program(pid, path, sizeof(path)))
		return;
	end = strstr(path, " (deleted)");
	if (end && !end[10])
		*end = '\0';
	snprintf(name, PATH_MAX, "%s", base_of(path));
}

struct words {
	char dir[PATH_MAX];
	bool next;
};

static int take_word(const char *word, void *arg)
{
	struct words *words = arg;

	if (words->next)
		snprintf(words->dir, sizeof(words->dir), "%s", word);
	words->next = strcmp(word, "--runtime-dir") == 0;
	if (begins(word, "--runtime-dir="))
		snprintf(words->dir, sizeof(words->dir), "%s", word + 14);
	return 0;
}

static int add_daemon(struct audit *audit, const char *dir)
{
	struct audit_daemon *grown, d = {0};
	struct runtime runtime = {.chosen = true};

	snprintf(runtime.dir, sizeof(runtime.dir), "%s", dir);
	if (client_new(&d.client, &runtime))
		return -ENOMEM;
	if (client_try(d.client, &d.books, "/v1/audit")) {
		client_free(d.client);
		return -ENOENT;
	}
	d.pid = (pid_t)ask_number(d.books, "pid");
	for (size_t i = 0; i < audit->ndaemons; i++)
		if (audit->daemons[i].pid == d.pid) {
			client_free(d.client);
			json_decref(d.books);
			return 0;
		}
	grown = reallocarray(audit->daemons, audit->ndaemons + 1, sizeof(*grown));
	if (!grown || sys_process_uid(d.pid, &d.uid)) {
		if (grown)
			audit->daemons = grown;
		client_free(d.client);
		json_decref(d.books);
		return -ENOMEM;
	}
	audit->daemons = grown;
	audit->daemons[audit->ndaemons++] = d;
	return 0;
}

static int take_daemon(pid_t pid, void *arg)
{
	struct audit *audit = arg;
	struct words words = {.dir = SYSTEM_DIR};
	char name[PATH_MAX];

	program_name(pid, name);
	if (strcmp(name, "pshared") != 0)
		return 0;
	(void)sys_each_argument(pid, take_word, &words);
	if (words.dir[0] != '/' || add_daemon(audit, words.dir) == -ENOENT)
		audit_say(audit, "daemon", AUDIT_UNKNOWN, json_pack("[i]", (int)pid), 1,
			  "give --runtime-dir DIR",
			  "daemon %d does not answer in %s: its books are not known", (int)pid,
			  words.dir);
	return 0;
}

static int find_daemons(struct audit *audit)
{
	struct runtime runtime;
	int r = runtime_find(&runtime, audit->args);

	if (r)
		return -EINVAL;
	if (!runtime.chosen)
		return sys_each_process(take_daemon, audit);
	r = add_daemon(audit, runtime.dir);
	if (r == -ENOENT)
		audit_say(audit, "daemon", AUDIT_UNKNOWN, NULL, 0, NULL,
			  "no daemon answers in %s, or it is not ours to ask: its books are not "
			  "known",
			  runtime.dir);
	return r == -ENOMEM ? r : 0;
}

/* ---- VMs ------------------------------------------------------------------------------------ */

static bool is_believed(const struct audit_daemon *d, uid_t uid)
{
	uint32_t system = 0;

	return d->uid == 0 || d->uid == uid ||
	       (sys_user_id(SYSTEM_USER, &system) == 0 && d->uid == system);
}

/* What a daemon says of that process. */
static void find_account(struct audit *audit, struct audit_vm *vm)
{
	json_t *account;
	size_t k;

	for (size_t i = 0; i < audit->ndaemons && !vm->daemon; i++) {
		struct audit_daemon *d = &audit->daemons[i];

		if (!is_believed(d, vm->uid))
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

	program_name(pid, name);
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
	(void)sys_each_fd(vm->pid, take_target, &kvm);
	return kvm || is_vmm_program(vm->pid);
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
	struct audit_vm vm = {.pid = pid, .pagemap = -1};
	struct reading reading = {.vm = &vm};
	char comm[SYS_COMM_MAX], program[PATH_MAX];
	int r;

	if (sys_process_uid(pid, &vm.uid) || sys_comm(pid, comm))
		return 0;
	program_name(pid, program);
	if (!*program)
		return 0; /* a thread of the kernel's */
	snprintf(vm.name, sizeof(vm.name), "%s-%d", comm, (int)pid);
	find_account(audit, &vm);
	vm.pagemap = sys_pagemap_of(pid);
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
	for (size_t i = 0; i < audit->ndaemons; i++) {
		json_t *books = NULL;

		if (client_try(audit->daemons[i].client, &books, "/v1/audit"))
			continue; /* it has ended: what it said last stands */
		json_decref(audit->daemons[i].books);
		audit->daemons[i].books = books;
	}
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
	int r = find_daemons(audit);

	if (!r)
		r = sys_each_process(take_process, audit);
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
	for (size_t i = 0; i < audit->ndaemons; i++) {
		client_free(audit->daemons[i].client);
		json_decref(audit->daemons[i].books);
	}
	free(audit->vms);
	free(audit->daemons);
	json_decref(audit->findings);
}
