/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * doctor-host: the kernel's features by probe, this user's rights, the host's settings, and
 * whether the parts of pshare are there.
 *
 * "missing" is what sharing cannot do without, or cannot do fully; "note" what the administrator
 * of a host should know and may want just so.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/agent-path.h"
#include "cli/doctor.h"
#include "cli/outlook.h"
#include "sys/launch.h"
#include "sys/look.h"
#include "sys/path.h"
#include "sys/probe.h"
#include "sys/proc.h"
#include "sys/uapi.h"
#include "sys/uffdprobe.h"

#define TEXT_MAX 256u
#define MEMLOCK_MIN 65536u /* the salt's page, with room */
#define NEWER_KERNEL \
	"run Linux 6.8 or newer (Debian 12: apt install -t bookworm-backports linux-image-amd64)"
#define GROUP "pshare"

/* ---- userfaultfd --------------------------------------------------------------------------- */

static void check_rights(struct report *report)
{
	int by_call = uffd_allowed_by_call();
	int by_device = uffd_allowed_by_device();
	const char *mend = "as root: setfacl -m u:USER:rw /dev/userfaultfd";
	gid_t group;

	if (!by_call || !by_device) {
		report_add(report, "userfaultfd", FINDING_OK, NULL, "may be used, by %s",
			   !by_call && !by_device ? "system call and /dev/userfaultfd" :
			   !by_call		  ? "system call" :
						    "/dev/userfaultfd");
		return;
	}
	if (by_call == -ENOSYS)
		mend = NEWER_KERNEL;
	else if (!sys_group_id(GROUP, &group))
		mend = "as root: usermod -aG " GROUP " USER, then log in anew";
	report_add(report, "userfaultfd", FINDING_MISSING, mend,
		   "may not be used: system call: %s; /dev/userfaultfd: %s", strerror(-by_call),
		   strerror(-by_device));
}

static void check_loop(struct report *report)
{
	const char *why = "";
	enum sys_probe found = sys_probe_move_loops(&why);

	if (found == SYS_PROBE_FINE)
		report_add(report, "UFFDIO_MOVE loop", FINDING_OK, NULL, "%s", why);
	else if (found == SYS_PROBE_LOOPS)
		report_add(report, "UFFDIO_MOVE loop", FINDING_NOTE,
			   "a kernel with the fix (6.18.44, 7.3 or newer) shares more",
			   "%s; huge pages are not taken apart on this kernel", why);
	else
		report_add(report, "UFFDIO_MOVE loop", FINDING_UNKNOWN, NULL, "%s", why);
}

static const struct {
	const char *check;
	const char *what_for;
	uint64_t bit;
} features[] = {
	{"UFFDIO_MOVE", "takes pages out of a guest", UFFD_FEATURE_MOVE},
	{"UFFD WP", "sees writes to shared pages", UFFD_FEATURE_PAGEFAULT_FLAG_WP},
	{"UFFD WP_ASYNC", "finds what changed", UFFD_FEATURE_WP_ASYNC},
	{"UFFD WP_UNPOPULATED", "finds what changed", UFFD_FEATURE_WP_UNPOPULATED},
	{"UFFD WP_HUGETLBFS_SHMEM", "protects shared pages", UFFD_FEATURE_WP_HUGETLBFS_SHMEM},
	{"UFFD EVENT_REMAP", "keeps watch over pages that are moved", UFFD_FEATURE_EVENT_REMAP},
};

static void check_features(struct report *report)
{
	uint64_t have = 0;
	int r = uffd_features(&have);
	size_t i;

	if (r) { /* the right to ask is missing, and that is said already */
		report_add(report, "kernel features", FINDING_UNKNOWN, "first see to userfaultfd",
			   "what needs a userfaultfd cannot be tried");
		return;
	}
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (have & features[i].bit)
			report_add(report, features[i].check, FINDING_OK, NULL, "%s",
				   features[i].what_for);
		else
			report_add(report, features[i].check, FINDING_MISSING, NEWER_KERNEL,
				   "this kernel does not have it; it %s", features[i].what_for);
	}
	check_loop(report);
}

static void check_try(struct report *report, const char *check, const char *what_for, int r)
{
	if (!r)
		report_add(report, check, FINDING_OK, NULL, "%s", what_for);
	else
		report_add(report, check, FINDING_MISSING, NEWER_KERNEL, "%s; it %s", strerror(-r),
			   what_for);
}

/* ---- the host's settings ------------------------------------------------------------------- */

static void check_map_count(struct report *report)
{
	uint64_t count = 0;
	int r = sys_read_u64("/proc/sys/vm/max_map_count", &count);

	if (r)
		report_add(report, "vm.max_map_count", FINDING_UNKNOWN, NULL, "%s", strerror(-r));
	else if (count < DOCTOR_MAP_COUNT)
		report_add(report, "vm.max_map_count", FINDING_MISSING,
			   "as root: sysctl -w vm.max_map_count=1048576, and in /etc/sysctl.d",
			   "%" PRIu64 " mappings a process: sharing stops when they are used up",
			   count);
	else
		report_add(report, "vm.max_map_count", FINDING_OK, NULL,
			   "%" PRIu64 " mappings a process", count);
}

static void check_overcommit(struct report *report)
{
	uint64_t mode = 0;
	int r = sys_read_u64("/proc/sys/vm/overcommit_memory", &mode);

	if (r)
		report_add(report, "vm.overcommit_memory", FINDING_UNKNOWN, NULL, "%s",
			   strerror(-r));
	else if (mode == 2)
		report_add(report, "vm.overcommit_memory", FINDING_MISSING,
			   "as root: sysctl -w vm.overcommit_memory=0",
			   "2: every mapping is charged as if it were written, so memory that is "
			   "saved cannot be given to others");
	else
		report_add(report, "vm.overcommit_memory", FINDING_OK, NULL, "%" PRIu64, mode);
}

static void check_ksm(struct report *report)
{
	uint64_t run = 0;
	int r = sys_read_u64("/sys/kernel/mm/ksm/run", &run);

	if (r || run != 1)
		report_add(report, "KSM", FINDING_OK, NULL, "%s",
			   r ? "not in this kernel" : "not running");
	else
		report_add(report, "KSM", FINDING_NOTE,
			   "as root: echo 2 > /sys/kernel/mm/ksm/run (and stop ksmtuned)",
			   "is running: it merges pages of processes without the agent whoever "
			   "owns them, and costs CPU; VMs with the agent are kept from it");
}

static void check_thp(struct report *report)
{
	_cleanup_free_ char *text = NULL;
	char *start, *end;

	if (sys_read_text("/sys/kernel/mm/transparent_hugepage/enabled", TEXT_MAX, &text)) {
		report_add(report, "huge pages", FINDING_NOTE, NULL,
			   "not in this kernel: guests run on 4 KiB pages");
		return;
	}
	start = strchr(text, '[');
	end = start ? strchr(start, ']') : NULL;
	if (end)
		*end = '\0';
	report_add(report, "huge pages", start ? FINDING_OK : FINDING_UNKNOWN, NULL,
		   "transparent_hugepage is %s; with Mem.AllocGuestLargePage 1 huge pages stay "
		   "whole and unshared",
		   start ? start + 1 : text);
}

static void check_memlock(struct report *report)
{
	uint64_t limit = 0;
	int r = sys_memlock_limit(&limit);

	if (r)
		report_add(report, "memlock", FINDING_UNKNOWN, NULL, "%s", strerror(-r));
	else if (limit < MEMLOCK_MIN)
		report_add(report, "memlock", FINDING_NOTE, "ulimit -l 64",
			   "%" PRIu64 " bytes may be locked: a salt may get into swap", limit);
	else
		report_add(report, "memlock", FINDING_OK, NULL, "enough for a salt");
}

/* ---- the parts of pshare ------------------------------------------------------------------- */

static void check_agent(struct report *report)
{
	char path[PATH_MAX] = "";
	int r = agent_look(path);

	if (r)
		report_add(report, "agent", FINDING_MISSING,
			   "install pshare whole, or set PSHARE_AGENT", "%s: %s", path,
			   strerror(-r));
	else
		report_add(report, "agent", FINDING_OK, NULL, "%s", path);
}

/* What the daemon's VMs have not shared yet, and why, though nothing is missing. */
static void check_outlook(struct report *report, struct client *client, const json_t *host)
{
	_cleanup_json_ json_t *answer = NULL;
	char text[OUTLOOK_MAX];
	const json_t *vm, *vms;
	size_t i;

	if (client_try(client, &answer, "/v1/vms"))
		return;
	vms = json_object_get(answer, "vms");
	if (outlook_large(host, vms, false, text))
		report_add(report, "huge pages of VMs", FINDING_NOTE, NULL, "%s", text);
	if (outlook_pass(host, false, text))
		report_add(report, "first pass", FINDING_NOTE, NULL, "%s", text);
	json_array_foreach((json_t *)(uintptr_t)vms, i, vm)
	{
		if (*ask_text(vm, "reason"))
			report_add(report, "VM", FINDING_NOTE, NULL,
				   "%s shares nothing: %s: %s; see pshare doctor --pid %llu",
				   ask_text(vm, "name"), ask_text(vm, "reason"),
				   ask_text(vm, "why"), (unsigned long long)ask_number(vm, "pid"));
	}
}

static void check_daemon(struct report *report, const struct args *args)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *answer = NULL;
	char path[PATH_MAX] = "";
	struct runtime runtime;

	if (runtime_find_daemon(&runtime, args) || client_new(&client, &runtime))
		report_add(report, "daemon", FINDING_MISSING, "give --runtime-dir DIR",
			   "there is no runtime folder");
	else if (!client_try(client, &answer, "/v1/status")) {
		report_add(report, "daemon", FINDING_OK, NULL, "pshared %s answers in %s",
			   ask_text(answer, "version"), runtime.dir);
		check_outlook(report, client, answer);
	} else if (!daemon_look(path))
		report_add(report, "daemon", FINDING_NOTE, "systemctl start pshared",
			   "none answers in %s; 'pshare run' starts a private one (%s)",
			   runtime.dir, path);
	else
		report_add(report, "daemon", FINDING_MISSING, "install pshare whole",
			   "none answers in %s, and no pshared is found to start one", runtime.dir);
}

void doctor_host(struct report *report, const struct args *args)
{
	check_rights(report);
	check_features(report);
	check_try(report, "PAGEMAP_SCAN", "finds what changed", probe_pagemap_scan());
	check_try(report, "MREMAP_DONTUNMAP", "shares without a window", probe_mremap_anon());
	check_try(report, "MREMAP_DONTUNMAP memfd", "shares without a window",
		  probe_mremap_memfd());
	check_map_count(report);
	check_overcommit(report);
	check_ksm(report);
	check_thp(report);
	check_memlock(report);
	check_agent(report);
	check_daemon(report, args);
}
