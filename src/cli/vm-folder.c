/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm-folder: RUNTIME/vms/NAME holds, of a VM that can be forked,
 *
 *	vm.json		its command line, program, RAM files: the record
 *	ram0 ...	the RAM files: empty for ever, what QEMU believes to be its RAM
 *	qmp.sock	the monitor that a fork talks to
 *	guest.sock	the channel to the guest
 *	qmp-PID.sock	of a child: the monitor that its balloon has
 *	state		of a template: its device state
 *
 * It belongs to the VM's user and to nobody else. Nobody removes it when the VM ends, for nobody of
 * ours is there then: whoever makes one removes those of VMs that are gone.
 */
#include "cli/vm-folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/file.h"
#include "sys/launch.h"
#include "sys/look.h"
#include "sys/path.h"
#include "sys/process.h"
#include "sys/vmproc.h"

#define RECORD "vm.json"
#define RECORD_MAX (4u << 20)
#define SOCKET_MAX 108u

/* The folder may be named by a VM of another user's: what is no plain file is not waited for. */
json_t *vm_record_read(const char *folder)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	json_error_t error;
	size_t length;

	if (snprintf(path, sizeof(path), "%s/" RECORD, folder) >= (int)sizeof(path) ||
	    sys_read_bytes(path, RECORD_MAX, &text, &length))
		return NULL;
	return json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
}

int vm_record_write(const char *folder, const json_t *record)
{
	static const struct sys_file fresh = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0600};
	size_t length = json_dumpb(record, NULL, 0, JSON_INDENT(2));
	_cleanup_free_ char *text = malloc(length + 1);
	char path[PATH_MAX];
	int r;

	if (!text || snprintf(path, sizeof(path), "%s/" RECORD, folder) >= (int)sizeof(path))
		return say_error(CLI_FAILED, "out of memory");
	(void)json_dumpb(record, text, length, JSON_INDENT(2));
	r = sys_file_replace(path, text, length, &fresh);
	return r ? say_error(CLI_FAILED, "cannot write %s: %s", path, strerror(-r)) : 0;
}

/* The folder of a VM whose process is gone. */
static void sweep_one(const char *name, void *arg)
{
	_cleanup_json_ json_t *record = NULL;
	char folder[PATH_MAX];
	pid_t pid;

	if (snprintf(folder, sizeof(folder), "%s/%s", (const char *)arg, name) >=
	    (int)sizeof(folder))
		return;
	record = vm_record_read(folder);
	pid = (pid_t)ask_number(record, "pid");
	if (pid > 0 && !sys_process_lives(pid))
		(void)sys_folder_clear(folder);
}

/* The process of a VM that has this folder; 0: none. The daemon may not know it (any more). */
static pid_t who_has(const char *folder)
{
	_cleanup_json_ json_t *record = vm_record_read(folder);
	pid_t pid = (pid_t)ask_number(record, "pid");
	char has[PATH_MAX] = "";

	/* a pid comes again: what it began with tells */
	if (pid <= 0 || pid == sys_self_pid() ||
	    sys_process_variable(pid, VM_FOLDER_ENV, has, sizeof(has)) < 0)
		return 0;
	return strcmp(has, folder) == 0 ? pid : 0;
}

static int make_in(const char *parent, const char *name, char folder[PATH_MAX])
{
	int r = sys_make_folder_if_none(parent, 0711);

	if (r)
		return r;
	if (snprintf(folder, PATH_MAX, "%s/%s", parent, name) + sizeof("/qmp-4194304.sock") >
	    SOCKET_MAX)
		return -ENAMETOOLONG;
	(void)sys_folder_each(parent, sweep_one, (char *)(uintptr_t)parent);
	if (who_has(folder))
		return -EBUSY;
	(void)sys_folder_clear(folder);
	return sys_make_folder_if_none(folder, 0700);
}

int vm_folder_make(const struct runtime *runtime, const char *name, char folder[PATH_MAX])
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	char parent[PATH_MAX + 16];
	int r;

	snprintf(parent, sizeof(parent), "%s/vms", runtime->dir);
	r = make_in(parent, name, folder);
	if ((r == -EACCES || r == -EPERM) && xdg && *xdg == '/') {
		snprintf(parent, sizeof(parent), "%s/pshare-vms", xdg);
		r = make_in(parent, name, folder);
	}
	if (!r)
		return 0;
	if (r == -EBUSY)
		r = say_error(CLI_FAILED, "a VM named %s runs already, with pid %d", name,
			      (int)who_has(folder));
	else if (r == -ENAMETOOLONG)
		r = say_error(CLI_FAILED,
			      "%s/%s: too long for a socket in it; take a shorter name, or "
			      "--runtime-dir",
			      parent, name);
	else
		r = say_error(CLI_FAILED, "cannot make the folder %s/%s: %s", parent, name,
			      strerror(-r));
	folder[0] = '\0'; /* nobody is to remove it */
	return r;
}

int vm_folder_rams(const char *folder, unsigned int rams, char list[PATH_MAX])
{
	size_t at = 0;

	list[0] = '\0';
	for (unsigned int i = 0; i < rams; i++) {
		char path[PATH_MAX];
		int r = -ENAMETOOLONG;

		if (snprintf(path, sizeof(path), "%s/ram%u", folder, i) < (int)sizeof(path))
			r = sys_empty_file(path);
		if (r)
			return say_error(CLI_FAILED, "cannot make %s: %s", path, strerror(-r));
		at += (size_t)snprintf(list + at, PATH_MAX - at, "%s%s", i ? ":" : "", path);
		if (at >= PATH_MAX)
			return say_error(CLI_FAILED, "the names of the RAM files are too long");
	}
	return 0;
}

void vm_folder_remove(const char *folder)
{
	(void)sys_folder_clear(folder);
}
