/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unmanaged: what the daemon cannot say, since nobody told it.
 *
 * An agent starts when its VMM offers memory. A VMM that offers none (QEMU's mem-merge=off) has
 * the library in it and no agent, so the daemon has never heard of it, and "there is no VM of that
 * name" would be all that its owner is told. So processes are looked at from outside: they were
 * started with the library preloaded, it is mapped, and they have memory of a guest's size. A
 * shell that is on its way to the VMM, and what it starts besides, has not.
 *
 * Limits: a process that this user may not look at is not found. One that talks to another daemon
 * is, if it offered nothing; what it offered to another daemon is registered with a userfaultfd,
 * by which it is told.
 *
 * Rejected: an agent that starts when the library is loaded. It would be a thread in every shell
 * and every helper that a wrapper starts.
 */
#include "cli/unmanaged.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/smaps.h"
#include "policy/reason.h"
#include "sys/look.h"
#include "sys/proc.h"
#include "wire/wire.h"

#define GUEST_MIN (16u << 20) /* private memory of a VMM that is worth a row */
#define LIBRARY "libpshare-agent.so"

struct search {
	const json_t *vms;
	json_t *found;
};

static bool is_known(const json_t *vms, pid_t pid)
{
	const json_t *vm;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)vms, i, vm)
	{
		if (ask_number(vm, "pid") == (uint64_t)pid)
			return true;
	}
	return false;
}

static int take_line(const char *line, void *smaps)
{
	smaps_line(smaps, line);
	return 0;
}

/* Has it the library, memory of a guest's size, and none that an agent looks after? */
static bool is_unmanaged(pid_t pid)
{
	char preload[PATH_MAX], path[32];
	struct smaps smaps = {0};

	if (sys_process_variable(pid, "LD_PRELOAD", preload, sizeof(preload)) ||
	    !strstr(preload, LIBRARY))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	if (sys_each_line(path, take_line, &smaps))
		return false;
	return smaps.agent && !smaps.n[SMAPS_UFFD] && smaps.bytes[SMAPS_PLAIN] >= GUEST_MIN;
}

static int take_process(pid_t pid, void *arg)
{
	struct search *search = arg;
	char name[PS_NAME_MAX] = "", comm[SYS_COMM_MAX] = "";
	uid_t uid = 0;
	json_t *vm;

	if (is_known(search->vms, pid) || !is_unmanaged(pid) || sys_comm(pid, comm) ||
	    sys_process_uid(pid, &uid))
		return 0;
	if (sys_process_variable(pid, "PSHARE_NAME", name, sizeof(name)) || ps_name_check(name))
		snprintf(name, sizeof(name), "%s-%d", comm, pid);
	vm = json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:s, s:s}", "name", name, "pid", (int)pid,
		       "uid", (int)uid, "comm", comm, "state", "off", "reason",
		       ps_cause_name(PS_CAUSE_NOT_OFFERED), "why",
		       reason_text(PS_CAUSE_NOT_OFFERED), "mend",
		       reason_mend(PS_CAUSE_NOT_OFFERED));
	return !vm || json_array_append_new(search->found, vm) ? -ENOMEM : 0;
}

json_t *unmanaged(const json_t *vms)
{
	struct search search = {.vms = vms, .found = json_array()};

	if (search.found && sys_each_process(take_process, &search) == -ENOMEM) {
		json_decref(search.found);
		return NULL;
	}
	return search.found;
}
