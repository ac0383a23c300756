/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * proxmox-host: how a VM that Proxmox VE starts gets the agent.
 *
 * qm and the web interface start QEMU by one list of words, whose first is /usr/bin/kvm, in a
 * process of their own that has entered the VM's scope (PVE::QemuServer, vm_start_nolock). A VM's
 * configuration can add words to it ("args"), and no variable of the environment; a hookscript runs
 * beside it, not before it; the scope has no environment either. So what is at /usr/bin/kvm is a
 * short script, which sets LD_PRELOAD for VMs with our tag and in any case becomes QEMU. The real
 * one is a diversion of dpkg's, so that an upgrade of QEMU's package finds its place.
 *
 * Invariants:
 *  - at no moment is there no /usr/bin/kvm: it is replaced by rename(), there and back;
 *  - what the script cannot find out, it leaves out: QEMU starts without the agent, never not. It
 *    stands by itself, so it works on when pshare has been removed;
 *  - QEMU's argv[0] stays /usr/bin/kvm: by it and by "-id" Proxmox VE knows its VMs.
 *
 * A VM that is migrated to this host is started here while its configuration is still the other
 * node's: so it is looked for in all of them.
 *
 * Rejected: LD_PRELOAD in drop-ins of pvedaemon and pve-guests (every program that they start gets
 * it, "qm start" in a shell does not); /etc/ld.so.preload; a binfmt; a patch of QemuServer.pm.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/proxmox.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/path.h"
#include "sys/run.h"

#define WRAPPER_MAX (64u << 10)
#define NEW_KVM "/usr/bin/kvm.pshare-new"
#define MARK "# Made by 'pshare proxmox enable', undone by 'pshare proxmox disable'.\n"

/* %s: mark, agent, daemon's folder. */
static const char wrapper[] = "#!/bin/bash\n"
			      "%s"
			      "# QEMU of a VM that has the tag \"" PVE_TAG
			      "\" starts with pshare's agent in it; all else,\n"
			      "# and where anything is lacking here, as it always did.\n"
			      "agent='%s'\n"
			      "runtime='%s'\n"
			      "id=\n"
			      "for ((i = 1; i < $#; i++)); do\n"
			      "\tif [[ ${!i} == -id ]]; then\n"
			      "\t\ti=$((i + 1))\n"
			      "\t\tid=${!i}\n"
			      "\t\tbreak\n"
			      "\tfi\n"
			      "done\n"
			      "\n"
			      "tagged() {\n"
			      "\tlocal line tags=\n"
			      "\twhile IFS= read -r line || [[ -n $line ]]; do\n"
			      "\t\t[[ $line != '['* ]] || break\n"
			      "\t\t[[ $line != tags:* ]] || tags=${line#tags:}\n"
			      "\tdone <\"$1\"\n"
			      "\t[[ \";$tags;\" =~ [\\;,[:space:]]" PVE_TAG "[\\;,[:space:]] ]]\n"
			      "}\n"
			      "\n"
			      "if [[ $id =~ ^[0-9]+$ && -r $agent ]]; then\n"
			      "\tfor conf in " PVE_CONFS
			      "/$id.conf /etc/pve/nodes/*/qemu-server/$id.conf; do\n"
			      "\t\t[[ -r $conf ]] || continue\n"
			      "\t\tif tagged \"$conf\"; then\n"
			      "\t\t\texport LD_PRELOAD=$agent${LD_PRELOAD:+:$LD_PRELOAD}\n"
			      "\t\t\texport PSHARE_RUNTIME_DIR=$runtime PSHARE_NAME=$id\n"
			      "\t\t\tsalt=" PVE_SALTS "/$id.salt\n"
			      "\t\t\t[[ ! -e $salt ]] || export PSHARE_SALT_FILE=$salt\n"
			      "\t\tfi\n"
			      "\t\tbreak\n"
			      "\tdone\n"
			      "fi\n"
			      "exec -a \"$0\" " PVE_REAL_KVM " \"$@\"\n";

static int make_text(const struct proxmox *proxmox, char **text)
{
	if (strchr(proxmox->agent, '\'') || strchr(proxmox->runtime.dir, '\''))
		return say_error(CLI_FAILED, "a path with a quote in it: %s, %s", proxmox->agent,
				 proxmox->runtime.dir);
	if (asprintf(text, wrapper, MARK, proxmox->agent, proxmox->runtime.dir) < 0)
		return say_error(CLI_FAILED, "out of memory");
	return 0;
}

enum proxmox_wrapper proxmox_wrapper_look(const struct proxmox *proxmox)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *wanted = NULL;
	struct sys_file file;

	if (sys_read_text(PVE_KVM, WRAPPER_MAX, &text) || !strstr(text, MARK))
		return WRAPPER_NONE;
	if (sys_file_look(PVE_REAL_KVM, &file))
		return WRAPPER_BROKEN;
	if (make_text(proxmox, &wanted) || strcmp(text, wanted) != 0)
		return WRAPPER_OTHER;
	return WRAPPER_OK;
}

bool proxmox_wrapper_is_older(void)
{
	struct sys_file ours, real;

	return !sys_file_look(PVE_KVM, &ours) && !sys_file_look(PVE_REAL_KVM, &real) &&
	       ours.changed < real.changed;
}

/* "--no-rename": the files are ours to move, so that there always is one. */
static int divert(const char *what)
{
	const char *const argv[] = {"dpkg-divert", "--quiet", "--local", "--no-rename", "--divert",
				    PVE_REAL_KVM,  what,      PVE_KVM,	 NULL};
	struct sys_run run = {.max = WRAPPER_MAX};
	char path[PATH_MAX];
	int r = sys_find_program("dpkg-divert", path, sizeof(path));

	if (!r)
		r = sys_run(path, argv, &run);
	if (r)
		return say_error(CLI_FAILED, "dpkg-divert: %s", strerror(-r));
	free(run.output);
	if (run.status)
		return say_error(CLI_FAILED, "dpkg-divert %s: %s", what, run.errors);
	return 0;
}

static int say_file(const char *path, int r)
{
	return say_error(CLI_FAILED, "%s: %s", path, strerror(-r));
}

/* The real one has two names from here on, until the script takes the first. */
static int set_aside(void)
{
	struct sys_file file;
	int r = divert("--add");

	if (r || !sys_file_look(PVE_REAL_KVM, &file))
		return r;
	r = sys_file_link(PVE_KVM, PVE_REAL_KVM);
	return r ? say_file(PVE_REAL_KVM, r) : 0;
}

static int put_wrapper(const char *text)
{
	static const struct sys_file as = {.mode = 0755};
	int r;

	(void)sys_file_remove(NEW_KVM);
	r = sys_file_replace(NEW_KVM, text, strlen(text), &as);
	if (!r)
		r = sys_file_rename(NEW_KVM, PVE_KVM);
	return r ? say_file(PVE_KVM, r) : 0;
}

int proxmox_host_enable(struct proxmox *proxmox)
{
	_cleanup_free_ char *text = NULL;
	struct sys_file file;
	enum proxmox_wrapper have = proxmox_wrapper_look(proxmox);
	int r = make_text(proxmox, &text);

	if (r || have == WRAPPER_OK)
		return r;
	if (sys_file_look(PVE_KVM, &file))
		return say_error(CLI_FAILED, PVE_KVM " is not there: this is no Proxmox VE host");
	if (have == WRAPPER_BROKEN)
		return say_error(CLI_FAILED,
				 PVE_REAL_KVM " is gone: apt install --reinstall pve-qemu-kvm");
	if (!proxmox->journal.dry && have == WRAPPER_NONE)
		r = set_aside();
	if (!r && !proxmox->journal.dry)
		r = put_wrapper(text);
	if (!r)
		journal_change(&proxmox->journal, PVE_KVM,
			       "a script that gives tagged VMs the agent; QEMU's own is "
			       "diverted to " PVE_REAL_KVM);
	return r;
}

int proxmox_host_disable(struct proxmox *proxmox)
{
	enum proxmox_wrapper have = proxmox_wrapper_look(proxmox);
	int r = 0;

	if (have == WRAPPER_NONE)
		return 0;
	if (have == WRAPPER_BROKEN)
		return say_error(CLI_FAILED, PVE_REAL_KVM " is gone, so " PVE_KVM
							  " stays; apt install --reinstall "
							  "pve-qemu-kvm");
	if (!proxmox->journal.dry) {
		int moved = sys_file_rename(PVE_REAL_KVM, PVE_KVM);

		r = moved ? say_file(PVE_KVM, moved) : divert("--remove");
	}
	if (!r)
		journal_change(&proxmox->journal, PVE_KVM,
			       "QEMU's own again; the diversion is removed");
	return r;
}
