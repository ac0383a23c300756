/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * proxmox-check: every condition that a VM of Proxmox VE must meet before it shares, in the order
 * in which they would be met, each with the command that mends it. QEMU is root there, as who runs
 * this, so what is tried here is what would be tried there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/finding.h"
#include "cli/proxmox.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/look.h"
#include "sys/proc.h"

#define MEND_MAX 256
#define KSM_RUN "/sys/kernel/mm/ksm/run"

struct look {
	struct proxmox *proxmox;
	struct report report;
	const char *name; /* of a VM, for mends; or "VMID" */
};

static const char *enable_command(const struct look *look, char mend[MEND_MAX])
{
	snprintf(mend, MEND_MAX, "pshare proxmox enable %s", look->name);
	return mend;
}

static void check_kvm(struct look *look)
{
	char mend[MEND_MAX];

	switch (proxmox_wrapper_look(look->proxmox)) {
	case WRAPPER_NONE:
		report_add(&look->report, PVE_KVM, FINDING_MISSING, enable_command(look, mend),
			   "is QEMU's own: no VM that Proxmox VE starts gets the agent");
		return;
	case WRAPPER_OTHER:
		report_add(&look->report, PVE_KVM, FINDING_MISSING, enable_command(look, mend),
			   "gives VMs another agent or daemon than %s and %s", look->proxmox->agent,
			   look->proxmox->runtime.dir);
		return;
	case WRAPPER_BROKEN:
		report_add(&look->report, PVE_KVM, FINDING_MISSING,
			   "apt install --reinstall pve-qemu-kvm",
			   PVE_REAL_KVM " is gone: no VM can start");
		return;
	case WRAPPER_OK:
		break;
	}
	if (proxmox_wrapper_is_older())
		report_add(&look->report, PVE_KVM, FINDING_NOTE, "touch " PVE_KVM,
			   "is older than QEMU: Proxmox VE, which goes by its time, may hold on to "
			   "the version that QEMU had before");
	else
		report_add(&look->report, PVE_KVM, FINDING_OK, NULL,
			   "gives the agent to VMs with the tag " PVE_TAG);
}

static void check_host(struct look *look)
{
	const struct proxmox *proxmox = look->proxmox;
	struct sys_file file;
	uint64_t ksm = 0;

	report_add(&look->report, "agent", FINDING_OK, NULL, "%s", proxmox->agent);
	if (runtime_answers(proxmox->runtime.dir))
		report_add(&look->report, "daemon", FINDING_OK, NULL, "answers in %s",
			   proxmox->runtime.dir);
	else
		report_add(&look->report, "daemon", FINDING_MISSING, "systemctl start pshared",
			   "none answers in %s", proxmox->runtime.dir);
	if (sys_file_look("/dev/userfaultfd", &file))
		report_add(&look->report, "/dev/userfaultfd", FINDING_MISSING,
			   "a kernel of Proxmox VE 8.2 or newer (6.8)",
			   "is not there: nothing can be shared");
	check_kvm(look);
	if (!sys_read_u64(KSM_RUN, &ksm) && ksm == 1)
		report_add(&look->report, "KSM", FINDING_NOTE,
			   "systemctl disable --now ksmtuned; echo 2 > " KSM_RUN,
			   "runs, for VMs without the agent; those with it keep out of it");
}

static const struct {
	const char *why;
	const char *mend;
} unfit[] = {
	[PVE_NO_KSM] = {"allow-ksm: 0: QEMU offers no memory", "qm set VMID --allow-ksm 1"},
	[PVE_HUGEPAGES] = {"hugepages: hugetlb pages are never shared",
			   "qm set VMID --delete hugepages"},
	[PVE_HOSTPCI] = {"hostpci: a device may write to any page at any time",
			 "a virtio device in the place of the passed-through one"},
	[PVE_VIRTIOFS] = {"virtiofs: it is shared with virtiofsd",
			  "qm set VMID --delete virtiofs0"},
	[PVE_ENCRYPTED] = {"it is encrypted, so no two pages are equal",
			   "qm set VMID --delete amd-sev"},
	[PVE_FOREIGN] = {"arch: another than this host's is not started as kvm", NULL},
	[PVE_ARGS] = {"args: name a memory of another kind", "qm set VMID --delete args"},
};

static void check_running(struct look *look, const char *vmid)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *answer = NULL;
	uint64_t pid = proxmox_pid(vmid);
	char mend[MEND_MAX], preload[PATH_MAX];
	const json_t *vm;
	size_t i;

	if (!pid)
		return;
	if (!client_new(&client, &look->proxmox->runtime) &&
	    !client_try(client, &answer, "/v1/vms"))
		json_array_foreach(json_object_get(answer, "vms"), i, vm)
		{
			if (ask_number(vm, "pid") != pid)
				continue;
			report_add(&look->report, "running", FINDING_OK, NULL,
				   "VM %s shares, as %s of pshare list", vmid,
				   ask_text(vm, "name"));
			return;
		}
	if (sys_process_variable((pid_t)pid, "LD_PRELOAD", preload, sizeof(preload)) ||
	    !strstr(preload, look->proxmox->agent)) {
		snprintf(mend, sizeof(mend), "qm shutdown %s && qm start %s", vmid, vmid);
		report_add(&look->report, "running", FINDING_MISSING, mend,
			   "VM %s was started before it was enabled, and runs without the agent",
			   vmid);
		return;
	}
	snprintf(mend, sizeof(mend), "pshare doctor --pid %llu", (unsigned long long)pid);
	report_add(&look->report, "running", FINDING_MISSING, mend,
		   "VM %s was started with the agent, and the daemon in %s does not know it", vmid,
		   look->proxmox->runtime.dir);
}

static int check_vm(const char *vmid, void *arg)
{
	_cleanup_free_ char *text = NULL;
	struct look *look = arg;
	struct pve_conf conf;
	struct sys_file file;
	char mend[MEND_MAX], salt[PATH_MAX];
	int r = proxmox_read(vmid, &text);

	if (r)
		return r;
	look->name = vmid;
	pve_conf_look(text, &conf);
	proxmox_salt_path(vmid, salt);
	if (!conf.tagged) {
		report_add(&look->report, "VM", FINDING_MISSING, enable_command(look, mend),
			   "%s has no tag " PVE_TAG ": it starts without the agent", vmid);
		return 0;
	}
	report_add(&look->report, "VM", FINDING_OK, NULL, "%s is enabled, %s", vmid,
		   sys_file_look(salt, &file) ? "without a salt" : "with a salt");
	if (conf.unfit)
		report_add(&look->report, "memory", FINDING_MISSING, unfit[conf.unfit].mend,
			   "of VM %s is not shared: %s", vmid, unfit[conf.unfit].why);
	check_running(look, vmid);
	return 0;
}

int proxmox_check(struct proxmox *proxmox, const char *vmid)
{
	struct look look = {.proxmox = proxmox, .name = vmid ? vmid : "VMID"};
	int r;

	if (report_init(&look.report))
		return say_error(CLI_FAILED, "out of memory");
	check_host(&look);
	r = vmid ? check_vm(vmid, &look) : proxmox_each_tagged(check_vm, &look);
	if (!r)
		r = report_print(&look.report, proxmox->args->json);
	report_free(&look.report);
	return r;
}
