/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fleet hosts, get: what is there, and what is in force. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fleet.h"
#include "policy/settings.h"

static int no_memory(void)
{
	return say_error(CLI_FAILED, "out of memory");
}

/* ---- hosts --------------------------------------------------------------------------------- */

enum { H_NAME, H_STATE, H_SINCE, H_VERSION, H_MEMORY, H_VMS, H_SIZE, H_SAVING, H_DRIFT, H_END };

static const struct column host_columns[H_END] = {
	[H_NAME] = {"HOST", false},    [H_STATE] = {"STATE", false},
	[H_SINCE] = {"SINCE", false},  [H_VERSION] = {"VERSION", false},
	[H_MEMORY] = {"MEMORY", true}, [H_VMS] = {"VMS", true},
	[H_SIZE] = {"VMSIZE", true},   [H_SAVING] = {"SAVING", true},
	[H_DRIFT] = {"DRIFT", true},
};

static uint64_t size_of_vms(const json_t *report)
{
	const json_t *vm;
	uint64_t sum = 0;
	size_t i;

	json_array_foreach(json_object_get(report, "vms"), i, vm) sum += ask_number(vm, "size");
	return sum;
}

/* Settings that are not what is desired, and those that could not be set. */
static unsigned int drifts(const struct fleet_host *host)
{
	unsigned int n = 0;
	const char *name;
	json_t *one;

	json_object_foreach(json_object_get(host->settings, "settings"), name, one)
		n += ask_true(one, "drift") || *ask_text(one, "error");
	return n + (unsigned int)json_object_size(json_object_get(host->settings, "unknown"));
}

static const char *state_of(const struct fleet_host *host)
{
	if (!host->connected)
		return "away";
	if (host->settings && !*ask_text(host->settings, "daemon"))
		return "no-daemon";
	return "connected";
}

static json_t *host_object(const struct fleet_host *host)
{
	json_t *object = json_pack("{s:s, s:s, s:b, s:I, s:I}", "host", host->name, "state",
				   state_of(host), "connected", host->connected, "since",
				   (json_int_t)host->since, "drift", (json_int_t)drifts(host));

	if (host->report)
		(void)json_object_set(object, "report", host->report);
	return object;
}

static int hosts_json(const struct fleet *fleet, const size_t *order)
{
	_cleanup_json_ json_t *list = json_array();
	_cleanup_json_ json_t *whole = NULL;

	for (size_t i = 0; i < fleet->state.nhosts; i++)
		(void)json_array_append_new(list, host_object(&fleet->state.hosts[order[i]]));
	whole = json_pack("{s:s, s:O}", "fleet", fleet->config.fleet, "hosts", list);
	return whole ? print_json(whole) : no_memory();
}

static int add_host(struct table *table, const struct fleet_host *host)
{
	const json_t *report = host->report;
	char when[FLEET_WHEN_MAX];

	if (table_row(table))
		return no_memory();
	table_text(table, H_NAME, "%s", host->name);
	table_text(table, H_STATE, "%s", state_of(host));
	table_text(table, H_SINCE, "%s", fleet_when(when, host->since));
	if (!report)
		return 0;
	table_text(table, H_VERSION, "%s", ask_text(report, "version"));
	table_size(table, H_MEMORY, ask_number(json_object_get(report, "memory"), "total"), false);
	table_text(table, H_VMS, "%zu", json_array_size(json_object_get(report, "vms")));
	table_size(table, H_SIZE, size_of_vms(report), false);
	table_size(table, H_SAVING, ask_number(json_object_get(report, "pshare"), "saving"), false);
	table_text(table, H_DRIFT, "%u", drifts(host));
	return 0;
}

int fleet_hosts(struct fleet *fleet)
{
	static const enum fleet_key kinds[] = {FLEET_REPORT, FLEET_SETTINGS, FLEET_ALIVE};
	_cleanup_table_ struct table *table = table_new(host_columns, H_END);
	_cleanup_free_ size_t *order = NULL;
	size_t connected = 0;
	int r = fleet_read(fleet, kinds, 3);

	if (r)
		return r;
	order = fleet_state_order(&fleet->state);
	if (!order || !table)
		return no_memory();
	if (fleet->args->json)
		return hosts_json(fleet, order);
	for (size_t i = 0; i < fleet->state.nhosts; i++) {
		connected += fleet->state.hosts[i].connected;
		if (add_host(table, &fleet->state.hosts[order[i]]))
			return CLI_FAILED;
	}
	printf("fleet %s: %zu of %zu hosts are connected; sizes in MiB\n\n", fleet->config.fleet,
	       connected, fleet->state.nhosts);
	table_print(table, stdout);
	return CLI_OK;
}

/* ---- get ----------------------------------------------------------------------------------- */

enum { G_NAME, G_VALUE, G_DESIRED, G_FROM, G_SINCE, G_STATE, G_END };

static const struct column get_columns[G_END] = {
	[G_NAME] = {"HOST", false}, [G_VALUE] = {"VALUE", true},  [G_DESIRED] = {"DESIRED", true},
	[G_FROM] = {"FROM", false}, [G_SINCE] = {"SINCE", false}, [G_STATE] = {"STATE", false},
};

struct shown {
	const char *value, *desired, *from, *error;
	time_t since;
	char state[CELL_MAX];
};

static void look_at(const struct fleet *fleet, const struct fleet_host *host, const char *name,
		    struct shown *shown)
{
	const json_t *one = json_object_get(json_object_get(host->settings, "settings"), name);
	const json_t *want = fleet_state_want(&fleet->state, host, name);
	const json_t *unknown = json_object_get(json_object_get(host->settings, "unknown"), name);

	*shown = (struct shown){
		.value = ask_text(one, "value"),
		.desired = want ? ask_text(want, "value") : "-",
		.from = ask_text(one, "from"),
		.since = (time_t)ask_number(one, "since"),
		.error = *ask_text(unknown, "error") ? ask_text(unknown, "error") :
						       ask_text(one, "error"),
	};
	if (!host->connected)
		snprintf(shown->state, CELL_MAX, "away%s",
			 want && strcmp(ask_text(want, "change"), ask_text(one, "change")) != 0 ?
				 "; gets it when it is back" :
				 "");
	else if (*shown->error)
		snprintf(shown->state, CELL_MAX, "%.120s", shown->error);
	else if (ask_true(one, "drift"))
		snprintf(shown->state, CELL_MAX, "drift: set by hand");
	else if (want && strcmp(ask_text(want, "change"), ask_text(one, "change")) != 0)
		snprintf(shown->state, CELL_MAX, "not confirmed yet");
	else
		snprintf(shown->state, CELL_MAX, want ? "as desired" : "not managed");
}

static json_t *shown_object(const struct fleet_host *host, const struct shown *shown)
{
	return json_pack("{s:s, s:b, s:s, s:s, s:s, s:I, s:s}", "host", host->name, "connected",
			 host->connected, "value", shown->value, "desired", shown->desired, "from",
			 shown->from, "since", (json_int_t)shown->since, "state", shown->state);
}

static int get_setting(struct fleet *fleet, const char *name)
{
	_cleanup_table_ struct table *table = table_new(get_columns, G_END);
	_cleanup_free_ size_t *order = fleet_state_order(&fleet->state);
	_cleanup_json_ json_t *list = json_array();
	char when[FLEET_WHEN_MAX];

	if (!order || !table || !list)
		return no_memory();
	for (size_t i = 0; i < fleet->state.nhosts; i++) {
		const struct fleet_host *host = &fleet->state.hosts[order[i]];
		struct shown shown;

		look_at(fleet, host, name, &shown);
		if (json_array_append_new(list, shown_object(host, &shown)) || table_row(table))
			return no_memory();
		table_text(table, G_NAME, "%s", host->name);
		table_text(table, G_VALUE, "%s", shown.value);
		table_text(table, G_DESIRED, "%s", shown.desired);
		table_text(table, G_FROM, "%s", shown.from);
		table_text(table, G_SINCE, "%s", fleet_when(when, shown.since));
		table_text(table, G_STATE, "%s", shown.state);
	}
	if (fleet->args->json) {
		_cleanup_json_ json_t *whole = json_pack("{s:s, s:O}", "name", name, "hosts", list);

		return whole ? print_json(whole) : no_memory();
	}
	table_print(table, stdout);
	return CLI_OK;
}

static const struct column desired_columns[] = {{"NAME", false},
						{"VALUE", true},
						{"BY", false},
						{"SINCE", false},
						{"MEANING", false}};

static int add_desired(struct table *table, json_t *list, const char *name, const char *value,
		       const json_t *record, const char *text)
{
	const json_t *who = json_object_get(record, "who");
	char when[FLEET_WHEN_MAX];

	if (table_row(table))
		return no_memory();
	table_text(table, 0, "%s", name);
	table_text(table, 1, "%s", *value ? value : "-");
	if (record)
		table_text(table, 2, "%s@%s", ask_text(who, "user"), ask_text(who, "host"));
	table_text(table, 3, "%s", fleet_when(when, (time_t)ask_number(record, "when")));
	table_text(table, 4, "%s", text);
	(void)json_array_append_new(list, json_pack("{s:s, s:s, s:O*, s:I}", "name", name, "value",
						    value, "who", who, "when",
						    (json_int_t)ask_number(record, "when")));
	return 0;
}

/* All that is desired of every host, and all rules. */
static int get_all(struct fleet *fleet)
{
	_cleanup_table_ struct table *table = table_new(desired_columns, 5);
	_cleanup_json_ json_t *list = json_array();
	char value[FLEETRULE_TEXT_MAX];
	const char *name;
	json_t *record;
	int r = 0;

	if (!table || !list)
		return no_memory();
	json_object_foreach(fleet->state.wants, name, record)
	{
		int id = setting_find(name, false, NULL);

		r = r ? r :
			add_desired(table, list, name, ask_text(record, "value"), record,
				    id < 0 ? "" : setting_get((enum setting_id)id)->text);
	}
	for (int id = 0; id < FLEETRULE_END && !r; id++) {
		const struct fleetrule_row *row = fleetrule_get((enum fleetrule)id);

		fleetrule_format(&fleet->state.rules, (enum fleetrule)id, value);
		r = add_desired(table, list, row->name, value,
				json_object_get(fleet->state.rule_records, row->name), row->text);
	}
	if (r)
		return r;
	if (fleet->args->json)
		return print_json(list);
	table_print(table, stdout);
	return CLI_OK;
}

static int get_rule(struct fleet *fleet, int rule)
{
	const char *name = fleetrule_get((enum fleetrule)rule)->name;
	const json_t *record = json_object_get(fleet->state.rule_records, name);
	char value[FLEETRULE_TEXT_MAX];

	fleetrule_format(&fleet->state.rules, (enum fleetrule)rule, value);
	if (fleet->args->json) {
		_cleanup_json_ json_t *object = json_pack("{s:s, s:s, s:O*, s:I}", "name", name,
							  "value", value, "who",
							  json_object_get(record, "who"), "when",
							  (json_int_t)ask_number(record, "when"));

		return object ? print_json(object) : no_memory();
	}
	puts(value);
	return CLI_OK;
}

int fleet_get(struct fleet *fleet)
{
	static const enum fleet_key kinds[] = {FLEET_ALL, FLEET_SETTINGS, FLEET_ALIVE,
					       FLEET_HOST_SET};
	const char *name = NULL;
	int rule = -1, r;

	if (fleet->args->noperands > 1) {
		name = fleet_name(fleet->args->operands[1], &rule);
		if (!name)
			return CLI_USAGE;
	}
	r = fleet_read(fleet, kinds, name && rule < 0 ? 4 : 1);
	if (r)
		return r;
	if (!name)
		return get_all(fleet);
	return rule >= 0 ? get_rule(fleet, rule) : get_setting(fleet, name);
}
