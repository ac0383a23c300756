/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fleet drain --dry-run: where the VMs of a host would fit, by the figures of the last reports
 * and the fleet's rules (policy/admission.h). VMs are counted whole, as for admission. Standby
 * hosts, under the policy that has them, take none: they are for failures. Nothing is moved: that
 * is for whoever runs the VMs to do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fleet.h"

static const struct column columns[] = {{"VM", false},
					{"MIB", true},
					{"TO", false},
					{"LEFT/MIB", true}};

struct drain {
	struct fleet_load load;
	uint32_t from;
	uint64_t *size;	 /* of the VMs that go */
	uint32_t *which; /* their place in load.vms */
	uint32_t n;
	uint64_t *free; /* of the hosts that take */
	uint32_t *host; /* their place in load.hosts */
	uint32_t nhosts;
	uint32_t *order, *place;
};

static void drain_deinit(struct drain *d)
{
	fleet_load_free(&d->load);
	free(d->size);
	free(d->which);
	free(d->free);
	free(d->host);
	free(d->order);
	free(d->place);
}
#define _cleanup_drain_ _cleanup_(drain_deinit)

static int drain_init(struct drain *d, const struct fleet_state *state, uint32_t from)
{
	struct admission_rules rules = fleetrules_admission(&state->rules);
	_cleanup_free_ uint64_t *left = NULL;
	size_t vms, hosts;

	if (fleet_load_init(&d->load, state))
		return -1;
	vms = d->load.nvms + 1;
	hosts = d->load.nhosts + 1;
	d->size = calloc(vms, sizeof(*d->size));
	d->which = calloc(vms, sizeof(*d->which));
	d->order = calloc(vms, sizeof(*d->order));
	d->place = calloc(vms, sizeof(*d->place));
	left = calloc(hosts, sizeof(*left));
	d->free = calloc(hosts, sizeof(*d->free));
	d->host = calloc(hosts, sizeof(*d->host));
	if (!d->size || !d->which || !d->order || !d->place || !d->free || !d->host || !left)
		return -1;
	d->from = from;
	for (uint32_t h = 0; h < d->load.nhosts; h++)
		left[h] = d->load.hosts[h].memory;
	for (uint32_t i = 0; i < d->load.nvms; i++) {
		uint64_t size = admission_size(&d->load.vms[i], &rules);
		uint64_t *room = &left[d->load.vms[i].host];

		*room -= size < *room ? size : *room;
	}
	for (uint32_t h = 0; h < d->load.nhosts; h++) {
		if (h == from || d->load.hosts[h].out || d->load.hosts[h].failover)
			continue;
		d->free[d->nhosts] = left[h];
		d->host[d->nhosts++] = h;
	}
	for (uint32_t i = 0; i < d->load.nvms; i++) {
		if (d->load.vms[i].host != from)
			continue;
		d->size[d->n] = admission_size(&d->load.vms[i], &rules);
		d->which[d->n++] = i;
	}
	return 0;
}

static json_t *vm_object(const struct drain *d, const struct fleet_state *state, uint32_t i)
{
	uint32_t at = d->place[i];
	bool fits = at != ADMISSION_NOWHERE;

	return json_pack("{s:s, s:I, s:s?}", "vm", d->load.names[d->which[i]], "bytes",
			 (json_int_t)d->size[i], "to",
			 fits ? state->hosts[d->host[at]].name : NULL);
}

static int print_drain(const struct drain *d, const struct fleet *fleet, uint32_t homeless)
{
	_cleanup_table_ struct table *table = table_new(columns, 4);
	_cleanup_json_ json_t *list = json_array();
	const char *name = fleet->state.hosts[d->from].name;

	for (uint32_t i = 0; i < d->n; i++) {
		uint32_t at = d->place[i];

		if (!table || table_row(table) ||
		    json_array_append_new(list, vm_object(d, &fleet->state, i)))
			return say_error(CLI_FAILED, "out of memory");
		table_text(table, 0, "%s", d->load.names[d->which[i]]);
		table_size(table, 1, d->size[i], false);
		if (at == ADMISSION_NOWHERE) {
			table_text(table, 2, "(nowhere)");
			continue;
		}
		table_text(table, 2, "%s", fleet->state.hosts[d->host[at]].name);
		table_size(table, 3, d->free[at], false);
	}
	if (fleet->args->json) {
		_cleanup_json_ json_t *whole = json_pack("{s:s, s:b, s:I, s:O}", "host", name,
							 "fits", homeless == 0, "homeless",
							 (json_int_t)homeless, "vms", list);

		return whole ? print_json(whole) : say_error(CLI_FAILED, "out of memory");
	}
	if (d->n)
		table_print(table, stdout);
	if (homeless)
		printf("%s%u of %u VMs of %s fit nowhere\n", d->n ? "\n" : "", homeless, d->n,
		       name);
	else
		printf("%sall %u VMs of %s fit on %u other host%s\n", d->n ? "\n" : "", d->n, name,
		       d->nhosts, d->nhosts == 1 ? "" : "s");
	return CLI_OK;
}

int fleet_drain(struct fleet *fleet)
{
	static const enum fleet_key kinds[] = {FLEET_ALL, FLEET_REPORT, FLEET_ALIVE, FLEET_PENDING};
	const char *name = fleet->args->operands[1];
	_cleanup_drain_ struct drain d = {0};
	const struct fleet_host *host;
	uint32_t homeless;
	int r;

	if (!fleet->args->dry_run)
		return say_usage(fleet->args->command,
				 "'fleet drain' moves nothing: it says where VMs would fit, with "
				 "--dry-run");
	r = fleet_read(fleet, kinds, 4);
	if (r)
		return r;
	host = fleet_state_host(&fleet->state, name);
	if (!host || !host->report)
		return say_error(CLI_FAILED, "fleet %s knows no host %s", fleet->config.fleet,
				 name);
	if (drain_init(&d, &fleet->state, (uint32_t)(host - fleet->state.hosts)))
		return say_error(CLI_FAILED, "out of memory");
	homeless = admission_fit(d.free, d.nhosts, d.size, d.n, d.order, d.place);
	r = print_drain(&d, fleet, homeless);
	return r ? r : homeless ? CLI_FAILED : CLI_OK;
}
