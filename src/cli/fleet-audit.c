/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fleet audit: each connected host audits itself ('pshare audit', from page frames) and puts what
 * it found into audit/HOST, with the wish that it answers; those are gathered here. 0 only if
 * every connected host has answered and none found anything. Where nobody was there to answer,
 * nothing is known to be well.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fleet.h"
#include "sys/launch.h"
#include "sys/proc.h"

#define DEFAULT_TIMEOUT_S 120.0
#define LOOK_MS 300u
#define FOUND_SHOWN 20u /* of a host */

static const struct column columns[] = {{"HOST", false},
					{"WHEN", false},
					{"VMS", true},
					{"VIOLATIONS", true},
					{"RESULT", false}};

struct wish {
	struct fleet *fleet;
	char id[FLEET_ID_MAX];
};

static bool has_answered(const struct wish *wish, const struct fleet_host *host)
{
	return *wish->id && strcmp(ask_text(host->audit, "asked"), wish->id) == 0;
}

static int put_wish(struct wish *wish)
{
	_cleanup_json_ json_t *answer = NULL;
	_cleanup_json_ json_t *value = NULL;
	char key[FLEET_KEY_MAX];

	if (fleet_new_id(wish->id))
		return say_error(CLI_FAILED, "no random numbers");
	value = json_pack("{s:i, s:s, s:o, s:I}", "schema", FLEET_SCHEMA, "change", wish->id, "who",
			  fleet_who(wish->fleet), "when", (json_int_t)sys_wall_time());
	fleet_key(key, wish->fleet->config.fleet, FLEET_ASK_AUDIT, NULL, NULL);
	return fleet_call(wish->fleet, "/v3/kv/put", etcd_put_body(key, value, 0), false, &answer);
}

static int look(struct fleet *fleet)
{
	static const enum fleet_key kinds[] = {FLEET_AUDIT, FLEET_ALIVE};

	for (size_t i = 0; i < fleet->state.nhosts; i++)
		fleet->state.hosts[i].connected = false;
	return fleet_read(fleet, kinds, 2);
}

/* Of the hosts that are meant. */
static size_t count(const struct fleet *fleet, bool connected)
{
	size_t n = 0;

	for (size_t i = 0; i < fleet->state.nhosts; i++)
		n += fleet->state.hosts[i].connected == connected &&
		     fleet_matches(fleet, fleet->state.hosts[i].name);
	return n;
}

/* Is there anybody to ask? 0 or an exit code, said. */
static int find_hosts(struct fleet *fleet)
{
	static const enum fleet_key kinds[] = {FLEET_REPORT, FLEET_AUDIT, FLEET_ALIVE};
	int r = fleet_read(fleet, kinds, 3);

	if (r || count(fleet, true) || count(fleet, false))
		return r;
	if (fleet->args->host)
		return say_error(CLI_FAILED, "no host of fleet %s matches '%s'", fleet->state.fleet,
				 fleet->args->host);
	return say_error(CLI_FAILED, "fleet %s has no hosts", fleet->state.fleet);
}

static int say_nobody(const struct fleet *fleet)
{
	return say_error(CLI_FAILED, "nobody has answered: %s",
			 count(fleet, false) == 1 && fleet->args->host ?
				 "the host is not connected" :
				 "no host is connected");
}

static size_t waiting(const struct wish *wish)
{
	size_t n = 0;

	for (size_t i = 0; i < wish->fleet->state.nhosts; i++) {
		const struct fleet_host *host = &wish->fleet->state.hosts[i];

		n += host->connected && fleet_matches(wish->fleet, host->name) &&
		     !has_answered(wish, host);
	}
	return n;
}

static int wait_for_all(const struct wish *wish)
{
	const struct args *args = wish->fleet->args;
	double seconds = args->timeout_s > 0 ? args->timeout_s : DEFAULT_TIMEOUT_S;
	uint64_t end = sys_now() + (uint64_t)(seconds * 1e9);
	int r = look(wish->fleet);

	while (!r && waiting(wish) && sys_now() < end) {
		sys_sleep_ms(LOOK_MS);
		r = look(wish->fleet);
	}
	return r;
}

/* Number of violations of an audit, whatever form it has; -1: it could not be made. */
static long violations_of(const json_t *audit)
{
	const json_t *list = json_object_get(audit, "violations");

	if (*ask_text(audit, "error"))
		return -1;
	if (json_is_array(list))
		return (long)json_array_size(list);
	return json_is_integer(list) ? (long)json_integer_value(list) : -1;
}

static const char *result_of(const json_t *audit, long violations)
{
	if (violations)
		return json_is_array(json_object_get(audit, "findings")) ? "see below" :
									   "see --json";
	return ask_true(audit, "complete") ? "ok" : "no violation, but not all could be looked at";
}

/* What a host found, whole: a table would cut it. */
static void print_found(const struct wish *wish, const struct fleet_host *host)
{
	const json_t *audit = json_object_get(host->audit, "audit"), *finding;
	unsigned int n = 0;
	size_t i;

	json_array_foreach(json_object_get(audit, "findings"), i, finding)
	{
		if (!has_answered(wish, host) ||
		    strcmp(ask_text(finding, "state"), "violation") != 0)
			continue;
		if (!n++)
			printf("\n%s\n", host->name);
		if (n <= FOUND_SHOWN)
			printf("  %s: %s\n", ask_text(finding, "check"),
			       ask_text(finding, "found"));
	}
	if (n > FOUND_SHOWN)
		printf("  and %u more: --json has them\n", n - FOUND_SHOWN);
}

/* True: all is well with it. */
static bool add_host(const struct wish *wish, const struct fleet_host *host, struct table *table,
		     json_t *list)
{
	const json_t *audit = json_object_get(host->audit, "audit");
	bool answered = has_answered(wish, host);
	long violations = answered ? violations_of(audit) : -1;
	char when[FLEET_WHEN_MAX];

	(void)json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:O*}", "host", host->name,
						    "connected", host->connected, "answered",
						    answered, "audit", audit));
	if (table_row(table))
		return false;
	table_text(table, 0, "%s", host->name);
	table_text(table, 1, "%s", fleet_when(when, (time_t)ask_number(host->audit, "at")));
	if (violations >= 0) {
		const json_t *vms = json_object_get(audit, "vms");

		table_text(table, 2, "%zu",
			   json_is_array(vms) ? json_array_size(vms) :
						(size_t)json_integer_value(vms));
		table_text(table, 3, "%ld", violations);
	}
	if (!answered)
		table_text(table, 4,
			   host->connected ? "no answer in time" :
			   host->audit	   ? "not connected; the last audit it sent" :
					     "not connected");
	else if (violations < 0)
		table_text(table, 4, "%s",
			   *ask_text(audit, "error") ? ask_text(audit, "error") :
						       "an audit of another version");
	else
		table_text(table, 4, "%s", result_of(audit, violations));
	return answered ? violations == 0 && ask_true(audit, "complete") : !host->connected;
}

static void print_all(const struct wish *wish, struct table *table, const size_t *order)
{
	const struct fleet *fleet = wish->fleet;

	table_print(table, stdout);
	for (size_t i = 0; i < fleet->state.nhosts; i++)
		if (fleet_matches(fleet, fleet->state.hosts[order[i]].name))
			print_found(wish, &fleet->state.hosts[order[i]]);
	fflush(stdout);
}

int fleet_audit(struct fleet *fleet)
{
	_cleanup_table_ struct table *table = table_new(columns, 5);
	_cleanup_json_ json_t *list = json_array();
	_cleanup_free_ size_t *order = NULL;
	struct wish wish = {.fleet = fleet};
	bool all_well = true;
	int r = find_hosts(fleet);

	if (!r && count(fleet, true))
		r = put_wish(&wish);
	if (!r && *wish.id)
		r = wait_for_all(&wish);
	if (r)
		return r;
	order = fleet_state_order(&fleet->state);
	if (!table || !list || !order)
		return say_error(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < fleet->state.nhosts; i++) {
		const struct fleet_host *host = &fleet->state.hosts[order[i]];

		if (fleet_matches(fleet, host->name))
			all_well &= add_host(&wish, host, table, list);
	}
	if (fleet->args->json && print_json(list))
		return CLI_FAILED;
	if (!fleet->args->json)
		print_all(&wish, table, order);
	if (!count(fleet, true))
		return say_nobody(fleet);
	return all_well ? CLI_OK : CLI_FAILED;
}
