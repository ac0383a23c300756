/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fleet: settings of many hosts, by way of etcd (fleet/keys.h). The command talks to etcd alone;
 * each host's pshare-fleet does there what is desired. So it runs on any machine that has the
 * fleet's configuration and a user of etcd: no daemon is needed beside it.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/fleet.h"
#include "fleet/certs.h"
#include "policy/settings.h"
#include "sys/hostname.h"
#include "sys/look.h"
#include "sys/process.h"
#include "sys/self.h"

int fleet_open(struct fleet *fleet, const struct args *args)
{
	char err[FLEET_ERROR_MAX];
	int r;

	*fleet = (struct fleet){.args = args};
	(void)sys_set_undumpable(); /* a password is in here */
	r = fleet_config_read(&fleet->config, args->config, err);
	if (r == -ENOENT && !fleet->config.text)
		return say_error(CLI_FAILED,
				 "%s: give --config FILE, or write one: see pshare-fleet(8)", err);
	if (r || fleet_certs_check(&fleet->config, err))
		return say_error(CLI_FAILED, "%s", err);
	if (http_new(&fleet->http) || etcd_new(&fleet->etcd, fleet->http, &fleet->config) ||
	    fleet_state_init(&fleet->state, fleet->config.fleet))
		return say_error(CLI_FAILED, "out of memory");
	return 0;
}

void fleet_close(struct fleet *fleet)
{
	fleet_state_free(&fleet->state);
	etcd_free(fleet->etcd);
	http_free(fleet->http);
	fleet_config_free(&fleet->config);
}

int fleet_call(struct fleet *fleet, const char *path, json_t *body, bool once, json_t **answer)
{
	char err[FLEET_ERROR_MAX];

	if (etcd_call(fleet->etcd, path, body, once, answer, err))
		return say_error(CLI_FAILED, "%s", err);
	return 0;
}

int fleet_behind(int r)
{
	if (r == -EPROTO)
		return say_error(CLI_FAILED, "etcd answers with keys that were not asked for");
	return r ? say_error(CLI_FAILED, "out of memory") : 0;
}

static int read_rest(struct fleet *fleet, enum fleet_key kind, const json_t *first)
{
	_cleanup_json_ json_t *page = NULL;
	int r = fleet_behind(fleet_state_next(&fleet->state, kind, first, &page));

	while (!r && page) {
		_cleanup_json_ json_t *answer = NULL;

		r = fleet_call(fleet, "/v3/kv/range", json_incref(page), false, &answer);
		if (!r && fleet_state_take_page(&fleet->state, answer))
			r = say_error(CLI_FAILED, "out of memory");
		r = r ? r : fleet_behind(fleet_state_next(&fleet->state, kind, answer, &page));
	}
	return r;
}

int fleet_read(struct fleet *fleet, const enum fleet_key *kinds, size_t n)
{
	_cleanup_json_ json_t *answer = NULL;
	int r = fleet_call(fleet, "/v3/kv/txn", fleet_state_body(fleet->config.fleet, kinds, n),
			   false, &answer);

	if (r)
		return r;
	if (fleet_state_take(&fleet->state, answer))
		return say_error(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < n && !r; i++)
		r = read_rest(fleet, kinds[i], etcd_response(answer, i, "response_range"));
	return r;
}

const char *fleet_when(char out[FLEET_WHEN_MAX], time_t when)
{
	struct tm parts;

	if (!when || !localtime_r(&when, &parts) ||
	    !strftime(out, FLEET_WHEN_MAX, "%Y-%m-%d %H:%M:%S", &parts))
		snprintf(out, FLEET_WHEN_MAX, "-");
	return out;
}

json_t *fleet_who(const struct fleet *fleet)
{
	const char *sudo = getenv("SUDO_USER");
	char user[64] = "", host[64] = "";

	sys_user_name(sys_self_uid(), user, sizeof(user));
	(void)sys_host_name(host, sizeof(host));
	return json_pack("{s:s, s:s, s:s}", "user", sudo && *sudo ? sudo : user, "host", host,
			 "etcd", fleet->config.user ? fleet->config.user : "");
}

const char *fleet_name(const char *name, int *rule)
{
	char line[POLICY_ERROR_MAX];
	int id;

	*rule = fleetrule_find(name);
	if (*rule >= 0)
		return fleetrule_get((enum fleetrule) * rule)->name;
	id = setting_find(name, false, line);
	if (id >= 0)
		return setting_get((enum setting_id)id)->name;
	say_error(CLI_USAGE, "%s", line);
	return NULL;
}

bool fleet_matches(const struct fleet *fleet, const char *host)
{
	return !fleet->args->host || fnmatch(fleet->args->host, host, 0) == 0;
}

static const struct {
	const char *name;
	int (*run)(struct fleet *fleet);
	int min, max;	      /* operands behind it */
	const char *needs[2]; /* what they are */
} verbs[] = {
	{"hosts", fleet_hosts, 0, 0, {NULL}},
	{"get", fleet_get, 0, 1, {NULL}},
	{"set", fleet_set, 2, 2, {"the NAME of a setting and a VALUE are", "a VALUE is"}},
	{"history", fleet_history, 0, 1, {NULL}},
	{"audit", fleet_audit, 0, 0, {NULL}},
	{"drain", fleet_drain, 1, 1, {"a HOST is"}},
};

int cmd_fleet(struct args *args)
{
	_cleanup_fleet_ struct fleet fleet = {0};
	const char *verb = args->operands[0];
	int n = args->noperands - 1, r;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verb, verbs[i].name) != 0)
			continue;
		if (n < verbs[i].min)
			return say_usage(args->command, "'fleet %s%s%.80s': %s missing", verb,
					 n ? " " : "", n ? args->operands[1] : "",
					 verbs[i].needs[n]);
		if (n > verbs[i].max)
			return say_usage(args->command, "'fleet %s': one word too many", verb);
		if ((args->canary || (args->host && strcmp(verb, "audit") != 0)) &&
		    strcmp(verb, "set") != 0)
			return say_usage(args->command,
					 "--host and --canary are not for 'fleet %s'", verb);
		if (args->lines && strcmp(verb, "history") != 0)
			return say_usage(args->command, "--lines is for 'fleet history'");
		if (args->dry_run && strcmp(verb, "drain") != 0)
			return say_usage(args->command, "--dry-run is for 'fleet drain'");
		r = fleet_open(&fleet, args);
		return r ? r : verbs[i].run(&fleet);
	}
	return say_usage(args->command, "'%.40s' is none of hosts, get, set, history, audit, drain",
			 verb);
}
