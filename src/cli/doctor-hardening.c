/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * doctor-hardening: is this host set up as the guides for hardening want a hypervisor to be, as far
 * as memory sharing is concerned? Each check names the rule of DISA's STIG for ESX (8.0) or of
 * CIS's benchmark (8) that it answers to; SECURITY.md has all of them, with what does not apply.
 *
 * "missing" is what a guide calls a finding; "note" what it wants looked at, or what is the host's
 * to decide. What is the daemon's own (its user, rights, filter) is read of the running process,
 * not of its unit.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/salt-files.h"
#include "cli/swap-crypt.h"
#include "cli/weakness.h"
#include "sys/look.h"
#include "sys/outside.h"
#include "sys/path.h"
#include "sys/proc.h"
#include "sys/secret.h"

#define TEXT_BYTES 512
#define VULNERABILITIES "/sys/devices/system/cpu/vulnerabilities"

/* ---- settings of ours ----------------------------------------------------------------------- */

static void check_salting(struct report *report, const json_t *host)
{
	uint64_t salting = ask_number(json_object_get(host, "settings"), "Mem.ShareForceSalting");

	if (salting == 2)
		report_add(report, "Mem.ShareForceSalting", FINDING_OK, NULL,
			   "2 (STIG ESXI-80-000213, CIS 2.10)");
	else
		report_add(report, "Mem.ShareForceSalting", FINDING_MISSING,
			   "pshare set Mem.ShareForceSalting 2",
			   "%" PRIu64
			   ": VMs without a salt share with others (STIG ESXI-80-000213, "
			   "CIS 2.10)",
			   salting);
}

static void check_verify(struct report *report, const json_t *host)
{
	const json_t *settings = json_object_get(host, "settings"), *rate;
	uint64_t damaged = ask_number(json_object_get(host, "frames"), "damaged");

	rate = json_object_get(settings, "Mem.ShareVerifyRate");
	if (rate && !json_integer_value(rate))
		report_add(report, "Mem.ShareVerifyRate", FINDING_MISSING,
			   "pshare set Mem.ShareVerifyRate 256",
			   "0: a bit that flips in a shared page is found by nobody");
	else
		report_add(report, "Mem.ShareVerifyRate", FINDING_OK, NULL,
			   "shared pages are read again, %" JSON_INTEGER_FORMAT " a second",
			   json_integer_value(rate));
	if (damaged)
		report_add(report, "damaged frames", FINDING_MISSING, "pshare audit",
			   "%" PRIu64 ": memory of this host changes by itself", damaged);
}

/* VMs that name a salt share on purpose: the guides want none, or a reason for each. */
static void check_salts(struct report *report, struct client *client)
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *vm, *other;
	size_t i, k, shared = 0;

	if (client_try(client, &answer, "/v1/vms"))
		return;
	json_array_foreach(json_object_get(answer, "vms"), i, vm)
	{
		bool found = false;

		json_array_foreach(json_object_get(answer, "vms"), k, other)
			found |= k != i && *ask_text(vm, "domain") != '-' &&
				 !strcmp(ask_text(vm, "domain"), ask_text(other, "domain"));
		shared += found;
	}
	if (shared)
		report_add(report, "sched.mem.pshare.salt", FINDING_NOTE, "pshare list",
			   "%zu VMs are in a domain with another: each may read what all of them "
			   "share (STIG VMCH-67-000018 wants no common salts)",
			   shared);
	else
		report_add(report, "sched.mem.pshare.salt", FINDING_OK, NULL,
			   "no two VMs are in one domain (STIG VMCH-67-000018)");
}

/* ---- the daemon's process ------------------------------------------------------------------- */

struct status {
	char effective[32], no_new_privileges[8], seccomp[8];
};

static void take_value(char *out, size_t size, const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(line, name, n) == 0)
		snprintf(out, size, "%s", line + n + strspn(line + n, " \t"));
}

static int take_status(const char *line, void *arg)
{
	struct status *status = arg;

	take_value(status->effective, sizeof(status->effective), line, "CapEff:");
	take_value(status->no_new_privileges, sizeof(status->no_new_privileges), line,
		   "NoNewPrivs:");
	take_value(status->seccomp, sizeof(status->seccomp), line, "Seccomp:");
	return 0;
}

static void check_process(struct report *report, pid_t pid)
{
	struct status status = {0};
	char path[64];
	uid_t uid = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (sys_process_uid(pid, &uid) || sys_each_line(path, take_status, &status)) {
		report_add(report, "daemon's rights", FINDING_UNKNOWN, NULL,
			   "process %d cannot be looked at", (int)pid);
		return;
	}
	if (uid)
		report_add(report, "daemon's user", FINDING_OK, NULL, "%u, not root", uid);
	else
		report_add(report, "daemon's user", FINDING_MISSING,
			   "start it by its unit: systemctl enable --now pshared",
			   "root: whoever takes the daemon over has the host");
	if (strspn(status.effective, "0") == strlen(status.effective))
		report_add(report, "daemon's capabilities", FINDING_OK, NULL, "none");
	else
		report_add(report, "daemon's capabilities", FINDING_MISSING,
			   "start it by its unit: systemctl enable --now pshared", "%s",
			   status.effective);
	if (status.no_new_privileges[0] == '1' && status.seccomp[0] == '2')
		report_add(report, "daemon's filter", FINDING_OK, NULL,
			   "system calls are filtered, and it can gain no rights");
	else
		report_add(report, "daemon's filter", FINDING_MISSING,
			   "start it by its unit: systemctl enable --now pshared",
			   "Seccomp: %s, NoNewPrivs: %s", status.seccomp, status.no_new_privileges);
}

static void check_socket(struct report *report, const struct runtime *runtime)
{
	char path[PATH_MAX + 16];
	struct sys_secret_file file;

	snprintf(path, sizeof(path), "%s/api.sock", runtime->dir);
	if (sys_secret_look(path, &file)) {
		report_add(report, "api.sock", FINDING_UNKNOWN, NULL, "%s cannot be looked at",
			   path);
		return;
	}
	if (file.mode & 07)
		report_add(report, "api.sock", FINDING_MISSING,
			   "chmod o= it, or start pshared anew",
			   "%s: every user of this host may connect (mode %04o; as STIG "
			   "ESXI-80-000008, lockdown mode)",
			   path, file.mode);
	else
		report_add(report, "api.sock", FINDING_OK, NULL,
			   "for user %u and group %u (as STIG ESXI-80-000008, lockdown mode)",
			   file.uid, file.gid);
}

/* It cannot be switched off; but a full disk, or a folder that it may not write to, can end it. */
static void check_log(struct report *report, struct client *client)
{
	_cleanup_json_ json_t *answer = NULL;
	uint64_t lost, unwritten;

	if (client_try(client, &answer, "/v1/log")) {
		report_add(report, "audit log", FINDING_UNKNOWN, "as root: pshare log",
			   "it cannot be read (STIG ESXI-80-000232)");
		return;
	}
	lost = ask_number(answer, "lost");
	unwritten = ask_number(answer, "unwritten");
	if (!*ask_text(answer, "file"))
		report_add(report, "audit log", FINDING_MISSING, "start pshared with --log-dir",
			   "it is in memory alone (STIG ESXI-80-000232)");
	else if (unwritten)
		report_add(report, "audit log", FINDING_MISSING,
			   "make room in its folder, or let pshared's user write there",
			   "the last %" PRIu64 " records could not be written to %s (STIG "
			   "ESXI-80-000232)",
			   unwritten, ask_text(answer, "file"));
	else if (lost)
		report_add(
			report, "audit log", FINDING_MISSING,
			"they are in the journal: keep it; a daemon that is started anew no longer "
			"says this",
			"it is written again, but %" PRIu64 " records could not be written to %s "
			"(STIG ESXI-80-000232)",
			lost, ask_text(answer, "file"));
	else
		report_add(report, "audit log", FINDING_OK, NULL,
			   "every change is recorded (STIG ESXI-80-000232)");
}

/* ---- salts, KSM, processors, swap ----------------------------------------------------------- */

static void check_salt_file(struct report *report, const struct salt_file *file)
{
	struct salt_open open;

	if (file->error)
		report_add(report, "salt file", FINDING_UNKNOWN, "run this as root",
			   "%.300s cannot be looked at: %s", file->path, strerror(-file->error));
	else if (!file->is.plain)
		report_add(report, "salt file", FINDING_NOTE, NULL, "%.300s is no plain file",
			   file->path);
	else if (salt_file_is_open(&file->is, &open))
		report_add(report, "salt file", FINDING_MISSING, open.mend, "%.300s: %s",
			   file->path, open.text);
	else
		report_add(report, "salt file", FINDING_OK, NULL, "%.300s, mode %04o", file->path,
			   file->is.mode);
}

/* Of the VMs of another user it is not known, but to root, what they were started with. */
static void check_salt_files(struct report *report, struct client *client)
{
	_cleanup_json_ json_t *answer = NULL;
	struct salt_files files = {NULL, 0, 0};
	int r = salt_files_find(&files);
	const json_t *vm;
	size_t i;

	if (client && !client_try(client, &answer, "/v1/vms"))
		json_array_foreach(json_object_get(answer, "vms"), i, vm)
		{
			if (!r)
				r = salt_files_add_vm(&files, (pid_t)ask_number(vm, "pid"));
		}
	for (i = 0; i < files.count; i++)
		check_salt_file(report, &files.at[i]);
	salt_files_free(&files);
	if (r)
		report_add(report, "salt file", FINDING_UNKNOWN, NULL, "out of memory");
}

static void check_ksm(struct report *report)
{
	uint64_t run = 0, sharing = 0;

	if (sys_read_u64("/sys/kernel/mm/ksm/run", &run)) {
		report_add(report, "KSM", FINDING_OK, NULL, "not in this kernel");
		return;
	}
	(void)sys_read_u64("/sys/kernel/mm/ksm/pages_sharing", &sharing);
	if (run == 1 || sharing)
		report_add(report, "KSM", FINDING_MISSING,
			   "as root: echo 2 > /sys/kernel/mm/ksm/run (and stop ksmtuned)",
			   "%s, %" PRIu64 " pages are merged, whoever owns them (as STIG "
			   "ESXI-80-000213)",
			   run == 1 ? "runs" : "is stopped", sharing);
	else
		report_add(report, "KSM", FINDING_OK, NULL,
			   "does not run and has merged nothing (as STIG ESXI-80-000213)");
}

struct list {
	char text[TEXT_BYTES];
};

static void add_name(struct list *list, const char *name, size_t length)
{
	size_t n = strlen(list->text);

	snprintf(list->text + n, sizeof(list->text) - n, "%s%.*s", n ? ", " : "", (int)length,
		 name);
}

struct weaknesses {
	struct list of[WEAKNESS_OPEN + 1];
};

static int take_vulnerability(const char *path, void *arg)
{
	_cleanup_free_ char *text = NULL;
	struct weaknesses *found = arg;
	const char *name = strrchr(path, '/') + 1;

	if (!sys_read_text(path, TEXT_BYTES, &text))
		add_name(&found->of[weakness_judge(text)], name, strlen(name));
	return 0;
}

static void check_processors(struct report *report)
{
	struct weaknesses found = {0};
	const char *open = found.of[WEAKNESS_OPEN].text, *smt = found.of[WEAKNESS_SMT].text;
	const char *unknown = found.of[WEAKNESS_UNKNOWN].text;
	uint64_t active = 0;

	if (sys_each_name(VULNERABILITIES, "", take_vulnerability, &found)) {
		report_add(report, "processors", FINDING_UNKNOWN, NULL, "this kernel does not say");
		return;
	}
	if (*open)
		report_add(report, "processors", FINDING_MISSING,
			   "new microcode, mitigations=auto,nosmt on the kernel's command line",
			   "not mitigated: %s (STIG ESXI-80-000223)", open);
	if (*smt)
		report_add(report, "processors", FINDING_MISSING,
			   "nosmt on the kernel's command line",
			   "not mitigated between the threads of a core (SMT vulnerable): %s (STIG "
			   "ESXI-80-000223)",
			   smt);
	if (*unknown)
		report_add(report, "processors", FINDING_UNKNOWN,
			   "in a VM: ask its host; else a newer kernel",
			   "the kernel does not know whether it is mitigated: %s", unknown);
	if (!*open && !*smt && !*unknown)
		report_add(report, "processors", FINDING_OK, NULL,
			   "each known weakness is mitigated (STIG ESXI-80-000223)");
	if (!sys_read_u64("/sys/devices/system/cpu/smt/active", &active) && active)
		report_add(
			report, "SMT", FINDING_NOTE, "nosmt, or core scheduling for the VMs",
			"two VMs may run on the threads of one core: salts do not cover what they "
			"learn of each other there");
}

static void device_uuid(const char *name, char uuid[SWAP_UUID_MAX])
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/block/%s/dm/uuid", name);
	if (!sys_read_text(path, SWAP_UUID_MAX - 1, &text))
		snprintf(uuid, SWAP_UUID_MAX, "%s", text);
}

static void device_below(const char *name, int (*each)(const char *below, void *arg), void *arg)
{
	_cleanup_free_ char **names = NULL;
	char path[PATH_MAX];
	int n;

	snprintf(path, sizeof(path), "/sys/block/%s/slaves", name);
	n = sys_folder_names(path, "", "", &names);
	for (int i = 0; i < n; i++)
		if (names[i][0] != '.' && each(names[i], arg))
			return;
}

static int take_swap(const char *line, void *arg)
{
	static const struct swap_devices devices = {device_uuid, device_below};
	size_t length = strcspn(line, " \t");
	char name[64];

	if (line[0] != '/' || strncmp(line, "/dev/zram", 9) == 0)
		return 0;
	if (strncmp(line, "/dev/", 5) == 0 && length - 5 < sizeof(name)) {
		snprintf(name, sizeof(name), "%.*s", (int)length - 5, line + 5);
		if (!strchr(name, '/') && swap_is_encrypted(&devices, name))
			return 0;
	}
	add_name(arg, line, length);
	return 0;
}

static void check_swap(struct report *report)
{
	struct list list = {""};

	if (sys_each_line("/proc/swaps", take_swap, &list))
		report_add(report, "swap", FINDING_UNKNOWN, NULL, "/proc/swaps cannot be read");
	else if (*list.text)
		report_add(report, "swap", FINDING_NOTE, "swap on dm-crypt with a random key",
			   "%s: memory of guests and stores may get to a disk in plain text",
			   list.text);
	else
		report_add(report, "swap", FINDING_OK, NULL, "none, or none that is not encrypted");
}

static void check_lockdown(struct report *report)
{
	_cleanup_free_ char *text = NULL;

	if (!sys_read_text("/sys/kernel/security/lockdown", TEXT_BYTES, &text) &&
	    !strstr(text, "[none]"))
		report_add(report, "kernel lockdown", FINDING_OK, NULL,
			   "on (as STIG ESXI-80-000085, ESXI-80-000244)");
	else
		report_add(
			report, "kernel lockdown", FINDING_NOTE,
			"Secure Boot, and lockdown=integrity on the kernel's command line",
			"off: root can read and change the memory of every guest past all of this "
			"(as STIG ESXI-80-000085, ESXI-80-000244)");
}

void doctor_hardening(struct report *report, const struct args *args)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *host = NULL;
	struct runtime runtime;

	if (runtime_find_daemon(&runtime, args) || client_new(&client, &runtime) ||
	    client_try(client, &host, "/v1/status")) {
		report_add(report, "daemon", FINDING_UNKNOWN, "systemctl start pshared",
			   "none answers: what is its own cannot be looked at");
	} else {
		check_salting(report, host);
		check_salts(report, client);
		check_verify(report, host);
		check_process(report, (pid_t)ask_number(host, "pid"));
		check_socket(report, &runtime);
		check_log(report, client);
	}
	check_salt_files(report, client);
	check_ksm(report);
	check_processors(report);
	check_swap(report);
	check_lockdown(report);
}
