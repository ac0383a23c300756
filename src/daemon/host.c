/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host.h"

#include <errno.h>
#include <string.h>

#include "daemon/rehome.h"
#include "daemon/vm.h"
#include "sys/cleanup.h"
#include "sys/path.h"
#include "sys/proc.h"

#define HOST_TICK (1 * SEC)
#define MEMINFO_MAX_AGE (250 * MSEC)
#define MHZ_UNKNOWN 1000u /* one slow CPU: rates are then too low, never too high */
#define MAP_COUNT_UNKNOWN 65530u

static void read_memory(struct daemon *d)
{
	struct sys_meminfo info;

	if (sys_meminfo(&info) < 0)
		return;
	d->host.memory = info.total;
	d->host.pages = info.total / PS_PAGE_SIZE;
	d->mem_available = info.available;
	d->host_read_at = d->now;
	d->memory_short = info.available <
			  memstate_min_free(info.total, 0) / 100 * memstate_threshold(MEMSTATE_LOW);
}

static void step_memstate(struct daemon *d)
{
	d->memstate =
		memstate_step(d->memstate, d->mem_available, memstate_min_free(d->host.memory, 0));
}

void host_read_facts(struct daemon *d)
{
	int r;

	read_memory(d);
	if (!d->host_read_at)
		log_warn("cannot read how much memory the host has: stores stay small");
	for (unsigned int i = 0; d->host_read_at && i < MEMSTATE_END; i++)
		step_memstate(d);
	r = sys_cpu_mhz(&d->host.mhz);
	if (r < 0) {
		d->host.mhz = MHZ_UNKNOWN;
		log_warn("cannot read the clock of the CPUs (%s): taken for 1 GHz in all",
			 strerror(-r));
	}
	if (sys_read_u64("/proc/sys/vm/max_map_count", &d->host.max_map_count) < 0)
		d->host.max_map_count = MAP_COUNT_UNKNOWN;
}

void host_tick(struct daemon *d)
{
	if (!d->nvms)
		return;
	if (d->now - d->host_read_at >= HOST_TICK) {
		read_memory(d);
		step_memstate(d);
	}
	daemon_wake_at(d, d->now + HOST_TICK);
}

bool host_memory_short(struct daemon *d)
{
	if (d->now - d->host_read_at > MEMINFO_MAX_AGE)
		read_memory(d);
	return d->memory_short;
}

int host_load_policy(struct daemon *d)
{
	const char *path = d->options->policy;
	_cleanup_free_ char *text = NULL;
	struct access_policy *policy = NULL;
	char err[POLICY_ERROR_MAX];
	int r = 0;

	if (path)
		r = sys_read_text(path, ACCESS_FILE_MAX + 1, &text);
	if (r < 0) {
		log_error("--policy %s: %s", path, strerror(-r));
		return r;
	}
	r = access_parse_names(text, text ? strlen(text) : 0, sys_user_id, &policy, err);
	if (r < 0) {
		log_error("--policy %s: %s", path ? path : "(none)", err);
		return r;
	}
	access_free(d->policy);
	d->policy = policy;
	return 0;
}

void host_apply_policy(struct daemon *d)
{
	list_for_each(vm, &d->vms, struct vm, link)
		vm_judge_salt(vm);
	rehome_all(d);
	if (d->options->policy)
		log_info("the policy was read again");
	else
		log_info("no --policy was given: there is none to read again");
}
