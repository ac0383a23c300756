/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fork-open: which VM is to be forked, and can it be? All that is against it is found before
 * anything is done to it: nothing is stopped, frozen or written yet.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/fork.h"
#include "cli/vm-folder.h"
#include "sys/look.h"
#include "sys/proc.h"
#include "sys/self.h"
#include "sys/vmproc.h"

#define HOST_SPARE (64ull << 20)  /* memory that a fork leaves free */
#define CHILD_NEEDS (64ull << 20) /* of a QEMU besides its guest's memory */

/* ---- which VM ----------------------------------------------------------------------------- */

static int is_of_libvirt(const char *word, void *arg)
{
	(void)arg;
	return strstr(word, "/libvirt/qemu/") != NULL;
}

/* It was not started by 'pshare run --forkable'. */
static int refuse_stranger(const struct fork *f)
{
	if (sys_each_argument(f->pid, is_of_libvirt, NULL) > 0)
		return say_error(CLI_FAILED,
				 "%s cannot be forked: it is a domain of libvirt, which owns its "
				 "command line, its monitor and its disks; run QEMU by 'pshare run "
				 "--forkable' instead, or clone its disk (virt-clone)",
				 f->parent);
	return say_error(CLI_FAILED,
			 "%s cannot be forked: it was not started for that; start it by "
			 "'pshare run --forkable --name %s -- qemu-system-...'",
			 f->parent, f->parent);
}

/* What its record says is done by whoever forks: a program is run, files are made and removed. The
 * record is its user's to write. So root does that for VMs of root's alone. */
static int check_user(const struct fork *f)
{
	uid_t uid = 0;
	char name[64];

	if (sys_process_uid(f->pid, &uid) || uid == sys_self_uid())
		return 0; /* one that has ended is told of below */
	sys_user_name(uid, name, sizeof(name));
	return say_error(CLI_FAILED,
			 "%s cannot be forked: it is a VM of user %s, who can fork it: "
			 "setpriv --reuid %s --init-groups pshare fork %s",
			 f->parent, name, name, f->parent);
}

static int find_folder(struct fork *f)
{
	char folder[PATH_MAX] = "";
	int r;

	f->environ_length = sys_process_environ(f->pid, &f->environ);
	if (f->environ_length < 0)
		return say_error(CLI_FAILED,
				 "%s: process %d cannot be looked at: %s; its owner can "
				 "fork it",
				 f->parent, (int)f->pid, strerror((int)-f->environ_length));
	if (sys_process_variable(f->pid, VM_FOLDER_ENV, folder, sizeof(folder)) < 0)
		return refuse_stranger(f);
	r = check_user(f);
	if (r)
		return r;
	snprintf(f->folder, sizeof(f->folder), "%s", folder);
	snprintf(f->state, sizeof(f->state), "%.4000s/state", folder);
	f->record = vm_record_read(f->folder);
	return f->record ? 0 :
			   say_error(CLI_FAILED, "%s: its record %s/vm.json cannot be read",
				     f->parent, f->folder);
}

static int find_vm(struct fork *f)
{
	_cleanup_json_ json_t *vm = NULL;
	const char *why;
	int r = client_get(f->client, &vm, "/v1/vms/%s", f->parent, NULL);

	if (r)
		return r;
	f->pid = (pid_t)ask_number(vm, "pid");
	why = ask_text(vm, "reason");
	if (*why && strcmp(why, "large") != 0 && !f->args->undo)
		return say_error(CLI_FAILED, "%s cannot be forked: its memory is not shared: %s",
				 f->parent, ask_text(vm, "why"));
	return 0;
}

/* ---- can it be forked --------------------------------------------------------------------- */

json_t *fork_capability(bool on)
{
	return json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", "x-ignore-shared",
			 "state", (int)on);
}

static int set_capability(struct fork *f)
{
	int r = qmp_command(f->qmp, "migrate-set-capabilities", fork_capability(true), NULL);

	f->capable = !r;
	return r ? say_error(CLI_FAILED,
			     "%s cannot be forked: this QEMU does not give device state without "
			     "memory (x-ignore-shared: QEMU 4.0 or newer): %s",
			     f->parent, r == -EREMOTEIO ? qmp_error(f->qmp) : strerror(-r)) :
		   0;
}

/* Devices that cannot migrate say so. */
static int check_blockers(struct fork *f)
{
	_cleanup_json_ json_t *status = NULL;
	const json_t *reasons;
	int r = fork_qmp(f, f->qmp, f->parent, "query-migrate", NULL, -1, &status);

	if (r)
		return r;
	reasons = json_object_get(status, "blocked-reasons");
	if (json_array_size(reasons))
		return say_error(CLI_FAILED,
				 "%s cannot be forked: a device cannot migrate: %s; unplug it, or "
				 "start %s without it",
				 f->parent, json_string_value(json_array_get(reasons, 0)),
				 f->parent);
	return 0;
}

/* Has the command line a device of that id? A file of options may have any. */
static bool has_id(const json_t *argv, const char *id)
{
	const json_t *word;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)argv, i, word)
	{
		const char *text = json_string_value(word), *at = text;
		size_t n = strlen(id);

		if (!strcmp(text, "-readconfig"))
			return true;
		for (; (at = strstr(at, id)); at += n)
			if (at > text && strchr("=\"", at[-1]) && strchr(",\"", at[n]))
				return true; /* strchr() finds the end, too */
	}
	return false;
}

/* A child is started by the parent's command line: what was plugged in since is not in it, and its
 * state would find no device. */
static int check_plugged(struct fork *f)
{
	_cleanup_json_ json_t *devices = NULL;
	const json_t *argv = json_object_get(f->record, "argv"), *one;
	size_t i;
	int r = fork_qmp(f, f->qmp, f->parent, "qom-list",
			 json_pack("{s:s}", "path", "/machine/peripheral"), -1, &devices);

	if (r)
		return r;
	json_array_foreach(devices, i, one)
	{
		const char *id = ask_text(one, "name");

		if (strncmp(ask_text(one, "type"), "child<", 6) != 0 || has_id(argv, id))
			continue;
		return say_error(
			CLI_FAILED,
			"%s cannot be forked: device %s was plugged in after it was "
			"started, so a child would lack it; unplug it, or start %s with it",
			f->parent, id, f->parent);
	}
	return 0;
}

/* A child with another salt has a copy of all that the parent has. */
static uint64_t copy_needs(struct fork *f)
{
	_cleanup_json_ json_t *fork = NULL;

	if (!f->salt.bytes || client_look(f->client, &fork, "/v1/vms/%s/fork", f->parent))
		return 0;
	return ask_number(fork, "grant") - ask_number(fork, "zero");
}

static int check_memory(struct fork *f)
{
	uint64_t each = CHILD_NEEDS + copy_needs(f), wanted = HOST_SPARE + f->nchildren * each;
	struct sys_meminfo info;

	if (sys_meminfo(&info) || info.available >= wanted)
		return 0;
	return say_error(CLI_FAILED,
			 "%s cannot be forked: %" PRIu64 " MiB of memory are free, %" PRIu64
			 " MiB are needed for %u more QEMU, besides what the guests will write; "
			 "there is room for %" PRIu64,
			 f->parent, info.available >> 20, wanted >> 20, f->nchildren,
			 info.available > HOST_SPARE ?
				 (uint64_t)(info.available - HOST_SPARE) / each :
				 (uint64_t)0);
}

static int look_at_status(struct fork *f)
{
	_cleanup_json_ json_t *status = NULL, *fork = NULL;
	const json_t *template = json_object_get(f->record, "template");
	int r = fork_qmp(f, f->qmp, f->parent, "query-status", NULL, -1, &status);

	if (r)
		return r;
	f->was_running = ask_true(status, "running");
	f->has_helper = personality_port_open(f->qmp);
	if (!template || f->was_running)
		return 0;
	r = client_get(f->client, &fork, "/v1/vms/%s/fork", f->parent, NULL);
	if (r)
		return r;
	if (strcmp(ask_text(fork, "state"), "ready") != 0 ||
	    ask_number(fork, "image") != ask_number(template, "image"))
		return 0; /* its daemon has gone: it is frozen anew */
	f->was_template = true;
	f->image = ask_number(fork, "image");
	return fork_disks_recall(f, json_object_get(template, "disks"));
}

int fork_open(struct fork *f, struct args *args)
{
	int r;

	*f = (struct fork){.args = args, .parent = args->operands[0]};
	r = salt_read(&f->salt, args);
	if (r)
		return r;
	f->nchildren = args->undo ? 0 : args->count ? args->count : 1;
	r = runtime_find_daemon(&f->runtime, args);
	if (!r)
		r = client_new(&f->client, &f->runtime);
	if (!r)
		r = find_vm(f);
	if (!r)
		r = find_folder(f);
	if (!r)
		r = personality_read(f);
	if (!r)
		r = fork_connect(f);
	if (!r)
		r = look_at_status(f);
	if (r || args->undo)
		return r;
	if (json_object_get(f->record, "pending"))
		return say_error(CLI_FAILED,
				 "%s: a fork of it was interrupted; 'pshare fork --undo %s' mends "
				 "what it left",
				 f->parent, f->parent);
	r = check_memory(f);
	if (r || f->was_template)
		return r;
	r = set_capability(f);
	if (!r)
		r = check_blockers(f);
	if (!r)
		r = check_plugged(f);
	if (!r)
		r = fork_disks_find(f);
	return r ? r : fork_check_words(f);
}
