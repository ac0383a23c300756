/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt-check: every condition that a VM under libvirt must meet before it shares, each tried as
 * the user that VMs run as, and each with the command that mends it. The order is that in which
 * they would be met: the first that is missing is the one to mend first.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/finding.h"
#include "cli/libvirt-block.h"
#include "cli/libvirt-conf.h"
#include "cli/libvirt.h"
#include "sys/creds.h"
#include "sys/file.h"
#include "sys/look.h"
#include "sys/path.h"
#include "sys/proc.h"

#define CONF_MAX (1u << 20)
#define MEND_MAX 512

struct look {
	struct libvirt *libvirt;
	struct report report;
	struct sys_creds creds; /* of the VMs */
	char user[SYS_USER_MAX];
	const char *name; /* of a domain for mends; or "DOMAIN" */
	bool unfinished;  /* an exit code was said meanwhile */
};

static const char *enable_command(const struct look *look, char mend[MEND_MAX])
{
	snprintf(mend, MEND_MAX, "pshare libvirt enable %s --connect %s", look->name,
		 look->libvirt->uri);
	return mend;
}

/* Tries a path in the place of a VM. mend (or NULL): for what is missing. */
static void check_path(struct look *look, const char *check, const char *path, enum sys_try what,
		       const char *mend)
{
	int result = 0, r = sys_try_as(&look->creds, path, what, &result);
	const char *does = what == SYS_TRY_READ ? "read" :
			   what == SYS_TRY_OPEN ? "open" :
						  "connect to";

	if (r)
		report_add(&look->report, check, FINDING_UNKNOWN, "run this as root",
			   "it cannot be tried whether user %s may %s %s", look->user, does, path);
	else if (result)
		report_add(&look->report, check, FINDING_MISSING, mend,
			   "user %s, as whom VMs run, may not %s %s: %s", look->user, does, path,
			   strerror(-result));
	else
		report_add(&look->report, check, FINDING_OK, NULL, "user %s may %s %s", look->user,
			   does, path);
}

/* ---- the host -------------------------------------------------------------------------------- */

static void check_agent(struct look *look)
{
	check_path(look, "agent", look->libvirt->agent, SYS_TRY_READ,
		   "install pshare where everybody may read it (meson install), not in a home");
}

static void check_daemon(struct look *look)
{
	char path[PATH_MAX + 16];

	if (!runtime_answers(look->libvirt->runtime.dir)) {
		report_add(&look->report, "daemon", FINDING_MISSING,
			   look->libvirt->session ? "start pshared for this user, or as a service "
						    "of the host: systemctl start pshared" :
						    "systemctl start pshared",
			   "none answers in %s, or not to this user: under libvirt nothing starts "
			   "one",
			   look->libvirt->runtime.dir);
		return;
	}
	snprintf(path, sizeof(path), "%s/agent.sock", look->libvirt->runtime.dir);
	check_path(look, "daemon", path, SYS_TRY_CONNECT, "systemctl restart pshared");
}

static void check_device(struct look *look)
{
	char mend[MEND_MAX];

	check_path(look, LIBVIRT_DEVICE, LIBVIRT_DEVICE, SYS_TRY_OPEN,
		   look->libvirt->session ?
			   "as root: usermod -aG pshare USER, then log in anew (installed udev "
			   "rule: 60-pshare.rules)" :
			   enable_command(look, mend));
}

static void check_conf(struct look *look)
{
	_cleanup_free_ char *text = NULL;
	char mend[MEND_MAX];
	bool allowed = false;
	unsigned int line = 0;
	int r = sys_read_text(LIBVIRT_QEMU_CONF, CONF_MAX, &text);

	if (!r)
		r = conf_look(text, &allowed, &line);
	if (r == -EINVAL)
		report_add(&look->report, "qemu.conf", FINDING_MISSING, "mend that line",
			   LIBVIRT_QEMU_CONF " is not understood at line %u", line);
	else if (r)
		report_add(&look->report, "qemu.conf", FINDING_UNKNOWN, "run this as root",
			   LIBVIRT_QEMU_CONF ": %s", strerror(-r));
	else if (!allowed)
		report_add(&look->report, "qemu.conf", FINDING_MISSING, enable_command(look, mend),
			   "cgroup_device_acl has no " LIBVIRT_DEVICE
			   ": a VM's own /dev lacks it, so its agent can do nothing");
	else if (libvirt_daemon_is_older(LIBVIRT_QEMU_CONF))
		report_add(&look->report, "qemu.conf", FINDING_MISSING, libvirt_restart_command(),
			   "was changed after libvirt's daemon started, which has not read it");
	else
		report_add(&look->report, "qemu.conf", FINDING_OK, NULL,
			   "cgroup_device_acl has " LIBVIRT_DEVICE);
}

static void check_apparmor(struct look *look)
{
	_cleanup_free_ char *rules = NULL;
	_cleanup_free_ char *text = NULL;
	char mend[MEND_MAX];

	if (!look->libvirt->caps.apparmor) {
		report_add(&look->report, "AppArmor", FINDING_OK, NULL,
			   "libvirt does not use it on this host");
		return;
	}
	if (!libvirt_apparmor_rules(look->libvirt, &rules) &&
	    !sys_read_text(LIBVIRT_APPARMOR_LOCAL, CONF_MAX, &text) &&
	    block_look(text, rules) == BLOCK_SAME)
		report_add(&look->report, "AppArmor", FINDING_OK, NULL,
			   "VMs started from now on may use the agent");
	else
		report_add(&look->report, "AppArmor", FINDING_MISSING, enable_command(look, mend),
			   "VMs' profile does not let them use this agent (" LIBVIRT_APPARMOR_LOCAL
			   ")");
}

static void check_host(struct look *look)
{
	check_agent(look);
	check_daemon(look);
	check_device(look);
	if (look->libvirt->session)
		return;
	check_conf(look);
	check_apparmor(look);
}

/* ---- a domain -------------------------------------------------------------------------------- */

static const struct {
	const char *why;
	const char *mend;
} unfit[] = {
	[DOMAIN_NO_MERGE] = {"<nosharepages/>: QEMU offers no memory",
			     "virsh edit: take <nosharepages/> out of <memoryBacking>"},
	[DOMAIN_HUGEPAGES] = {"<hugepages/>: hugetlb pages are never shared",
			      "virsh edit: take <hugepages/> out; huge pages come by themselves"},
	[DOMAIN_SHARED] =
		{"it is a file or a memfd (<source> or <access> of <memoryBacking>)",
		 "virsh edit: take them out, and virtiofs or vhost-user devices with them"},
	[DOMAIN_LOCKED] = {"<locked/>: locked memory is never taken out",
			   "virsh edit: take <locked/> out of <memoryBacking>"},
	[DOMAIN_HOSTDEV] = {"<hostdev>: a device may write to any page at any time",
			    "virsh edit: a virtio device in the place of the passed-through one"},
};

static void check_memory(struct look *look, const struct domain *domain)
{
	if (domain->unfit)
		report_add(&look->report, "memory", FINDING_MISSING, unfit[domain->unfit].mend,
			   "of %s is not shared: %s", domain->name, unfit[domain->unfit].why);
}

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static bool check_definition(struct look *look, const struct domain *domain)
{
	char mend[MEND_MAX];

	if (!domain->enabled) {
		report_add(&look->report, "domain", FINDING_MISSING, enable_command(look, mend),
			   "%s is not enabled: it starts without the agent", domain->name);
		return false;
	}
	if (!same(domain->agent, look->libvirt->agent) ||
	    !same(domain->runtime_dir, look->libvirt->runtime.dir))
		report_add(&look->report, "domain", FINDING_MISSING, enable_command(look, mend),
			   "%s is enabled for the agent %s and the daemon in %s, not for these",
			   domain->name, domain->agent,
			   domain->runtime_dir ? domain->runtime_dir : "no folder");
	else
		report_add(&look->report, "domain", FINDING_OK, NULL, "%s is enabled, %s",
			   domain->name, domain->salt_file ? "with a salt" : "without a salt");
	return true;
}

static void check_salt(struct look *look, const struct domain *domain)
{
	char mend[MEND_MAX];

	if (!domain->salt_file)
		return;
	snprintf(mend, sizeof(mend), "pshare libvirt enable %s --salt-file F --connect %s",
		 look->name, look->libvirt->uri);
	check_path(look, "salt", domain->salt_file, SYS_TRY_READ, mend);
}

/* The process that libvirt started for it; 0: not known. */
static uint64_t pid_of(const struct libvirt *libvirt, const struct domain *domain)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	char path[PATH_MAX];
	uint64_t pid = 0;

	if (libvirt->session)
		snprintf(path, sizeof(path), "%s/libvirt/qemu/run/%s.pid", run ? run : "/none",
			 domain->name);
	else
		snprintf(path, sizeof(path), "/run/libvirt/qemu/%s.pid", domain->name);
	return sys_read_u64(path, &pid) ? 0 : pid;
}

/* What the daemon calls the process; to be freed, or NULL: it does not know it. */
static char *vm_name(struct look *look, uint64_t pid)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *answer = NULL;
	const json_t *vm;
	size_t i;

	if (client_new(&client, &look->libvirt->runtime) || client_try(client, &answer, "/v1/vms"))
		return NULL;
	json_array_foreach(json_object_get(answer, "vms"), i, vm)
	{
		if (pid && ask_number(vm, "pid") == pid)
			return strdup(ask_text(vm, "name"));
	}
	return NULL;
}

static void check_agent_runs(struct look *look, const struct domain *live)
{
	uint64_t pid = pid_of(look->libvirt, live);
	_cleanup_free_ char *name = vm_name(look, pid);
	char mend[MEND_MAX];

	if (name) {
		report_add(&look->report, "running", FINDING_OK, NULL,
			   "%s shares, as VM %s of pshare list", live->name, name);
		return;
	}
	if (pid)
		snprintf(mend, sizeof(mend), "pshare doctor --pid %llu", (unsigned long long)pid);
	else
		snprintf(mend, sizeof(mend), "pshare list; pshare doctor --pid PID");
	report_add(&look->report, "running", FINDING_MISSING, mend,
		   "%s was started with the agent, and the daemon in %s does not know it",
		   live->name, look->libvirt->runtime.dir);
}

/* As it runs now, which may be as it was defined long ago. */
static void check_running(struct look *look, const struct domain *domain)
{
	_cleanup_free_ char *xml = NULL;
	_cleanup_free_ char *list = NULL;
	_cleanup_domain_ struct domain *live = NULL;
	char mend[MEND_MAX];

	if (VIRSH(look->libvirt, NULL, &list, "list", "--uuid")) {
		look->unfinished = true;
		return;
	}
	if (!strstr(list, domain->uuid))
		return;
	if (libvirt_xml(look->libvirt, domain->uuid, false, &xml) || domain_look(xml, &live)) {
		look->unfinished = true;
		return;
	}
	if (live->enabled) {
		check_agent_runs(look, live);
		return;
	}
	snprintf(mend, sizeof(mend), "virsh -c %s shutdown %s; virsh -c %s start %s",
		 look->libvirt->uri, live->name, look->libvirt->uri, live->name);
	report_add(&look->report, "running", FINDING_MISSING, mend,
		   "%s was started before it was enabled, and runs without the agent", live->name);
}

static int check_domain(const struct domain *domain, void *arg)
{
	struct look *look = arg;

	look->name = domain->name;
	if (!check_definition(look, domain))
		return 0;
	check_salt(look, domain);
	check_memory(look, domain);
	check_running(look, domain);
	return 0;
}

static int check_named(struct look *look, const char *name)
{
	_cleanup_free_ char *xml = NULL;
	_cleanup_domain_ struct domain *domain = NULL;
	int r = libvirt_xml(look->libvirt, name, true, &xml);

	if (r)
		return r;
	if (domain_look(xml, &domain))
		return say_error(CLI_FAILED, "domain %s: its XML is not understood", name);
	look->name = domain->name;
	check_host(look);
	return check_domain(domain, look);
}

static int check_all(struct look *look)
{
	check_host(look);
	return libvirt_each_enabled(look->libvirt, check_domain, look);
}

int libvirt_check(struct libvirt *libvirt, const char *domain)
{
	struct look look = {.libvirt = libvirt, .name = "DOMAIN"};
	int r;

	if (sys_creds_of_user(libvirt->uid, libvirt->gid, &look.creds) || report_init(&look.report))
		return say_error(CLI_FAILED, "out of memory");
	sys_user_name(libvirt->uid, look.user, sizeof(look.user));
	r = domain ? check_named(&look, domain) : check_all(&look);
	if (!r)
		r = report_print(&look.report, libvirt->args->json);
	report_free(&look.report);
	return r ? r : look.unfinished ? CLI_FAILED : CLI_OK;
}
