/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands: all that --help says, and all that is accepted. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const struct command commands[] = {
	{
		.name = "run",
		.usage = "[--name N] [--salt-file F | --salt-env VAR] [--no-share] "
			 "[--forkable] [--qmp PATH] [--balloon] [--dry-run]\n"
			 "                  [--memory SIZE] [--set NAME=VALUE] [--runtime-dir DIR] "
			 "-- COMMAND...",
		.summary = "start a VMM whose memory is shared",
		.details =
			"COMMAND takes pshare's place: it has the same pid and nothing between\n"
			"it and its parent. Where no daemon answers, a private one is started; it\n"
			"ends by itself when its last VM has gone. A QEMU gets a QMP monitor of its\n"
			"own, in a folder of yours, by which its balloon is driven; what is added to\n"
			"its command line is said.\n"
			"--set gives it shares, a reservation or a limit from the start:\n"
			"--set sched.mem.min=512. A reservation that does not fit is refused, with\n"
			"the figures, and nothing is started.\n",
		.options = {OPT_NAME, OPT_SALT_FILE, OPT_SALT_ENV, OPT_NO_SHARE, OPT_FORKABLE,
			    OPT_QMP, OPT_BALLOON, OPT_DRY_RUN, OPT_MEMORY, OPT_SET,
			    OPT_RUNTIME_DIR},
		.min_operands = 1,
		.max_operands = -1,
		.run = cmd_run,
	},
	{
		.name = "list",
		.usage = "[--json] [--bytes] [--mem] [--watch [SECONDS]] "
			 "[--wait-settled [SECONDS]] [--runtime-dir DIR]",
		.summary = "a table of the VMs",
		.details =
			"SIZE memory that takes part, GRANT mapped, SHRD shared (zero pages too),\n"
			"SHRDSVD saved by it, ZERO zero pages, PRIV not shared, LARGE in huge\n"
			"pages, QUAR in quarantine, OVHD overhead, CPU seconds of the agent.\n"
			"--mem, as esxtop has it: CONS what the VM takes of the host, SZTGT what it is\n"
			"to have, ACTV its working set, MCTLSZ balloon, its target and maximum, STAGED\n"
			"and TWIN pages out in memory, CACHESZ compressed pages, SWCUR swapped, SWTGT\n"
			"what is to be out, %LAT time that accesses waited for pages to come in.\n"
			"While --watch runs on a terminal, q or Ctrl-C ends it.\n",
		.options = {OPT_JSON, OPT_BYTES, OPT_MEM, OPT_WATCH, OPT_WAIT_SETTLED,
			    OPT_RUNTIME_DIR},
		.run = cmd_list,
	},
	{
		.name = "top",
		.usage = "[--batch [--json]] [--delay SECONDS] [--iterations N] "
			 "[--runtime-dir DIR]",
		.summary = "esxtop's memory screen, in a terminal or as CSV",
		.details =
			"On a terminal h shows the keys: f chooses fields, p shows what a VM's memory is\n"
			"in as a picture, s sets the delay, q ends.\n"
			"--batch, -b, writes CSV as 'esxtop -b' does, for perfmon, esxplot and\n"
			"spreadsheets: a column for each figure of the host and of the VMs that are here\n"
			"when it begins, a line each delay. --delay is -d too, --iterations -n. With\n"
			"--json a line is an object instead: what the API says of host and VMs.\n",
		.options = {OPT_BATCH, OPT_JSON, OPT_DELAY, OPT_ITERATIONS, OPT_RUNTIME_DIR},
		.run = cmd_top,
	},
	{
		.name = "show",
		.usage = "VM [--json] [--bytes] [--runtime-dir DIR]",
		.summary = "all that is known of one VM",
		.options = {OPT_JSON, OPT_BYTES, OPT_RUNTIME_DIR},
		.min_operands = 1,
		.max_operands = 1,
		.run = cmd_show,
	},
	{
		.name = "fork",
		.usage =
			"P [--name C | --count N] [--template] [--disk-dir D]\n"
			"       [--personality FILE] [--no-start] [--salt-file F | --salt-env VAR] "
			"[--json] [--runtime-dir DIR]\n"
			"       pshare fork --undo P [--json] [--runtime-dir DIR]",
		.summary = "clones of a running VM that share its memory",
		.details =
			"P was started to be forked (see run). Its pages are made frames while it\n"
			"runs; it is stopped for a moment, its device state taken, its disks frozen\n"
			"(parent and children write to qcow2 deltas of their own); it goes on, and the\n"
			"children start. What fails leaves the parent as it was.\n",
		.options = {OPT_NAME, OPT_COUNT, OPT_TEMPLATE, OPT_DISK_DIR, OPT_PERSONALITY,
			    OPT_NO_START, OPT_UNDO, OPT_SALT_FILE, OPT_SALT_ENV, OPT_JSON,
			    OPT_RUNTIME_DIR},
		.min_operands = 1,
		.max_operands = 1,
		.run = cmd_fork,
	},
	{
		.name = "balloon",
		.usage = "VM [SIZE | none] [--force] [--json] [--runtime-dir DIR]",
		.summary = "a VM's balloon, or how large it is to be at least",
		.details =
			"SIZE in MiB, or with K, M, G or T; none gives back what was taken so. The\n"
			"balloon grows step by step, never below what the guest needs and a reserve\n"
			"(but for --force, with which it is not given back either when the guest runs\n"
			"short), and not beyond Mem.CtlMaxPercent. Returns at once; look with\n"
			"'pshare show'.\n",
		.options = {OPT_FORCE, OPT_JSON, OPT_RUNTIME_DIR},
		.min_operands = 1,
		.max_operands = 2,
		.run = cmd_balloon,
	},
	{
		.name = "status",
		.usage = "[--json] [--bytes] [--runtime-dir DIR]",
		.summary = "the host: what is shared, what it costs",
		.options = {OPT_JSON, OPT_BYTES, OPT_RUNTIME_DIR},
		.run = cmd_status,
	},
	{
		.name = "get",
		.usage = "[NAME] [--vm VM] [--json] [--runtime-dir DIR]",
		.summary = "one setting, or all of the host or of a VM",
		.options = {OPT_VM, OPT_JSON, OPT_RUNTIME_DIR},
		.max_operands = 1,
		.run = cmd_get,
	},
	{
		.name = "set",
		.usage = "[--vm VM] NAME VALUE [--runtime-dir DIR]\n"
			 "       pshare set --vm VM sched.mem.pshare.salt "
			 "{--salt-file F | --salt-env VAR | --clear-salt}\n"
			 "       pshare set NAME --reset [--runtime-dir DIR]",
		.summary = "change a setting; returns when it is in force",
		.details =
			"A setting of the host is kept over a restart of the daemon; 'pshare get' says\n"
			"where. A salt is a secret and is never taken from the command line, which\n"
			"other users can read.\n",
		.options = {OPT_VM, OPT_SALT_FILE, OPT_SALT_ENV, OPT_CLEAR_SALT, OPT_RESET,
			    OPT_RUNTIME_DIR},
		.min_operands = 1,
		.max_operands = 2,
		.run = cmd_set,
	},
	{
		.name = "log",
		.usage = "[--lines N] [--follow] [--json] [--runtime-dir DIR]\n"
			 "       pshare log --verify [FOLDER] [--json] [--runtime-dir DIR]",
		.summary = "who changed what, and when",
		.details =
			"Takes the role 'operate'. --verify reads the files themselves, in FOLDER or\n"
			"where the daemon has them; it exits with 1 if a record is not what it was, or\n"
			"could not be written. The last one is vouched for by its daemon alone.\n",
		.options = {OPT_LINES, OPT_FOLLOW, OPT_VERIFY, OPT_JSON, OPT_RUNTIME_DIR},
		.max_operands = 1,
		.run = cmd_log,
	},
	{
		.name = "reclaim",
		.usage = "VM SIZE [--json] [--runtime-dir DIR]",
		.summary = "have a VM give memory back now",
		.details =
			"SIZE in MiB, or with K, M, G or T. Cold pages first, by the same means and in\n"
			"the same order as under pressure. Exits with 1 if less could be had.\n",
		.options = {OPT_JSON, OPT_RUNTIME_DIR},
		.min_operands = 2,
		.max_operands = 2,
		.run = cmd_memory,
	},
	{
		.name = "suspend",
		.usage = "VM [--json] [--runtime-dir DIR]",
		.summary = "push an idle VM out of memory as far as it goes",
		.details = "It goes on running: what it touches comes back.\n",
		.options = {OPT_JSON, OPT_RUNTIME_DIR},
		.min_operands = 1,
		.max_operands = 1,
		.run = cmd_memory,
	},
	{
		.name = "resume",
		.usage = "VM [--json] [--runtime-dir DIR]",
		.summary = "bring all of a VM back, ahead of use",
		.options = {OPT_JSON, OPT_RUNTIME_DIR},
		.min_operands = 1,
		.max_operands = 1,
		.run = cmd_memory,
	},
	{
		.name = "doctor",
		.usage = "[--json] [--pid PID | --hardening] [--runtime-dir DIR]",
		.summary = "what this host, or a process, lacks for sharing",
		.details = "Exits with 0 if nothing is missing, with 1 if something is.\n",
		.options = {OPT_JSON, OPT_PID, OPT_HARDENING, OPT_RUNTIME_DIR},
		.run = cmd_doctor,
	},
	{
		.name = "audit",
		.usage = "[--json] [--runtime-dir DIR]",
		.summary = "from page frames: does memory cross between VMs that may not share?",
		.details =
			"Reads the page tables of every VM of the host, managed or not, and believes\n"
			"no books: frames in common, KSM, descriptors to stores, salts that others may\n"
			"read, files that serve several VMs as memory, the daemon's books against the\n"
			"frames. As root. Exits with 1 on a violation, with 3 if there is none but not\n"
			"all could be looked at.\n",
		.options = {OPT_JSON, OPT_RUNTIME_DIR},
		.run = cmd_audit,
	},
	{
		.name = "libvirt",
		.usage =
			"{enable | disable} DOMAIN [--salt-file F | --salt-env VAR | --clear-salt]\n"
			"       [--connect URI] [--dry-run] [--json] [--runtime-dir DIR]\n"
			"       pshare libvirt check [DOMAIN] [--connect URI] [--json] "
			"[--runtime-dir DIR]",
		.summary = "have libvirt start a domain with the agent",
		.details =
			"enable   the domain starts with the agent from now on: its XML, and once for\n"
			"         all domains qemu.conf, AppArmor's profile and the rights on\n"
			"         /dev/userfaultfd. Each change is printed. A VM that runs is not touched\n"
			"disable  all of it as it was; what domains share goes with the last\n"
			"check    each condition, and the command that mends it; without DOMAIN those of\n"
			"         all that are enabled. Exits with 1 if one is not met\n",
		.options = {OPT_CONNECT, OPT_SALT_FILE, OPT_SALT_ENV, OPT_CLEAR_SALT, OPT_DRY_RUN,
			    OPT_JSON, OPT_RUNTIME_DIR},
		.min_operands = 1,
		.max_operands = 2,
		.run = cmd_libvirt,
	},
	{
		.name = "proxmox",
		.usage = "{enable | disable} VMID [--salt-file F | --salt-env VAR | --clear-salt]\n"
			 "       [--dry-run] [--json] [--runtime-dir DIR]\n"
			 "       pshare proxmox check [VMID] [--json] [--runtime-dir DIR]",
		.summary = "have Proxmox VE start a VM with the agent",
		.details =
			"enable   the VM starts with the agent from now on: the tag pshare in its\n"
			"         configuration, and once for all VMs a script in the place of\n"
			"         /usr/bin/kvm, which goes by it. A VM that runs is not touched\n"
			"disable  all of it as it was; what VMs share goes with the last of this host\n"
			"check    each condition, and the command that mends it; without VMID those of\n"
			"         all that are enabled. Exits with 1 if one is not met\n",
		.options = {OPT_SALT_FILE, OPT_SALT_ENV, OPT_CLEAR_SALT, OPT_DRY_RUN, OPT_JSON,
			    OPT_RUNTIME_DIR},
		.min_operands = 1,
		.max_operands = 2,
		.run = cmd_proxmox,
	},
	{
		.name = "fleet",
		.usage = "hosts [--json] [--config FILE]\n"
			 "       pshare fleet get [NAME] [--json] [--config FILE]\n"
			 "       pshare fleet set NAME VALUE [--host PATTERN] [--canary N] "
			 "[--timeout SECONDS]\n"
			 "                        [--json] [--config FILE]\n"
			 "       pshare fleet history [NAME] [--lines N] [--json] [--config FILE]\n"
			 "       pshare fleet audit [--host PATTERN] [--timeout SECONDS] [--json] "
			 "[--config FILE]\n"
			 "       pshare fleet drain HOST --dry-run [--json] [--config FILE]",
		.summary = "settings of many hosts, and room for their VMs when hosts fail",
		.details =
			"hosts    the hosts of the fleet, those that are connected first\n"
			"get      a setting on each host: in force, desired, where from, since when;\n"
			"         or a rule of the fleet; without NAME what is desired at all\n"
			"set      sets it on every host (or those that match); returns when every\n"
			"         connected host has confirmed, and lists who has not (1 then)\n"
			"history  the last changes: when, who, what, before and after\n"
			"audit    has every connected host audit itself, and gathers what it found\n"
			"drain    where the VMs of a host would fit\n",
		.options = {OPT_CONFIG, OPT_HOST, OPT_CANARY, OPT_TIMEOUT, OPT_DRY_RUN, OPT_LINES,
			    OPT_JSON},
		.min_operands = 1,
		.max_operands = 3,
		.run = cmd_fleet,
	},
	{
		.name = "plan",
		.usage = "[--fleet | --simulate FILE] [--add N] [--fail N] [--maintenance PATTERN] "
			 "[--price EUROS]\n"
			 "                   [--html FILE] [--placement] [--json] [--config FILE]\n"
			 "                   [--runtime-dir DIR]",
		.summary = "does the memory suffice, with sharing and without? changes nothing",
		.details =
			"What sharing saves, inside VMs, inside salts and across them; what each\n"
			"setting of Mem.ShareForceSalting would save or cost; what memory and how many\n"
			"hosts the VMs need with sharing and without it, today, with VMs more, with\n"
			"hosts in maintenance, with hosts failed; and where VMs had better live.\n",
		.options = {OPT_FLEET, OPT_SIMULATE, OPT_ADD, OPT_FAIL, OPT_MAINTENANCE, OPT_PRICE,
			    OPT_HTML, OPT_PLACEMENT, OPT_JSON, OPT_CONFIG, OPT_RUNTIME_DIR},
		.run = cmd_plan,
	},
	{
		.name = "help",
		.usage = "[COMMAND]",
		.summary = "this text, or that of a command",
		.max_operands = 1,
		.run = cmd_help,
	},
	{.name = NULL},
};

const struct command *command_find(const char *name)
{
	const struct command *command;

	for (command = commands; command->name; command++) {
		if (!strcmp(command->name, name))
			return command;
	}
	return NULL;
}

int cmd_help(struct args *args)
{
	const struct command *command;

	if (!args->noperands) {
		print_main_help();
		return CLI_OK;
	}
	command = command_find(args->operands[0]);
	if (!command)
		return say_error(CLI_USAGE, "unknown command '%.40s'; see 'pshare --help'",
				 args->operands[0]);
	print_help(command);
	return CLI_OK;
}
