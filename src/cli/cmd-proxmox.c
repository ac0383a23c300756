/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * proxmox: a VM that Proxmox VE starts has the agent in it, or has it no more; and what is lacking.
 *
 * As with libvirt (cmd-libvirt.c): enable goes from the host to the VM, disable back; both may be
 * run again at any time; a VM that runs is not touched. A VM's configuration is edited under the
 * lock that qm takes for it, in one step, and not while an operation of Proxmox VE's has locked it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/agent-path.h"
#include "cli/proxmox.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/path.h"
#include "sys/proc.h"
#include "sys/self.h"

#define CONF_MAX (1u << 20)
#define VMID_MAX 10 /* digits */

void proxmox_conf_path(const char *vmid, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, PVE_CONFS "/%s.conf", vmid);
}

int proxmox_read(const char *vmid, char **text)
{
	char path[PATH_MAX];
	int r;

	proxmox_conf_path(vmid, path);
	r = sys_read_text(path, CONF_MAX, text);
	if (r == -ENOENT)
		return say_error(CLI_FAILED,
				 "no VM %s on this host: %s is not there; see 'qm list'", vmid,
				 path);
	return r ? say_error(CLI_FAILED, "%s: %s", path, strerror(-r)) : 0;
}

static bool is_vmid(const char *text)
{
	size_t length = strlen(text);

	return length && length <= VMID_MAX && strspn(text, "0123456789") == length;
}

int proxmox_each_tagged(int (*each)(const char *vmid, void *arg), void *arg)
{
	_cleanup_free_ char **names = NULL;
	int n = sys_folder_names(PVE_CONFS, "", ".conf", &names), r = 0;

	if (n < 0)
		return say_error(CLI_FAILED, PVE_CONFS ": %s", strerror(-n));
	for (int i = 0; !r && i < n; i++) {
		_cleanup_free_ char *text = NULL;
		struct pve_conf conf;

		names[i][strlen(names[i]) - strlen(".conf")] = '\0';
		if (!is_vmid(names[i]))
			continue;
		r = proxmox_read(names[i], &text);
		if (r)
			return r;
		pve_conf_look(text, &conf);
		if (conf.tagged)
			r = each(names[i], arg);
	}
	return r;
}

uint64_t proxmox_pid(const char *vmid)
{
	char path[PATH_MAX];
	uint64_t pid = 0;

	snprintf(path, sizeof(path), "/run/qemu-server/%s.pid", vmid);
	if (sys_read_u64(path, &pid) || pid > INT32_MAX || !sys_process_lives((pid_t)pid))
		return 0;
	return pid;
}

int proxmox_open(struct proxmox *proxmox, const struct args *args)
{
	const char *env = getenv("PSHARE_RUNTIME_DIR");
	struct sys_file file;
	int r;

	*proxmox = (struct proxmox){.args = args};
	if (sys_file_look(PVE_CONFS, &file))
		return say_error(CLI_FAILED,
				 PVE_CONFS " is not there: this is no Proxmox VE host, or "
					   "pve-cluster does not run");
	r = agent_find(proxmox->agent);
	if (r)
		return r;
	if (args->runtime_dir || (env && *env))
		return runtime_find_daemon(&proxmox->runtime, args);
	snprintf(proxmox->runtime.dir, sizeof(proxmox->runtime.dir), "/run/pshare");
	return 0;
}

/* ---- a VM that is edited --------------------------------------------------------------------- */

struct edit {
	struct proxmox proxmox;
	const char *vmid;
	char *text;
	struct pve_conf conf;
	int host_lock, lock;
};

static void edit_deinit(struct edit *edit)
{
	journal_free(&edit->proxmox.journal);
	free(edit->text);
	cleanup_close(&edit->lock);
	cleanup_close(&edit->host_lock);
}
#define _cleanup_edit_ _cleanup_(edit_deinit)

/* Whoever else of us edits the host; and qm, of this VM. */
static int take_locks(struct edit *edit)
{
	char path[PATH_MAX];

	if (edit->proxmox.journal.dry)
		return 0;
	edit->host_lock = sys_lock_folder("/usr/bin");
	if (edit->host_lock < 0)
		return say_error(CLI_FAILED, "/usr/bin: %s", strerror(-edit->host_lock));
	snprintf(path, sizeof(path), "/run/lock/qemu-server/lock-%s.conf", edit->vmid);
	if (sys_make_folders("/run/lock/qemu-server", 0755) == 0)
		edit->lock = sys_lock_file(path);
	if (edit->lock == -EWOULDBLOCK)
		return say_error(CLI_FAILED, "VM %s is being changed by qm; try again in a moment",
				 edit->vmid);
	return edit->lock < 0 ? say_error(CLI_FAILED, "%s: %s", path, strerror(-edit->lock)) : 0;
}

static int check_edit(const struct edit *edit)
{
	if (*edit->conf.lock)
		return say_error(CLI_FAILED,
				 "VM %s is locked (%s): try again when that is over; see 'qm "
				 "config %s'",
				 edit->vmid, edit->conf.lock, edit->vmid);
	if (edit->conf.tags_pending)
		return say_error(CLI_FAILED,
				 "VM %s has tags that are pending, which would take this one's "
				 "place: see 'qm pending %s'",
				 edit->vmid, edit->vmid);
	return 0;
}

static int edit_init(struct edit *edit, const struct args *args)
{
	int r;

	*edit = (struct edit){.vmid = args->operands[1], .lock = -1, .host_lock = -1};
	r = proxmox_open(&edit->proxmox, args);
	if (!r)
		r = journal_init(&edit->proxmox.journal, args);
	if (!r && !args->dry_run && sys_self_uid())
		r = say_error(CLI_FAILED, "files of the host are to be edited: run it as root (or "
					  "with --dry-run)");
	if (!r)
		r = take_locks(edit);
	if (!r)
		r = proxmox_read(edit->vmid, &edit->text);
	if (r)
		return r;
	pve_conf_look(edit->text, &edit->conf);
	return check_edit(edit);
}

static int write_conf(struct edit *edit, const char *text, const char *how)
{
	char path[PATH_MAX];

	proxmox_conf_path(edit->vmid, path);
	return journal_write(&edit->proxmox.journal, path, text, how);
}

static void then_start_anew(struct edit *edit, const char *why)
{
	char command[128];

	if (!proxmox_pid(edit->vmid))
		return;
	snprintf(command, sizeof(command), "qm shutdown %s && qm start %s", edit->vmid, edit->vmid);
	journal_then(&edit->proxmox.journal, command, why);
}

/* ---- the verbs ------------------------------------------------------------------------------- */

static int enable(const struct args *args)
{
	_cleanup_edit_ struct edit edit;
	_cleanup_free_ char *text = NULL;
	int r = edit_init(&edit, args);

	if (!r)
		r = proxmox_salt_enable(&edit.proxmox, edit.vmid);
	if (!r)
		r = proxmox_host_enable(&edit.proxmox);
	if (r)
		return r;
	r = pve_conf_tag(edit.text, &text);
	if (r == -ENOMEM)
		return say_error(CLI_FAILED, "out of memory");
	if (!r) {
		r = write_conf(&edit, text, "has the tag " PVE_TAG);
		if (r)
			return r;
		then_start_anew(&edit, "it runs as it was started");
	}
	if (edit.conf.unfit)
		say_error(0,
			  "warning: its memory cannot be shared as it is; see 'pshare proxmox "
			  "check %s'",
			  edit.vmid);
	return journal_end(&edit.proxmox.journal);
}

static int count_other(const char *vmid, void *arg)
{
	const struct edit *edit = arg;

	return strcmp(vmid, edit->vmid) != 0 ? -EEXIST : 0;
}

static int disable(const struct args *args)
{
	_cleanup_edit_ struct edit edit;
	_cleanup_free_ char *text = NULL;
	int r = edit_init(&edit, args);

	if (r)
		return r;
	r = pve_conf_untag(edit.text, &text);
	if (r == -ENOMEM)
		return say_error(CLI_FAILED, "out of memory");
	if (!r) {
		r = write_conf(&edit, text, "the tag " PVE_TAG " is taken out");
		if (r)
			return r;
		then_start_anew(&edit, "it runs as it was started, and shares until then");
	}
	r = proxmox_salt_disable(&edit.proxmox, edit.vmid);
	if (r)
		return r;
	/* the last of this host takes what all had in common along */
	r = proxmox_each_tagged(count_other, &edit);
	if (!r)
		r = proxmox_host_disable(&edit.proxmox);
	return r && r != -EEXIST ? r : journal_end(&edit.proxmox.journal);
}

static int check(const struct args *args)
{
	struct proxmox proxmox;
	int r;

	if (args->dry_run)
		return say_usage(args->command, "check changes nothing: --dry-run is not for it");
	r = proxmox_open(&proxmox, args);
	return r ? r : proxmox_check(&proxmox, args->operands[1]);
}

int cmd_proxmox(struct args *args)
{
	const char *verb = args->operands[0];
	bool enables = !strcmp(verb, "enable");

	if (!enables && (args->salt_file || args->salt_env || args->clear_salt))
		return say_usage(args->command, "a salt is for enable only");
	if (args->clear_salt && (args->salt_file || args->salt_env))
		return say_usage(args->command, "--clear-salt and a salt exclude each other");
	if (!enables && strcmp(verb, "disable") != 0 && strcmp(verb, "check") != 0)
		return say_usage(args->command, "'%.40s' is none of enable, disable, check", verb);
	if (args->noperands > 1 && !is_vmid(args->operands[1]))
		return say_usage(args->command,
				 "'%.40s' is no VMID: a number, as 'qm list' shows it",
				 args->operands[1]);
	if (!strcmp(verb, "check"))
		return check(args);
	if (args->noperands < 2)
		return say_usage(args->command, "which VM? pshare proxmox %s VMID", verb);
	return enables ? enable(args) : disable(args);
}
