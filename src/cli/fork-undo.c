/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fork-undo: --undo. A template runs on, what an interrupted fork left goes, and what the parent
 * wrote since goes into the files that it had.
 *
 * A frozen file is under the disks of all that descend from the VM: of children, of theirs, and so
 * on. Nothing is written to it while one of them lives, or that one's disk would be something else
 * from one moment to the next. So each child's record names all VMs above it: whoever lives is
 * found by the folder that it has itself, whether its parent lives still or not.
 *
 * A child that an interrupted fork had begun is in the parent's record before it is started; it is
 * known by the folder in its environment, and ended. A folder is removed only if it is still that
 * child's: a name may be another VM's by now.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/fork.h"
#include "cli/vm-folder.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/look.h"
#include "sys/proc.h"
#include "sys/vmproc.h"

#define END_MS 5000u

json_t *fork_above(const struct fork *f)
{
	json_t *above = json_deep_copy(json_object_get(f->record, "above"));

	if (!above)
		above = json_array();
	json_array_append_new(above,
			      json_pack("{s:s, s:i}", "folder", f->folder, "pid", (int)f->pid));
	return above;
}

/* ---- who descends from it ----------------------------------------------------------------- */

struct descent {
	struct fork *f;
	char folders[PATH_MAX]; /* where those of all VMs are */
	int (*see)(struct fork *f, const char *folder, const json_t *record);
	int result;
};

static bool descends(const struct fork *f, const json_t *record)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(record, "above"), i,
			   one) if (!strcmp(ask_text(one, "folder"), f->folder) &&
				    (pid_t)ask_number(one, "pid") == f->pid) return true;
	return false;
}

static void look_at(const char *name, void *arg)
{
	struct descent *d = arg;
	_cleanup_json_ json_t *record = NULL;
	char folder[PATH_MAX];

	if (d->result ||
	    snprintf(folder, sizeof(folder), "%s/%s", d->folders, name) >= (int)sizeof(folder))
		return;
	record = vm_record_read(folder);
	if (record && descends(d->f, record))
		d->result = d->see(d->f, folder, record);
}

static int each_descendant(struct fork *f,
			   int (*see)(struct fork *f, const char *folder, const json_t *record))
{
	struct descent d = {.f = f, .see = see};

	snprintf(d.folders, sizeof(d.folders), "%s", f->folder);
	*strrchr(d.folders, '/') = '\0';
	(void)sys_folder_each(d.folders, look_at, &d);
	return d.result;
}

/* ---- who lives ---------------------------------------------------------------------------- */

static int say_lives(const struct fork *f, const char *name, pid_t pid)
{
	return say_error(CLI_FAILED,
			 "%s: %s, process %d, still runs: end it first; its disks are made of %s's",
			 f->parent, name, (int)pid, f->parent);
}

static int must_be_dead(struct fork *f, const char *folder, const json_t *record)
{
	pid_t pid = (pid_t)ask_number(record, "pid");

	(void)folder;
	return pid > 0 && sys_process_lives(pid) ? say_lives(f, ask_text(record, "name"), pid) : 0;
}

static int check_children(struct fork *f)
{
	const json_t *fork, *child;
	size_t i, k;

	json_array_foreach(json_object_get(f->record, "forks"), i, fork)
		json_array_foreach(json_object_get(fork, "children"), k, child)
	{
		pid_t pid = (pid_t)ask_number(child, "pid");

		if (pid > 0 && sys_process_lives(pid))
			return say_lives(f, ask_text(child, "name"), pid);
	}
	return each_descendant(f, must_be_dead);
}

/* ---- what they had ------------------------------------------------------------------------ */

static void remove_deltas(const json_t *children)
{
	const json_t *child, *delta;
	size_t i, k;

	json_array_foreach((json_t *)(uintptr_t)children, i, child)
		json_array_foreach(json_object_get(child, "deltas"), k, delta)(void)
			sys_file_remove(json_string_value(delta));
}

/* Of a descendant that is gone: what it froze, and what its own children had. */
static int remove_descendant(struct fork *f, const char *folder, const json_t *record)
{
	const json_t *fork, *disk;
	size_t i, k;

	(void)f;
	json_array_foreach(json_object_get(record, "forks"), i, fork)
	{
		json_array_foreach(json_object_get(fork, "disks"), k, disk)(void)
			sys_file_remove(ask_text(disk, "delta"));
		remove_deltas(json_object_get(fork, "children"));
	}
	vm_folder_remove(folder);
	return 0;
}

/* The last fork first: its deltas lie on top. */
static int undo_forks(struct fork *f)
{
	json_t *forks = json_object_get(f->record, "forks");
	int r = 0;

	while (!r && json_array_size(forks)) {
		size_t last = json_array_size(forks) - 1;
		const json_t *fork = json_array_get(forks, last);

		r = fork_disks_recall(f, json_object_get(fork, "disks"));
		if (!r)
			r = fork_disks_merge(f);
		if (r)
			break;
		remove_deltas(json_object_get(fork, "children"));
		json_array_remove(forks, last);
		r = vm_record_write(f->folder, f->record);
	}
	return r ? r : each_descendant(f, remove_descendant);
}

/* ---- what an interrupted fork began ------------------------------------------------------- */

struct hunt {
	const char *folder;
	pid_t pid;
};

static int is_it(pid_t pid, void *arg)
{
	struct hunt *hunt = arg;
	char folder[PATH_MAX] = "";

	if (sys_process_variable(pid, VM_FOLDER_ENV, folder, sizeof(folder)) < 0 ||
	    strcmp(folder, hunt->folder) != 0)
		return 0;
	hunt->pid = pid;
	return 1;
}

static void end_begun(const json_t *children)
{
	const json_t *child;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)children, i, child)
	{
		struct hunt hunt = {.folder = ask_text(child, "folder")};

		(void)sys_each_process(is_it, &hunt);
		if (hunt.pid)
			(void)sys_vmm_end(hunt.pid, true);
		for (unsigned int ms = 0; hunt.pid && ms < END_MS && sys_process_lives(hunt.pid);
		     ms++)
			sys_sleep_ms(1);
		if (*hunt.folder)
			vm_folder_remove(hunt.folder);
	}
	remove_deltas(children);
}

static int undo_pending(struct fork *f)
{
	const json_t *pending = json_object_get(f->record, "pending");
	int r;

	if (!pending)
		return 0;
	r = fork_disks_recall(f, json_object_get(pending, "disks"));
	return r ? r : fork_disks_merge(f);
}

int fork_undo(struct fork *f)
{
	bool run = ask_true(json_object_get(f->record, "pending"), "was_running") ||
		   ask_true(json_object_get(f->record, "template"), "was_running");
	int r;

	f->capable = true; /* what was interrupted may have left it so */
	end_begun(json_object_get(json_object_get(f->record, "pending"), "children"));
	r = check_children(f);
	if (!r)
		r = fork_tell(f, "drop");
	if (!r && run && !f->was_running)
		r = fork_qmp(f, f->qmp, f->parent, "cont", NULL, -1, NULL);
	if (!r)
		r = undo_pending(f);
	if (r)
		return r;
	json_object_del(f->record, "pending");
	json_object_del(f->record, "template");
	(void)sys_file_remove(f->state);
	r = vm_record_write(f->folder, f->record);
	return r ? r : undo_forks(f);
}
