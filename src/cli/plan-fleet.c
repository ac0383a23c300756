/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plan of a fleet: hosts, VMs and rules as etcd has them, and the sketches that hosts put there
 * (fleet/node-likeness.c). Of a host that is away its last report is shown; it counts for nothing.
 */
#include <errno.h>
#include <stdio.h>

#include "cli/fleet.h"
#include "cli/plan-load.h"

static unsigned int mode_of(const struct fleet_host *host)
{
	const json_t *settings = json_object_get(host->settings, "settings");
	const char *value = ask_text(json_object_get(settings, "Mem.ShareForceSalting"), "value");

	return *value >= '0' && *value <= '2' && !value[1] ? (unsigned int)(*value - '0') : 2;
}

static int add_host(struct planned *p, const struct fleet_host *host, uint32_t tokens)
{
	const json_t *memory = json_object_get(host->report, "memory"), *vm;
	const json_t *sketches = json_object_get(host->likeness, "vms");
	uint64_t saving = ask_number(json_object_get(host->report, "pshare"), "saving");
	int64_t number = plan_load_host(&p->plan, host->name, ask_number(memory, "total"),
					host->connected ? PLAN_HERE : PLAN_AWAY, mode_of(host));
	size_t i;

	if (number < 0)
		return -ENOMEM;
	json_array_foreach(json_object_get(host->report, "vms"), i, vm)
	{
		const json_t *sketch = json_object_get(sketches, ask_text(vm, "name"));

		p->unsketched += host->connected && !ask_number(sketch, "tokens");
		if (plan_load_vm(&p->plan, &p->keys, (uint32_t)number, vm, sketch, tokens))
			return -ENOMEM;
	}
	if (host->connected)
		p->plan.measured += saving;
	return plan_load_measured(p, (uint32_t)number, saving);
}

int plan_of_fleet(struct planned *p)
{
	static const enum fleet_key kinds[] = {FLEET_ALL_RULE, FLEET_REPORT, FLEET_ALIVE,
					       FLEET_SETTINGS, FLEET_LIKENESS};
	_cleanup_fleet_ struct fleet fleet = {0};
	size_t nvms = 0;
	int r = fleet_open(&fleet, p->args);

	if (!r)
		r = fleet_read(&fleet, kinds, sizeof(kinds) / sizeof(kinds[0]));
	if (r)
		return r;
	snprintf(p->from, sizeof(p->from), "fleet %s", fleet.config.fleet);
	p->plan.rules = fleet.state.rules;
	for (size_t i = 0; i < fleet.state.nhosts; i++)
		nvms += json_array_size(json_object_get(fleet.state.hosts[i].report, "vms"));
	for (size_t i = 0; i < fleet.state.nhosts; i++)
		if (fleet.state.hosts[i].report &&
		    add_host(p, &fleet.state.hosts[i], plan_load_tokens(nvms, fleet.state.nhosts)))
			return say_error(CLI_FAILED, "out of memory");
	if (!p->plan.nhosts)
		return say_error(CLI_FAILED, "no host of fleet %s has reported",
				 fleet.config.fleet);
	return plan_load_end(p);
}
