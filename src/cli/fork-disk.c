/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fork-disk: a file that a VM writes to is frozen: from then on nobody writes to it, and parent and
 * children each write to a qcow2 delta of their own over it. That costs metadata, whatever the
 * disk's size. A file that is only read is shared as it is. No file is ever open for writing twice.
 *
 * The parent's delta is made by its QEMU (blockdev-snapshot-sync, all disks in one transaction), a
 * child's by qemu-img. The chain grows by a file with each fork of a running VM; a template's does
 * not. Undone it is by fork-merge.c.
 *
 * A transaction that QEMU refused was not done. One that it did not answer may be done yet, when
 * nobody listens any more: its deltas stay until QEMU says what it writes to.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fork.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/proc.h"
#include "sys/run.h"
#include "sys/vmproc.h"

#define DELTA_ROOM (1u << 20) /* what an empty delta takes, generously */
#define TRIES 10000u

/* ---- find --------------------------------------------------------------------------------- */

char *fork_whole_path(const struct fork *f, const char *path)
{
	char *text = NULL;

	if (path[0] == '/')
		return strdup(path);
	return asprintf(&text, "%s/%s", ask_text(f->record, "cwd"), path) < 0 ? NULL : text;
}

static int take_names(struct fork_disk *disk, const json_t *image)
{
	size_t n = 0;

	for (; json_is_object(image) && n < FORK_NAMES_MAX;
	     image = json_object_get(image, "backing-image")) {
		disk->names[n] = strdup(ask_text(image, "filename"));
		if (!disk->names[n++])
			return say_error(CLI_FAILED, "out of memory");
	}
	return 0;
}

static int refuse(const struct fork *f, const char *device, const char *file, const char *why)
{
	return say_error(CLI_FAILED, "%s cannot be forked: disk %s (%s) %s", f->parent, device,
			 file, why);
}

/* A disk that is written to. */
static int add_disk(struct fork *f, const char *device, const json_t *in)
{
	const json_t *image = json_object_get(in, "image");
	const char *file = ask_text(image, "filename"), *format = ask_text(in, "drv");
	struct fork_disk *more, *disk;

	if (!strncmp(file, "json:", 5) || strstr(file, "://") || !strncmp(file, "nbd:", 4))
		return refuse(f, device, file,
			      "is no plain local file: such a disk can only be "
			      "shared if it is read-only");
	if (strcmp(format, "raw") != 0 && strcmp(format, "qcow2") != 0)
		return refuse(f, device, file, "is neither raw nor qcow2");
	if (ask_true(json_object_get(in, "cache"), "no-flush"))
		return refuse(f, device, file,
			      "is used without flush (cache=unsafe): it would be "
			      "frozen half written; use cache=writeback");
	more = realloc(f->disk, (f->ndisks + 1) * sizeof(*more));
	if (!more)
		return say_error(CLI_FAILED, "out of memory");
	f->disk = more;
	disk = &more[f->ndisks++];
	*disk = (struct fork_disk){
		.device = strdup(device),
		.node = strdup(ask_text(in, "node-name")),
		.top = fork_whole_path(f, file),
		.format = strdup(format),
	};
	if (!disk->device || !disk->node || !disk->top || !disk->format)
		return say_error(CLI_FAILED, "out of memory");
	return take_names(disk, image);
}

/* Its name, where it is plugged in. */
static const char *disk_name(const json_t *block)
{
	const char *device = ask_text(block, "device");

	return *device ? device : ask_text(block, "qdev");
}

/* Is a disk that is written to another disk as well? Each would go on in a delta of its own, and
 * what one writes would not be the other's any more; or the other one would stay as it is now. */
static int check_twice(const struct fork *f, const json_t *blocks)
{
	for (size_t i = 0; i < f->ndisks; i++) {
		const struct fork_disk *disk = &f->disk[i];
		const json_t *block;
		size_t k;

		json_array_foreach((json_t *)(uintptr_t)blocks, k, block)
		{
			const json_t *in = json_object_get(block, "inserted");
			_cleanup_free_ char *path = NULL;

			if (k == disk->block || !json_is_object(in))
				continue;
			path = fork_whole_path(f,
					       ask_text(json_object_get(in, "image"), "filename"));
			if (!path)
				return say_error(CLI_FAILED, "out of memory");
			if (sys_same_file(path, disk->top) > 0)
				return say_error(
					CLI_FAILED,
					"%s cannot be forked: %s is two disks, %s and %s: "
					"after a fork neither would have what the other one "
					"writes; give each a file of its own",
					f->parent, disk->top,
					disk_name(json_array_get(blocks, disk->block)),
					disk_name(block));
		}
	}
	return 0;
}

int fork_disks_find(struct fork *f)
{
	_cleanup_json_ json_t *blocks = NULL;
	const json_t *block;
	size_t i;
	int r = fork_qmp(f, f->qmp, f->parent, "query-block", NULL, -1, &blocks);

	if (r)
		return r;
	json_array_foreach(blocks, i, block)
	{
		const json_t *in = json_object_get(block, "inserted");

		if (!json_is_object(in) || ask_true(in, "ro"))
			continue;
		r = add_disk(f, ask_text(block, "device"), in);
		if (r)
			return r;
		f->disk[f->ndisks - 1].block = i;
	}
	return check_twice(f, blocks);
}

/* ---- freeze ------------------------------------------------------------------------------- */

/* Has another disk that name? Two may be called the same, in two folders. */
static bool is_named(const struct fork *f, char *const *path)
{
	for (size_t i = 0; i < f->ndisks; i++)
		if (&f->disk[i].delta != path && f->disk[i].delta &&
		    !strcmp(f->disk[i].delta, *path))
			return true;
	return false;
}

/* A file name that nothing has yet. */
static int new_name(const struct fork *f, const struct fork_disk *disk, const char *vm, char **path)
{
	const char *base = strrchr(disk->top, '/') + 1;
	int folder = (int)(base - disk->top);

	for (unsigned int i = 1; i < TRIES; i++) {
		if ((f->args->disk_dir ?
			     asprintf(path, "%s/%s.%s.%u", f->args->disk_dir, base, vm, i) :
			     asprintf(path, "%.*s%s.%s.%u", folder, disk->top, base, vm, i)) < 0)
			return say_error(CLI_FAILED, "out of memory");
		if (!is_named(f, path) && sys_file_exists(*path) == -ENOENT)
			return 0;
		free(*path);
		*path = NULL;
	}
	return say_error(CLI_FAILED, "%s: its folder has too many deltas", disk->top);
}

static int check_room(const char *file)
{
	uint64_t free_bytes;
	char folder[PATH_MAX];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", file);
	slash = strrchr(folder, '/');
	if (slash)
		*(slash == folder ? slash + 1 : slash) = '\0';
	if (sys_free_space(folder, &free_bytes) || free_bytes >= DELTA_ROOM)
		return 0;
	return say_error(CLI_FAILED,
			 "%s: no room on its disk for a delta (%llu KiB are free); give "
			 "--disk-dir",
			 folder, (unsigned long long)(free_bytes >> 10));
}

int fork_disks_name(struct fork *f)
{
	int r = 0;

	for (size_t i = 0; !r && i < f->ndisks; i++) {
		r = new_name(f, &f->disk[i], f->parent, &f->disk[i].delta);
		if (!r)
			r = check_room(f->disk[i].delta);
	}
	return r;
}

int fork_disks_freeze(struct fork *f)
{
	json_t *actions = json_array();
	int r = 0;

	for (size_t i = 0; i < f->ndisks; i++) {
		struct fork_disk *disk = &f->disk[i];
		json_t *data = json_pack("{s:s, s:s, s:s}", "snapshot-file", disk->delta, "format",
					 "qcow2", *disk->device ? "device" : "node-name",
					 *disk->device ? disk->device : disk->node);
		if (!*disk->device) {
			char name[32];

			snprintf(name, sizeof(name), "pshare-%llx",
				 (unsigned long long)(sys_now() & 0xffffffffff) + i);
			json_object_set_new(data, "snapshot-node-name", json_string(name));
			free(disk->node);
			disk->node = strdup(name);
		}
		json_array_append_new(actions, json_pack("{s:s, s:o}", "type",
							 "blockdev-snapshot-sync", "data", data));
	}
	if (!f->ndisks) {
		json_decref(actions);
		return 0;
	}
	r = qmp_command_with(f->qmp, "transaction", json_pack("{s:o}", "actions", actions), -1,
			     FORK_QMP_MS, NULL);
	for (size_t i = 0; i < f->ndisks; i++) {
		if (r == -EREMOTEIO) /* it may have made some of them before it failed */
			(void)sys_file_remove(f->disk[i].delta);
		f->disk[i].frozen = r != -EREMOTEIO;
	}
	return r ? fork_qmp_failed(f->qmp, f->parent, "transaction", r) : 0;
}

/* ---- a child's ---------------------------------------------------------------------------- */

int fork_disk_delta(struct fork *f, size_t i, struct child *c)
{
	const struct fork_disk *disk = &f->disk[i];
	char program[PATH_MAX];
	struct sys_run run = {.max = 65536};
	int r = sys_find_program("qemu-img", program, sizeof(program));

	if (r)
		return say_error(CLI_FAILED, "qemu-img is not installed: it makes the deltas of "
					     "disks (Debian: qemu-utils)");
	r = new_name(f, disk, c->name, &c->deltas[i]);
	if (!r)
		r = check_room(c->deltas[i]);
	if (!r)
		r = fork_note_child(f, c);
	if (r)
		return r;
	r = sys_run(program,
		    (const char *[]){"qemu-img", "create", "-q", "-f", "qcow2", "-F", disk->format,
				     "-b", disk->top, c->deltas[i], NULL},
		    &run);
	free(run.output);
	if (r)
		return say_error(CLI_FAILED, "qemu-img: %s", strerror(-r));
	return run.status ?
		       say_error(CLI_FAILED, "qemu-img create %s: %s", c->deltas[i], run.errors) :
		       0;
}

/* ---- notes -------------------------------------------------------------------------------- */

json_t *fork_disks_note(const struct fork *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->ndisks; i++) {
		const struct fork_disk *disk = &f->disk[i];
		json_t *names = json_array();

		for (size_t k = 0; disk->names[k]; k++)
			json_array_append_new(names, json_string(disk->names[k]));
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:o, s:s, s:s, s:s}", "device",
						disk->device, "node", disk->node, "names", names,
						"top", disk->top, "format", disk->format, "delta",
						disk->delta ? disk->delta : ""));
	}
	return list;
}

/* A disk is frozen if its delta is what the parent writes to. */
int fork_disks_recall(struct fork *f, const json_t *note)
{
	const json_t *one, *name;
	size_t i, k;

	fork_disks_free(f);
	f->disk = calloc(json_array_size(note) + 1, sizeof(*f->disk));
	if (!f->disk)
		return say_error(CLI_FAILED, "out of memory");
	json_array_foreach((json_t *)(uintptr_t)note, i, one)
	{
		struct fork_disk *disk = &f->disk[f->ndisks++];

		*disk = (struct fork_disk){
			.device = strdup(ask_text(one, "device")),
			.node = strdup(ask_text(one, "node")),
			.top = strdup(ask_text(one, "top")),
			.format = strdup(ask_text(one, "format")),
			.delta = strdup(ask_text(one, "delta")),
		};
		json_array_foreach(json_object_get(one, "names"), k, name) if (k < FORK_NAMES_MAX)
			disk->names[k] = strdup(json_string_value(name));
		if (!disk->device || !disk->node || !disk->top || !disk->format || !disk->delta)
			return say_error(CLI_FAILED, "out of memory");
		disk->frozen = *disk->delta && !sys_file_exists(disk->delta);
	}
	return 0;
}

void fork_disks_free(struct fork *f)
{
	for (size_t i = 0; i < f->ndisks; i++) {
		struct fork_disk *disk = &f->disk[i];

		free(disk->device);
		free(disk->node);
		free(disk->top);
		free(disk->format);
		free(disk->delta);
		for (size_t k = 0; disk->names[k]; k++)
			free(disk->names[k]);
	}
	free(f->disk);
	f->disk = NULL;
	f->ndisks = 0;
}
