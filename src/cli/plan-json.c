/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan as JSON: all sizes in bytes. */
#include "cli/plan.h"

#include <math.h>

const char *const plan_basis_names[PLAN_BASES] = {
	[PLAN_WITH] = "with_sharing",
	[PLAN_ALONE] = "sharing_inside_vms",
	[PLAN_WITHOUT] = "without_sharing",
	[PLAN_WHOLE] = "whole",
};
const char *const plan_way_names[PLAN_WAYS] =
	{[PLAN_FIRST_FIT] = "first_fit", [PLAN_BEST_FIT] = "best_fit", [PLAN_LIKENESS] = "likeness"};
const char *const plan_state_names[] = {"here", "away", "maintenance", "standby"};

static json_t *size(double pages)
{
	return json_integer((json_int_t)llround(pages * PLAN_PAGE));
}

static json_t *settings_of(const struct plan_saving *saving)
{
	json_t *list = json_array();

	for (unsigned int mode = 0; mode < PLAN_MODES; mode++)
		(void)json_array_append_new(
			list, json_pack("{s:i, s:o, s:o, s:o}", "Mem.ShareForceSalting", (int)mode,
					"saved", size(saving->self + saving->between[mode]),
					"change", size(saving->between[mode] - saving->now),
					"error", size(saving->error[mode])));
	return list;
}

static json_t *saved_of(const struct plan_saving *saving)
{
	double across = saving->now - saving->between[2];

	return json_pack("{s:o, s:o, s:o, s:o}", "inside_vms", size(saving->self), "inside_salts",
			 size(saving->between[2]), "across", size(across), "error",
			 size(saving->error[2]));
}

static json_t *hosts_of(const struct planned *p)
{
	json_t *list = json_array();

	for (uint32_t h = 0; h < p->plan.nhosts; h++) {
		const struct plan_host *host = &p->plan.hosts[h];
		const struct plan_saving *saving = &p->outcome.each[h];

		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:i, s:o, s:o, s:i, s:o, s:o, s:o}", "host",
					plan_host_name(&p->plan, h), "state",
					plan_state_names[host->state], "Mem.ShareForceSalting",
					(int)host->mode, "memory", size((double)host->memory),
					"usable", size((double)host->usable), "vms",
					(int)saving->vms, "touched", size(saving->touched), "saved",
					saved_of(saving), "settings", settings_of(saving)));
	}
	return list;
}

static json_t *case_of(const struct planned *p, uint32_t i)
{
	const struct plan_need *need = &p->outcome.cases[i].need;
	json_t *object = json_pack("{s:s, s:I, s:i, s:o}", "case", p->outcome.cases[i].name, "vms",
				   (json_int_t)need->vms, "hosts", (int)need->hosts, "capacity",
				   size(need->capacity));

	for (int basis = 0; basis < PLAN_BASES; basis++) {
		bool known = need->needed[basis] != UINT32_MAX;

		(void)json_object_set_new(
			object, plan_basis_names[basis],
			json_pack("{s:o, s:b, s:I, s:o}", "needed", size(need->used[basis]), "fits",
				  need->homeless[basis] == 0, "homeless",
				  (json_int_t)need->homeless[basis], "hosts_needed",
				  known ? json_integer(need->needed[basis]) : json_null()));
	}
	(void)json_object_set_new(object, "hosts_saved", json_integer(plan_hosts_saved(need)));
	if (p->args->priced)
		(void)json_object_set_new(object, "money_saved",
					  json_real(plan_hosts_saved(need) * p->args->price));
	return object;
}

static json_t *way_of(const struct plan_result *result)
{
	return json_pack("{s:o, s:o, s:i, s:I}", "memory", size(result->used), "saved_between_vms",
			 size(result->saved), "hosts", (int)result->hosts, "homeless",
			 (json_int_t)result->homeless);
}

/* Where each VM lives and should. Names of hosts are one object each: VMs may be millions. */
static json_t *where_of(const struct planned *p)
{
	json_t *list = json_array(), *names = json_array();

	for (uint32_t h = 0; h < p->plan.nhosts; h++)
		(void)json_array_append_new(names, json_string(plan_host_name(&p->plan, h)));
	for (uint32_t i = 0; i < p->plan.nvms; i++) {
		uint32_t from = p->plan.vms[i].host, to = p->outcome.where[i];

		if (p->plan.hosts[from].state == PLAN_AWAY)
			continue;
		(void)json_array_append_new(
			list, json_pack("{s:s, s:O, s:O?}", "vm", plan_vm_name(&p->plan, i), "from",
					json_array_get(names, from), "to",
					to == PLAN_NONE ? NULL : json_array_get(names, to)));
	}
	json_decref(names);
	return list;
}

static json_t *placement_of(const struct planned *p)
{
	json_t *object = json_pack("{s:o}", "today", way_of(&p->outcome.today));
	json_t *moves = json_array();

	for (int way = 0; way < PLAN_WAYS; way++)
		(void)json_object_set_new(object, plan_way_names[way],
					  way_of(&p->outcome.placed[way]));
	for (uint32_t i = 0; i < p->outcome.nmoves; i++) {
		const struct plan_move *move = &p->outcome.moves[i];

		(void)json_array_append_new(
			moves,
			json_pack("{s:s, s:s, s:s, s:o}", "vm", plan_vm_name(&p->plan, move->vm),
				  "from", plan_host_name(&p->plan, move->from), "to",
				  plan_host_name(&p->plan, move->to), "gain", size(move->gain)));
	}
	(void)json_object_set_new(object, "vms",
				  plan_lists_placement(p) ? where_of(p) : json_null());
	(void)json_object_set_new(object, "moves", moves);
	(void)json_object_set_new(object, "moves_sought", json_boolean(p->outcome.moves_sought));
	(void)json_object_set_new(object, "moves_gain", size(p->outcome.gain));
	return object;
}

json_t *plan_json(const struct planned *p)
{
	json_t *whole = json_object(), *cases = json_array(), *more = json_object();

	for (uint32_t i = 0; i < p->outcome.ncases; i++)
		(void)json_array_append_new(cases, case_of(p, i));
	for (int basis = 0; basis < PLAN_BASES; basis++)
		(void)json_object_set_new(more, plan_basis_names[basis],
					  json_integer((json_int_t)p->outcome.more[basis]));
	(void)json_object_set_new(whole, "from", json_string(p->from));
	(void)json_object_set_new(whole, "generated", json_boolean(p->plan.generated));
	(void)json_object_set_new(whole, "vms", json_integer(p->outcome.all.vms));
	(void)json_object_set_new(whole, "vms_without_sketch", json_integer(p->unsketched));
	(void)json_object_set_new(whole, "likeness_keys", json_integer(p->keys.n));
	(void)json_object_set_new(whole, "touched", size(p->outcome.all.touched));
	(void)json_object_set_new(whole, "saved", saved_of(&p->outcome.all));
	if (p->plan.measured)
		(void)json_object_set_new(whole, "saved_measured",
					  json_integer((json_int_t)p->plan.measured));
	(void)json_object_set_new(whole, "settings", settings_of(&p->outcome.all));
	(void)json_object_set_new(whole, "cases", cases);
	(void)json_object_set_new(whole, "room_for_more", more);
	(void)json_object_set_new(whole, "placement", placement_of(p));
	(void)json_object_set_new(whole, "hosts", hosts_of(p));
	return whole;
}
