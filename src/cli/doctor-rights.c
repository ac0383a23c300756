/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * doctor-rights: may the agent in one process do its work there? Judged by that process: its user
 * and groups, its root folder (under libvirt with a /dev of its own), its cgroup, its AppArmor
 * label, and what its environment says. What this user may, and what the host's /dev has, is
 * another question: the doctor used to answer that one, and to blame QEMU's settings for the rest.
 *
 * Opening is tried in the process's place (sys/creds.h); a cgroup's devices and a label are read,
 * because trying would mean to join them. A list of devices of cgroup v2 is a program that nobody
 * can read; the text says so.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/libvirt-block.h"
#include "sys/creds.h"
#include "sys/look.h"
#include "sys/path.h"
#include "sys/proc.h"

#define DEVICE "/dev/userfaultfd"
#define APPARMOR_LOCAL "/etc/apparmor.d/local/abstractions/libvirt-qemu"
#define TEXT_MAX 65536u
#define LABEL_MAX 128u
#define CAP_SYS_PTRACE_BIT 19
#define LIBVIRT_MEND "pshare libvirt enable DOMAIN, then shut it down and start it"

struct who {
	pid_t pid;
	struct sys_creds creds;
	char user[SYS_USER_MAX];
	char label[LABEL_MAX]; /* "": none, or unconfined */
	bool is_libvirt;       /* one of its VMs */
	bool has_ptrace;       /* CAP_SYS_PTRACE: the system call is enough */
};

/* ---- who it is ------------------------------------------------------------------------------- */

static int read_proc(pid_t pid, const char *name, char **text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return sys_read_text(path, TEXT_MAX, text);
}

/* "libvirt-UUID (enforce)": the name; a kernel without AppArmor has no such file, or another's. */
static void take_label(struct who *who)
{
	_cleanup_free_ char *text = NULL;

	if (read_proc(who->pid, "attr/apparmor/current", &text) &&
	    read_proc(who->pid, "attr/current", &text))
		return;
	text[strcspn(text, " \n")] = '\0';
	if (strcmp(text, "unconfined") != 0)
		snprintf(who->label, sizeof(who->label), "%s", text);
}

static void take_capabilities(struct who *who)
{
	_cleanup_free_ char *text = NULL;
	uint64_t effective = 0;
	const char *at;

	if (read_proc(who->pid, "status", &text))
		return;
	at = strstr(text, "\nCapEff:");
	if (at && sscanf(at + 8, "%" SCNx64, &effective) == 1)
		who->has_ptrace = effective >> CAP_SYS_PTRACE_BIT & 1;
}

/* libvirt says so in each VM's command line: a folder of its own for the VM's secrets. */
static int take_word(const char *word, void *arg)
{
	struct who *who = arg;

	who->is_libvirt |= strstr(word, "libvirt/qemu/") != NULL;
	return 0;
}

static int look(struct who *who, pid_t pid)
{
	char path[64];
	int r;

	*who = (struct who){.pid = pid};
	r = sys_creds_of_process(pid, &who->creds);
	if (r)
		return r;
	sys_user_name(who->creds.uid, who->user, sizeof(who->user));
	take_label(who);
	take_capabilities(who);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	(void)sys_each_word(path, take_word, who);
	return 0;
}

static void say_who(struct report *report, const struct who *who)
{
	char groups[160] = "";
	size_t i, n = 0;

	for (i = 0; i < who->creds.ngroups && n < sizeof(groups) - 16; i++)
		n += (size_t)snprintf(groups + n, sizeof(groups) - n, " %u", who->creds.groups[i]);
	report_add(report, "runs as", FINDING_OK, NULL, "user %s, group %u, groups%s%s%s%s",
		   who->user, who->creds.gid, *groups ? groups : " none",
		   *who->label ? ", AppArmor profile " : "", who->label,
		   who->is_libvirt ? ", by libvirt" : "");
}

/* ---- what it may ----------------------------------------------------------------------------- */

static bool cannot_try(struct report *report, const char *check, const struct who *who)
{
	report_add(report, check, FINDING_UNKNOWN, "run this as root",
		   "what user %s may do can be tried by root only", who->user);
	return true; /* unknown is not missing */
}

/* Would the daemon give it the device? (uffd.sock beside the agent's own socket) */
static bool from_daemon(struct report *report, const struct who *who, const struct doctor_env *env)
{
	const char *folder = env->runtime_dir ? env->runtime_dir : "/run/pshare";
	char path[PATH_MAX];
	int result = 0;

	snprintf(path, sizeof(path), "%.4000s/uffd.sock", folder);
	if (sys_try_as(&who->creds, path, SYS_TRY_CONNECT, &result) || result)
		return false;
	report_add(report, "userfaultfd", FINDING_OK, NULL,
		   "user %s has the device from the daemon, by %s", who->user, path);
	return true;
}

static bool check_device(struct report *report, const struct who *who, const struct doctor_env *env)
{
	int result = 0;

	if (who->has_ptrace) {
		report_add(report, "userfaultfd", FINDING_OK, NULL,
			   "may be used, by system call (CAP_SYS_PTRACE)");
		return true;
	}
	if (sys_try_as(&who->creds, DEVICE, SYS_TRY_OPEN, &result))
		return cannot_try(report, "userfaultfd", who);
	if (!result) {
		report_add(report, "userfaultfd", FINDING_OK, NULL,
			   "user %s may open " DEVICE " in the root folder of the process",
			   who->user);
		return true;
	}
	if (from_daemon(report, who, env))
		return true;
	report_add(report, "userfaultfd", FINDING_MISSING,
		   who->is_libvirt   ? LIBVIRT_MEND :
		   result == -ENOENT ? "bind " DEVICE " into its /dev" :
				       "as root: setfacl -m u:USER:rw " DEVICE,
		   result == -ENOENT ? "the /dev that the process sees has no userfaultfd%s%s" :
				       "user %s may not open " DEVICE ": %s",
		   result == -ENOENT ? "" : who->user, result == -ENOENT ? "" : strerror(-result));
	return false;
}

/* "c 10:257 rw", "c 10:* rwm", "a *:* rwm" */
static int take_rule(const char *rule, void *arg)
{
	uint64_t device = *(uint64_t *)arg;
	char kind, major[16], minor[16], access[8], want[2][16];

	if (sscanf(rule, "%c %15[^:]:%15s %7s", &kind, major, minor, access) != 4)
		return 0;
	snprintf(want[0], sizeof(want[0]), "%u", (unsigned int)(device >> 32));
	snprintf(want[1], sizeof(want[1]), "%u", (unsigned int)device);
	return (kind == 'a' || kind == 'c') && strchr(access, 'r') && strchr(access, 'w') &&
	       (!strcmp(major, "*") || !strcmp(major, want[0])) &&
	       (!strcmp(minor, "*") || !strcmp(minor, want[1]));
}

/* The folder of cgroup v1's device list: "6:devices:/machine/..." */
static bool devices_list(pid_t pid, char path[PATH_MAX])
{
	_cleanup_free_ char *text = NULL;
	const char *at;

	if (read_proc(pid, "cgroup", &text))
		return false;
	at = strstr(text, ":devices:");
	if (!at)
		return false;
	at += strlen(":devices:");
	snprintf(path, PATH_MAX, "/sys/fs/cgroup/devices%.*s/devices.list", (int)strcspn(at, "\n"),
		 at);
	return true;
}

static bool check_cgroup(struct report *report, const struct who *who)
{
	char path[PATH_MAX];
	uint64_t device;
	int r;

	if (who->has_ptrace || sys_device_number(DEVICE, &device))
		return true;
	if (!devices_list(who->pid, path)) {
		if (who->is_libvirt)
			report_add(report, "cgroup", FINDING_NOTE, "pshare libvirt check",
				   "its list of devices (cgroup v2) cannot be read; libvirt makes "
				   "it, and its /dev, of cgroup_device_acl in qemu.conf");
		return true;
	}
	r = sys_each_line(path, take_rule, &device);
	if (r < 0)
		return true; /* another's cgroup tree, or none is mounted here */
	if (r)
		report_add(report, "cgroup", FINDING_OK, NULL, "its list of devices has " DEVICE);
	else
		report_add(report, "cgroup", FINDING_MISSING,
			   who->is_libvirt ? LIBVIRT_MEND : "add it to DeviceAllow= of its unit",
			   "its list of devices has no " DEVICE);
	return r > 0;
}

/* Whether a profile allows something cannot be asked from outside; for libvirt's VMs it is known
 * where it would stand. */
static bool check_label(struct report *report, const struct who *who)
{
	_cleanup_free_ char *text = NULL;

	if (!*who->label)
		return true;
	if (strncmp(who->label, "libvirt-", 8) != 0) {
		report_add(report, "AppArmor", FINDING_NOTE,
			   "journalctl -k --grep apparmor.*DENIED",
			   "profile %s must let it use " DEVICE ", the agent and its socket",
			   who->label);
		return true;
	}
	if (!sys_read_text(APPARMOR_LOCAL, TEXT_MAX, &text) &&
	    block_look(text, "") == BLOCK_OTHER) {
		report_add(report, "AppArmor", FINDING_OK, NULL,
			   "profiles of VMs that are started now let them use the agent");
		return true;
	}
	report_add(report, "AppArmor", FINDING_MISSING, LIBVIRT_MEND,
		   "profile %s does not let it use the agent (" APPARMOR_LOCAL ")", who->label);
	return false;
}

static bool check_path(struct report *report, const struct who *who, const char *check,
		       const char *path, enum sys_try what, const char *mend)
{
	int result = 0;

	if (sys_try_as(&who->creds, path, what, &result))
		return cannot_try(report, check, who);
	if (result)
		report_add(report, check, FINDING_MISSING, mend, "user %s cannot use %s: %s",
			   who->user, path, strerror(-result));
	return !result;
}

static bool check_environment(struct report *report, const struct who *who,
			      const struct doctor_env *env)
{
	char path[PATH_MAX + 16];
	bool fine = true;

	if (env->agent)
		fine &= check_path(report, who, "agent's file", env->agent, SYS_TRY_READ,
				   "install pshare where everybody may read it");
	if (env->salt_file)
		fine &= check_path(report, who, "salt", env->salt_file, SYS_TRY_READ,
				   who->is_libvirt ?
					   "pshare libvirt enable DOMAIN --salt-file F" :
					   "let that user read it; until then it shares nothing");
	if (env->runtime_dir) {
		snprintf(path, sizeof(path), "%.*s/agent.sock", PATH_MAX, env->runtime_dir);
		fine &= check_path(report, who, "daemon's socket", path, SYS_TRY_CONNECT,
				   "systemctl start pshared");
	}
	return fine;
}

bool doctor_rights(struct report *report, pid_t pid, const struct doctor_env *env)
{
	struct who who;
	bool fine = true;

	if (look(&who, pid))
		return true;
	say_who(report, &who);
	fine &= check_device(report, &who, env);
	fine &= check_cgroup(report, &who);
	fine &= check_label(report, &who);
	return check_environment(report, &who, env) && fine;
}

/* ---- its environment ------------------------------------------------------------------------- */

/* The variable's value, if the word sets it. */
static const char *value_of(const char *word, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(word, name, n) && word[n] == '=' ? word + n + 1 : NULL;
}

static int keep(char **to, const char *value)
{
	if (!value || *to)
		return 0;
	*to = strdup(value);
	return *to ? 0 : -ENOMEM;
}

static int take_preload(struct doctor_env *env, const char *list)
{
	while (list && *(list += strspn(list, " :"))) {
		size_t length = strcspn(list, " :");
		char *item = strndup(list, length);

		if (!item)
			return -ENOMEM;
		if (!env->agent && strstr(item, "libpshare-agent.so"))
			env->agent = item;
		else
			free(item);
		list += length;
	}
	return 0;
}

static int take_variable(const char *word, void *arg)
{
	struct doctor_env *env = arg;
	int r = keep(&env->runtime_dir, value_of(word, "PSHARE_RUNTIME_DIR"));

	if (!r)
		r = keep(&env->salt_file, value_of(word, "PSHARE_SALT_FILE"));
	return r ? r : take_preload(env, value_of(word, "LD_PRELOAD"));
}

void doctor_env_read(struct doctor_env *env, pid_t pid)
{
	char path[64];

	*env = (struct doctor_env){0};
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	(void)sys_each_word(path, take_variable, env); /* another user's: then it is not known */
}

void doctor_env_free(struct doctor_env *env)
{
	free(env->agent);
	free(env->runtime_dir);
	free(env->salt_file);
}
