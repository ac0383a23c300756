/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * doctor-process: what of one process's memory could be shared, and for the rest why not and what
 * would do. It reads /proc as an outsider: the process is not stopped and need not have the agent.
 * What the process itself may do comes first (doctor-rights.c): where the agent has no right to
 * work, nothing that the VMM offers explains anything.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/outlook.h"
#include "cli/reporting.h"
#include "cli/smaps.h"
#include "policy/reason.h"
#include "sys/look.h"
#include "sys/path.h"
#include "sys/proc.h"
#include "wire/wire.h"

#define MIB (1024.0 * 1024.0)
#define STAT_MAX 4096u

static int take_line(const char *line, void *smaps)
{
	smaps_line(smaps, line);
	return 0;
}

struct fds {
	unsigned int vfio;
	unsigned int uffd;
};

static int take_fd_target(const char *target, void *arg)
{
	struct fds *fds = arg;

	fds->vfio += !strncmp(target, "/dev/vfio/", 10) || strstr(target, "[vfio") != NULL;
	fds->uffd += strstr(target, "[userfaultfd]") != NULL;
	return 0;
}

static const struct {
	enum smaps_kind kind;
	const char *check;
	const char *why;
	const char *mend;
} kinds[] = {
	{SMAPS_SHARED, "shared mappings",
	 "of MAP_SHARED memory (memfd, shmem, files) cannot be taken page by page",
	 "QEMU: plain -m SIZE, or memory-backend-ram without share=on"},
	{SMAPS_HUGETLB, "hugetlb", "of hugetlb pages cannot be shared at 4 KiB",
	 "QEMU: leave out -mem-path and hugetlb=on; huge pages come by themselves"},
	{SMAPS_FILE, "private file mappings", "are private mappings of files",
	 "QEMU: memory-backend-ram in the place of memory-backend-file"},
	{SMAPS_LOCKED, "locked memory", "is mlocked: it is never taken out",
	 "QEMU: -overcommit mem-lock=off; libvirt: no <locked/>"},
	{SMAPS_DEVICE, "device memory", "is a device's, not RAM", NULL},
};

static void check_private(struct report *report, const struct smaps *smaps)
{
	double size = (double)smaps->bytes[SMAPS_PLAIN] / MIB;
	double present = (double)smaps->present[SMAPS_PLAIN] / MIB;

	if (smaps->agent)
		report_add(report, "other private memory", FINDING_OK, NULL,
			   "%.1f MiB, %.1f MiB of it present: the VMM did not offer it", size,
			   present);
	else if (smaps->bytes[SMAPS_PLAIN])
		report_add(report, "private memory", FINDING_OK, NULL,
			   "%.1f MiB in %u mappings could be shared, %.1f MiB of it is present",
			   size, smaps->n[SMAPS_PLAIN], present);
	else
		report_add(report, "private memory", FINDING_MISSING,
			   "give the guest private anonymous RAM (QEMU: plain -m SIZE)",
			   "no private anonymous mapping of 2 MiB or more");
}

static void check_memory(struct report *report, const struct smaps *smaps)
{
	size_t i;

	check_private(report, smaps);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!smaps->bytes[kinds[i].kind])
			continue;
		report_add(report, kinds[i].check, FINDING_NOTE, kinds[i].mend, "%.1f MiB %s",
			   (double)smaps->bytes[kinds[i].kind] / MIB, kinds[i].why);
	}
}

static void check_agent(struct report *report, const struct smaps *smaps, unsigned int uffds,
			const struct doctor_env *env)
{
	if (smaps->agent)
		report_add(report, "agent", FINDING_OK, NULL, "is loaded%s",
			   smaps->bytes[SMAPS_UFFD] ? "" : ", and looks after no memory");
	else if (env->agent)
		report_add(report, "agent", FINDING_MISSING,
			   "see what its own log has of ld.so (libvirt: /var/log/libvirt/qemu)",
			   "LD_PRELOAD names %s, and it is not loaded", env->agent);
	else
		report_add(report, "agent", FINDING_MISSING,
			   "start it by 'pshare run -- COMMAND...'",
			   "libpshare-agent.so is not loaded into this process");
	if (!smaps->agent && (smaps->bytes[SMAPS_UFFD] || uffds))
		report_add(report, "other userfaultfd", FINDING_MISSING,
			   "end postcopy migration or background snapshot first",
			   "%u descriptors, %.1f MiB registered: memory has one userfaultfd at a "
			   "time",
			   uffds, (double)smaps->bytes[SMAPS_UFFD] / MIB);
}

/* Why a VM, or a region of it, shares nothing: what is missing for it. */
static void check_reason(struct report *report, const char *check, const json_t *object)
{
	const char *reason = ask_text(object, "reason"), *mend = ask_text(object, "mend");

	/* huge pages that stay whole are the administrator's choice, and the default */
	bool chosen = !strcmp(reason, ps_cause_name(PS_CAUSE_LARGE));

	if (*reason)
		report_add(report, check, chosen ? FINDING_NOTE : FINDING_MISSING,
			   *mend ? mend : NULL, "%.1f MiB share nothing: %s: %s",
			   (double)ask_number(object, "size") / MIB, reason,
			   ask_text(object, "why"));
}

static void check_regions(struct report *report, const json_t *vm)
{
	char text[OUTLOOK_MAX];
	const json_t *region;
	size_t i;

	report_add(report, "daemon", FINDING_OK, NULL, "knows it as VM %s, %.1f MiB, %s",
		   ask_text(vm, "name"), (double)ask_number(vm, "size") / MIB,
		   ask_text(vm, "state"));
	check_reason(report, "VM", vm);
	if (outlook_pass(vm, false, text))
		report_add(report, "first pass", FINDING_NOTE, NULL, "%s", text);
	if (ask_number(vm, "large"))
		report_add(report, "huge pages", FINDING_NOTE, NULL,
			   "%.1f MiB of it; taken apart they would share %.1f MiB so far (see "
			   "Mem.AllocGuestLargePage)",
			   (double)ask_number(vm, "large") / MIB,
			   (double)ask_number(vm, "COWH") / MIB);
	json_array_foreach(json_object_get(vm, "regions"), i, region)
	{
		check_reason(report, "region", region);
	}
}

static int take_argument(const char *word, void *off)
{
	*(bool *)off |= strstr(word, "mem-merge=off") != NULL;
	return 0;
}

/* The daemon does not know it, and the reason is the first that holds. */
static void say_unknown(struct report *report, pid_t pid, const char *dir, bool has_rights)
{
	bool off = false;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	(void)sys_each_word(path, take_argument, &off);
	if (!has_rights)
		report_add(report, "daemon", FINDING_NOTE, "first see to what is missing above",
			   "the one in %s does not know this process", dir);
	else if (off)
		report_add(report, "daemon", FINDING_MISSING,
			   "QEMU: -machine mem-merge=on; libvirt: take <nosharepages/> out",
			   "the one in %s does not know this process: mem-merge=off, so it offers "
			   "no memory",
			   dir);
	else
		report_add(report, "daemon", FINDING_MISSING, reason_mend(PS_CAUSE_NOT_OFFERED),
			   "the one in %s does not know this process: %s: %s; or it talks to "
			   "another daemon (give its --runtime-dir)",
			   dir, ps_cause_name(PS_CAUSE_NOT_OFFERED),
			   reason_text(PS_CAUSE_NOT_OFFERED));
}

/* Which daemon: the one of the command line, else that of the process, else ours. */
static int find_runtime(struct runtime *runtime, const struct args *args,
			const struct doctor_env *env)
{
	if (args->runtime_dir || !env->runtime_dir)
		return runtime_find_daemon(runtime, args);
	snprintf(runtime->dir, sizeof(runtime->dir), "%s", env->runtime_dir);
	runtime->chosen = true;
	return 0;
}

/* What the daemon knows of a process with the agent in it. */
static void check_daemon(struct report *report, const struct args *args,
			 const struct doctor_env *env, bool has_rights)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *answer = NULL;
	const json_t *vm;
	struct runtime runtime;
	size_t i;

	if (find_runtime(&runtime, args, env) || client_new(&client, &runtime))
		return;
	if (client_try(client, &answer, "/v1/vms")) {
		report_add(report, "daemon", FINDING_MISSING, "systemctl start pshared",
			   "none answers in %s", runtime.dir);
		return;
	}
	json_array_foreach(json_object_get(answer, "vms"), i, vm)
	{
		if (ask_number(vm, "pid") == (uint64_t)args->pid) {
			check_regions(report, vm);
			return;
		}
	}
	say_unknown(report, args->pid, runtime.dir, has_rights);
}

/* What the VMM offers to KSM is what the agent takes; so an offer of nothing explains a lot. */
static void check_offer(struct report *report, const struct smaps *smaps)
{
	if (smaps->agent || !smaps->bytes[SMAPS_PLAIN])
		return;
	if (smaps->mergeable)
		report_add(report, "MADV_MERGEABLE", FINDING_OK, NULL, "%.1f MiB are offered",
			   (double)smaps->mergeable / MIB);
	else
		report_add(report, "MADV_MERGEABLE", FINDING_NOTE,
			   "QEMU: -machine mem-merge=on (the default)",
			   "nothing is offered, so an agent would take nothing");
}

static void check_ksm(struct report *report, pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ksm_stat", pid);
	if (sys_read_text(path, STAT_MAX, &text) || !strstr(text, "ksm_merge_any: yes"))
		return;
	report_add(report, "prctl KSM", FINDING_NOTE,
		   "take MemoryKSM=yes out of its unit, or run it by 'pshare run'",
		   "PR_SET_MEMORY_MERGE is set: KSM takes all of this process, whatever the VMM "
		   "asked for");
}

static void check_vfio(struct report *report, const struct fds *fds)
{
	if (fds->vfio)
		report_add(report, "VFIO", FINDING_MISSING,
			   "run this guest without passed-through devices",
			   "%u VFIO descriptors: a device may write to any page at any time, so "
			   "pages stay pinned and unshared",
			   fds->vfio);
}

static int take_word(const char *word, void *reporting)
{
	reporting_word(reporting, word);
	return 0;
}

/* Not sharing's business, but what is freed and not given back is never shared either. */
static void check_reporting(struct report *report, pid_t pid)
{
	struct reporting reporting = {0};

	if (sys_each_argument(pid, take_word, &reporting) || !reporting.qemu || reporting.on)
		return;
	report_add(report, "free page reporting", FINDING_NOTE,
		   "QEMU: -device virtio-balloon-pci,free-page-reporting=on; libvirt: <memballoon "
		   "freePageReporting='on'>",
		   "%s: memory that the guest has freed stays, unshared, with its old content",
		   reporting.balloon ? "its balloon does not report free pages" :
				       "it has no balloon that could report free pages");
}

/* Mappings used, against what one process may have. */
static void check_mappings(struct report *report, const struct smaps *smaps)
{
	uint64_t limit = 0;

	if (sys_read_u64("/proc/sys/vm/max_map_count", &limit))
		return;
	report_add(report, "mappings", smaps->mappings > limit / 4 * 3 ? FINDING_NOTE : FINDING_OK,
		   smaps->mappings > limit / 4 * 3 ? "as root: sysctl -w vm.max_map_count=1048576" :
						     NULL,
		   "%u of %" PRIu64, smaps->mappings, limit);
}

int doctor_process(struct report *report, const struct args *args)
{
	pid_t pid = args->pid;
	struct smaps smaps = {0};
	struct fds fds = {0};
	_cleanup_doctor_env_ struct doctor_env env = {0};
	bool has_rights;
	char comm[SYS_COMM_MAX], path[64];
	int r = sys_comm(pid, comm);

	if (r)
		return say_error(CLI_FAILED, "there is no process %d", pid);
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	r = sys_each_line(path, take_line, &smaps);
	if (!r)
		r = sys_each_fd(pid, take_fd_target, &fds);
	if (r)
		return say_error(CLI_FAILED, "process %d (%s) cannot be looked at: %s", pid, comm,
				 strerror(-r));
	doctor_env_read(&env, pid);
	has_rights = doctor_rights(report, pid, &env);
	check_agent(report, &smaps, fds.uffd, &env);
	if (smaps.agent)
		check_daemon(report, args, &env, has_rights);
	check_memory(report, &smaps);
	check_offer(report, &smaps);
	check_vfio(report, &fds);
	check_ksm(report, pid);
	check_reporting(report, pid);
	check_mappings(report, &smaps);
	return 0;
}
