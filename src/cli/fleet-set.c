/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fleet set: one setting on every host, true when it returns.
 *
 * The change is written (fleet-change.c); each connected host's confirmation is its settings/HOST
 * with the change's id in it. Those are watched, as is alive/: a host that goes away is waited
 * for no longer, and gets the value when it is back. When the watch breaks, all is read anew.
 *
 * With --canary N the change is first written for N of the hosts alone. Only if all of them
 * confirm it goes to the others; else they are put back, and nobody else was touched. Back means:
 * to what was desired of each, which it may never have had in force; where nothing was desired, to
 * what it had, and that once, or a setting that nobody managed would be managed from then on.
 * Signals that end a command are held back meanwhile, and lead to the same: whoever loses patience
 * is not to leave a value on the canaries.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fleet-change.h"
#include "policy/settings.h"
#include "sys/events.h"
#include "sys/launch.h"
#include "sys/proc.h"
#include "sys/process.h"
#include "sys/terminal.h"

#define DEFAULT_TIMEOUT_S 60.0
#define NS_PER_S 1e9
#define LOOK_NS 50000000u
#define BEFORE_MAX 256u

struct rollout {
	struct fleet *fleet;
	struct fleet_change change;
	const char **hosts; /* that it is for */
	size_t nhosts;
	uint64_t began, end;
	bool broken; /* the watch ended */
	bool canary;
	int signal_fd; /* what ends the wait for canaries; else -1 */
	bool interrupted;
	char why[FLEET_ERROR_MAX];
	struct etcd_watch *watch;
	char head_key[FLEET_KEY_MAX];
	json_t *beaten; /* the head of a later change, by somebody else */
};

enum fate { CONFIRMED, REFUSED, WAITING, AWAY };

/* ---- one host ------------------------------------------------------------------------------ */

static const json_t *setting_of(const struct fleet_host *host, const char *part, const char *name)
{
	return json_object_get(json_object_get(host->settings, part), name);
}

static enum fate fate_of(const struct rollout *r, const char *name, const char **why)
{
	const struct fleet_host *host = fleet_state_host(&r->fleet->state, name);
	const json_t *one, *unknown;

	*why = "";
	if (!host)
		return AWAY;
	one = setting_of(host, "settings", r->change.name);
	unknown = setting_of(host, "unknown", r->change.name);
	if (strcmp(ask_text(one, "change"), r->change.id) == 0 && !*ask_text(one, "error"))
		return CONFIRMED;
	if (!host->connected)
		return AWAY;
	if (strcmp(ask_text(one, "failed"), r->change.id) == 0) {
		*why = ask_text(one, "error");
		return REFUSED;
	}
	if (strcmp(ask_text(unknown, "change"), r->change.id) == 0) {
		*why = ask_text(unknown, "error");
		return REFUSED;
	}
	if (host->settings && !*ask_text(host->settings, "daemon"))
		*why = "no daemon answers on it";
	return WAITING;
}

static size_t count(const struct rollout *r, enum fate fate)
{
	const char *why;
	size_t n = 0;

	for (size_t i = 0; i < r->nhosts; i++)
		n += fate_of(r, r->hosts[i], &why) == fate;
	return n;
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* Somebody else set the same meanwhile: hosts go to his value, and may never have ours. */
static void take_head(struct rollout *r, const struct etcd_kv *kv)
{
	if (!kv->value || kv->mod_revision <= r->change.head)
		return;
	json_decref(r->beaten);
	r->beaten = json_incref(kv->value);
}

static void on_event(void *arg, const struct etcd_kv *kv)
{
	struct rollout *r = arg;

	if (strcmp(kv->key, r->head_key) == 0)
		take_head(r, kv);
	(void)fleet_state_take_kv(&r->fleet->state, kv);
}

static void on_end(void *arg, int error, const char *why)
{
	struct rollout *r = arg;

	(void)error;
	r->watch = NULL;
	r->broken = true;
	snprintf(r->why, sizeof(r->why), "%s", why);
}

/* Everything anew, and a watch from there on. */
static int look_and_watch(struct rollout *r)
{
	static const enum fleet_key kinds[] = {FLEET_SETTINGS, FLEET_REPORT, FLEET_ALIVE};
	struct fleet *fleet = r->fleet;
	char settings[FLEET_KEY_MAX], alive[FLEET_KEY_MAX];
	struct etcd_watch_call call = {
		.prefixes = {fleet_key(settings, fleet->config.fleet, FLEET_SETTINGS, NULL, NULL),
			     fleet_key(alive, fleet->config.fleet, FLEET_ALIVE, NULL, NULL),
			     fleet_key(r->head_key, fleet->config.fleet, FLEET_HEAD, r->change.name,
				       NULL)},
		.event = on_event,
		.end = on_end,
		.arg = r,
	};
	int error;

	for (size_t i = 0; i < fleet->state.nhosts; i++)
		fleet->state.hosts[i].connected = false;
	error = fleet_read(fleet, kinds, 3);
	if (error)
		return error;
	/* from the change on, so that no later head is missed; older events are told again */
	call.from = r->change.revision + 1;
	r->broken = false;
	return etcd_watch(fleet->etcd, &call, &r->watch) ? say_error(CLI_FAILED, "out of memory") :
							   0;
}

static void progress(const struct rollout *r, bool end)
{
	if (!term_is_terminal(2))
		return;
	if (end) {
		fputs("\r\033[K", stderr);
		return;
	}
	fprintf(stderr, "\rset %s: %zu of %zu hosts have confirmed, %.0f s ", r->change.name,
		count(r, CONFIRMED), r->nhosts - count(r, AWAY),
		(double)(sys_now() - r->began) / NS_PER_S);
	fflush(stderr);
}

static bool is_interrupted(struct rollout *r)
{
	struct sys_signal signal;

	if (r->signal_fd >= 0 && sys_signalfd_read(r->signal_fd, &signal) > 0)
		r->interrupted = true;
	return r->interrupted;
}

static int turn(struct rollout *r)
{
	struct curl_waitfd fd = {.fd = r->signal_fd, .events = CURL_WAIT_POLLIN};

	return http_turn(r->fleet->http, &fd, r->signal_fd >= 0, LOOK_NS / 1000000);
}

/* Until nobody is waited for, or the time is over. 0, whatever came of it; or an exit code, said.
 * */
static int wait_for_all(struct rollout *r)
{
	int error = look_and_watch(r);
	uint64_t look = 0;

	while (!error && sys_now() < r->end) {
		/* thousands of hosts confirm in one second: not all are counted at each */
		if (sys_now() >= look && !r->broken) {
			if (!count(r, WAITING) || r->beaten || is_interrupted(r))
				break;
			progress(r, false);
			look = sys_now() + LOOK_NS;
		}
		if (turn(r))
			error = say_error(CLI_FAILED, "out of memory");
		if (r->broken && !error) {
			sys_sleep_ms(200);
			error = look_and_watch(r);
		}
	}
	progress(r, true);
	etcd_watch_cancel(r->watch);
	r->watch = NULL;
	return error;
}

/* ---- what it was before -------------------------------------------------------------------- */

static int collect_value(json_t *counts, const char *value)
{
	json_int_t n = json_integer_value(json_object_get(counts, value));

	return json_object_set_new(counts, value, json_integer(n + 1));
}

/* What is in force on the hosts: "60", or "60 (12), 10 (3)". */
static void before_text(const struct rollout *r, char text[BEFORE_MAX])
{
	_cleanup_json_ json_t *counts = json_object();
	const char *value;
	json_t *n;
	size_t at = 0;

	for (size_t i = 0; i < r->nhosts; i++) {
		const struct fleet_host *host = fleet_state_host(&r->fleet->state, r->hosts[i]);
		const json_t *one = host ? setting_of(host, "settings", r->change.name) : NULL;

		if (one)
			(void)collect_value(counts, ask_text(one, "value"));
	}
	text[0] = '\0';
	json_object_foreach(counts, value, n)
	{
		int more;

		if (json_object_size(counts) == 1)
			more = snprintf(text, BEFORE_MAX, "%s", value);
		else
			more = snprintf(text + at, BEFORE_MAX - at, "%s%s (%lld)", at ? ", " : "",
					value, (long long)json_integer_value(n));
		at += more > 0 ? (size_t)more : 0;
		if (at >= BEFORE_MAX)
			break;
	}
}

/* ---- the end ------------------------------------------------------------------------------- */

static json_t *list_of(const struct rollout *r, enum fate fate)
{
	json_t *list = json_array();
	const char *why;

	for (size_t i = 0; i < r->nhosts; i++) {
		if (fate_of(r, r->hosts[i], &why) != fate)
			continue;
		(void)json_array_append_new(list, *why ? json_pack("{s:s, s:s}", "host",
								   r->hosts[i], "why", why) :
							 json_pack("{s:s}", "host", r->hosts[i]));
	}
	return list;
}

static void print_list(const struct rollout *r, enum fate fate, const char *title)
{
	_cleanup_json_ json_t *list = list_of(r, fate);
	const json_t *one;
	size_t i;

	if (!json_array_size(list))
		return;
	printf("%s:\n", title);
	json_array_foreach(list, i, one)
		printf("  %s%s%s\n", ask_text(one, "host"), *ask_text(one, "why") ? ": " : "",
		       ask_text(one, "why"));
}

static int say_beaten(const struct rollout *r)
{
	const json_t *who = json_object_get(r->beaten, "who");

	return say_error(CLI_FAILED,
			 "%s was set to %s by %s@%s while hosts were waited for: that holds now",
			 r->change.name, ask_text(r->beaten, "value"), ask_text(who, "user"),
			 ask_text(who, "host"));
}

static int report(const struct rollout *r)
{
	size_t bad = count(r, REFUSED) + count(r, WAITING);
	double seconds = (double)(sys_now() - r->began) / NS_PER_S;

	if (r->beaten && bad)
		return say_beaten(r);

	if (r->fleet->args->json) {
		_cleanup_json_ json_t *whole = json_pack(
			"{s:s, s:s, s:s, s:f, s:o, s:o, s:o, s:o}", "change", r->change.id, "name",
			r->change.name, "value", r->change.value, "seconds", seconds, "confirmed",
			list_of(r, CONFIRMED), "refused", list_of(r, REFUSED), "waiting",
			list_of(r, WAITING), "away", list_of(r, AWAY));

		if (!whole || print_json(whole))
			return CLI_FAILED;
		return bad ? CLI_FAILED : CLI_OK;
	}
	printf("%s = %s: confirmed by %zu of %zu connected hosts in %.1f s\n", r->change.name,
	       r->change.value, count(r, CONFIRMED), r->nhosts - count(r, AWAY), seconds);
	print_list(r, REFUSED, "refused");
	print_list(r, WAITING,
		   r->canary ? "not confirmed" : "not confirmed yet; in force as soon as they do");
	print_list(r, AWAY,
		   r->canary ? "not connected any more" :
			       "not connected; it is set when they are back");
	return bad ? CLI_FAILED : CLI_OK;
}

/* ---- canaries ------------------------------------------------------------------------------ */

/* What each is put back to: {HOST: {"value", "once"}}, {} where that is not known. */
static json_t *former_of(const struct rollout *r)
{
	json_t *former = json_object();

	for (size_t i = 0; i < r->nhosts; i++) {
		const struct fleet_host *host = fleet_state_host(&r->fleet->state, r->hosts[i]);
		const json_t *want = fleet_state_want(&r->fleet->state, host, r->change.name);
		const json_t *one = host ? setting_of(host, "settings", r->change.name) : NULL;
		json_t *value = json_object_get(want ? want : one, "value");

		(void)json_object_set_new(former, r->hosts[i],
					  value ? json_pack("{s:O, s:b}", "value", value, "once",
							    !want || ask_true(want, "once")) :
						  json_object());
	}
	return former;
}

static int put_one_back(struct rollout *r, struct fleet_change *back, const char *name,
			const json_t *former)
{
	const struct fleet_host *host = fleet_state_host(&r->fleet->state, name);
	const json_t *want = fleet_state_want(&r->fleet->state, host, r->change.name);
	const char *one[] = {name};

	if (strcmp(ask_text(want, "change"), r->change.id) != 0)
		return 0; /* somebody else has set it meanwhile */
	back->hosts = one;
	back->value = json_string_value(json_object_get(former, "value"));
	back->once = ask_true(former, "once");
	return fleet_change_write(r->fleet, back);
}

/* 0, or an exit code, and it is said what is left to do. */
static int put_back(struct rollout *r, json_t *former)
{
	static const enum fleet_key kinds[] = {FLEET_ALL, FLEET_HOST_SET};
	struct fleet_change back = r->change;
	const char *host;
	json_t *one;
	int error;

	back.what = "put-back";
	back.where = "canaries";
	back.before = r->change.value;
	back.nhosts = 1;
	error = fleet_change_begin(r->fleet, &back);
	if (!error)
		error = fleet_read(r->fleet, kinds, 2);
	json_object_foreach(former, host, one) error = error ? error :
							       put_one_back(r, &back, host, one);
	if (!error)
		return 0;
	return say_error(
		error,
		"the canaries could not all be put back: of some %s = %s may be desired still; "
		"see 'pshare fleet get %s', and set those with --host",
		r->change.name, r->change.value, r->change.name);
}

/* The canaries did not all confirm, or nobody waits for them any more. */
static int give_up(struct rollout *r, json_t *former)
{
	if (!r->interrupted)
		(void)report(r);
	if (put_back(r, former))
		return CLI_FAILED;
	return say_error(CLI_FAILED,
			 "%s: they are put back to what was desired of them before, and no other "
			 "host was touched",
			 r->interrupted ? "interrupted while canaries were waited for" :
					  "the canaries did not confirm");
}

static int try_canaries(const struct rollout *whole, struct fleet_change *change)
{
	struct rollout r = *whole;
	_cleanup_json_ json_t *former = NULL;
	char before[BEFORE_MAX];
	bool written;
	size_t n = 0;
	int error;

	r.hosts = calloc(whole->nhosts + 1, sizeof(*r.hosts));
	if (!r.hosts)
		return say_error(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < whole->nhosts && n < whole->fleet->args->canary; i++) {
		const struct fleet_host *host =
			fleet_state_host(&whole->fleet->state, whole->hosts[i]);

		if (host && host->connected)
			r.hosts[n++] = whole->hosts[i];
	}
	r.nhosts = n;
	r.change.what = "canary";
	r.change.where = "canaries";
	r.change.hosts = r.hosts;
	r.change.nhosts = n;
	r.change.before = before;
	before_text(&r, before);
	r.canary = true;
	former = former_of(&r);
	error = n ? fleet_change_write(r.fleet, &r.change) :
		    say_error(CLI_FAILED, "no connected host can be a canary");
	written = r.change.revision; /* some of it at least */
	if (!error)
		error = wait_for_all(&r);
	if (written && (error || is_interrupted(&r) || count(&r, CONFIRMED) != n)) {
		error = give_up(&r, former);
	} else if (!error && !whole->fleet->args->json) {
		printf("%zu canar%s confirmed in %.1f s\n", n, n == 1 ? "y" : "ies",
		       (double)(sys_now() - r.began) / NS_PER_S);
		fflush(stdout);
	}
	change->head = r.change.head;
	free(r.hosts);
	json_decref(r.beaten);
	return error;
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* Standby hosts that are not there: a slip of the pen, or of no use now. */
static void warn_of_standby(struct fleet *fleet, const char *value)
{
	char faults[FLEET_FAULTS_MAX];

	(void)fleetrule_set(&fleet->state.rules, FLEETRULE_FAILOVER_HOSTS, value, NULL);
	fleet_state_standby_faults(&fleet->state, faults);
	if (*faults)
		say_error(0, "warning: of the standby hosts%s", faults + 1);
}

static int set_rule(struct fleet *fleet, int rule, const char *value)
{
	const struct fleetrule_row *row = fleetrule_get((enum fleetrule)rule);
	static const enum fleet_key kinds[] = {FLEET_ALL, FLEET_REPORT, FLEET_ALIVE};
	struct fleet_change change = {
		.name = row->name, .value = value, .rule = true, .what = "set", .where = "all"};
	char line[POLICY_ERROR_MAX], before[FLEETRULE_TEXT_MAX];
	struct fleetrules checked;
	int r;

	fleetrules_defaults(&checked);
	if (fleetrule_set(&checked, (enum fleetrule)rule, value, line))
		return say_error(CLI_USAGE, "%s", line);
	if (fleet->args->host || fleet->args->canary)
		return say_error(CLI_USAGE,
				 "%s is a rule of the fleet: --host and --canary are for "
				 "settings of hosts",
				 row->name);
	r = fleet_read(fleet, kinds, rule == FLEETRULE_FAILOVER_HOSTS ? 3 : 1);
	if (!r)
		r = fleet_change_begin(fleet, &change);
	fleetrule_format(&fleet->state.rules, (enum fleetrule)rule, before);
	change.before = before;
	if (!r)
		r = fleet_change_write(fleet, &change);
	if (!r && rule == FLEETRULE_FAILOVER_HOSTS)
		warn_of_standby(fleet, value);
	if (!r && fleet->args->json) {
		_cleanup_json_ json_t *whole = json_pack("{s:s, s:s, s:s}", "change", change.id,
							 "name", row->name, "value", value);

		return whole ? print_json(whole) : CLI_FAILED;
	}
	if (!r)
		printf("%s = %s\n", row->name, value);
	return r;
}

/* Who it is for: with --host those that match; for the waiting all that are known. */
static int choose_hosts(struct rollout *r)
{
	const struct fleet_state *state = &r->fleet->state;

	r->hosts = calloc(state->nhosts + 1, sizeof(*r->hosts));
	if (!r->hosts)
		return say_error(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < state->nhosts; i++) {
		/* a name of its own: the array of hosts may move when one more comes */
		if (fleet_matches(r->fleet, state->hosts[i].name)) {
			r->hosts[r->nhosts] = strdup(state->hosts[i].name);
			if (!r->hosts[r->nhosts++])
				return say_error(CLI_FAILED, "out of memory");
		}
	}
	if (!r->nhosts && r->fleet->args->host)
		return say_error(CLI_FAILED, "no host of fleet %s matches '%.40s'", state->fleet,
				 r->fleet->args->host);
	return 0;
}

/* Those that end this command, but for what it was told to ignore (nohup). */
static unsigned int signals_of(int signals[3])
{
	static const int all[] = {SIGINT, SIGTERM, SIGHUP};
	unsigned int n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!sys_signal_ignored(all[i]))
			signals[n++] = all[i];
	return n;
}

static void hold_signals(struct rollout *r)
{
	int signals[3];

	r->signal_fd = sys_signalfd_new(signals, signals_of(signals));
}

static void let_signals_go(struct rollout *r)
{
	int signals[3];

	sys_signalfd_end(r->signal_fd, signals, signals_of(signals));
	r->signal_fd = -1;
}

static int roll_out(struct rollout *r)
{
	static const enum fleet_key kinds[] = {FLEET_ALL, FLEET_SETTINGS, FLEET_REPORT,
					       FLEET_HOST_SET, FLEET_ALIVE};
	const struct args *args = r->fleet->args;
	char before[BEFORE_MAX];
	int error = fleet_read(r->fleet, kinds, 5);

	if (!error)
		error = choose_hosts(r);
	if (!error)
		error = fleet_change_begin(r->fleet, &r->change);
	if (error)
		return error;
	before_text(r, before);
	if (args->canary) {
		hold_signals(r);
		error = try_canaries(r, &r->change);
	}
	if (error)
		return error;
	r->change.before = before;
	r->change.what = "set";
	r->change.where = args->host ? args->host : "all";
	r->change.hosts = args->host ? r->hosts : NULL;
	r->change.nhosts = args->host ? r->nhosts : 0;
	error = fleet_change_write(r->fleet, &r->change);
	let_signals_go(r);
	if (!error)
		error = wait_for_all(r);
	return error ? error : report(r);
}

int fleet_set(struct fleet *fleet)
{
	const char *text = fleet->args->operands[2];
	double timeout_s = fleet->args->timeout_s > 0 ? fleet->args->timeout_s : DEFAULT_TIMEOUT_S;
	struct rollout r = {.fleet = fleet, .began = sys_now(), .signal_fd = -1};
	char line[POLICY_ERROR_MAX], value[64];
	struct setting_value parsed;
	enum setting_id id;
	int rule, error;

	r.change.name = fleet_name(fleet->args->operands[1], &rule);
	if (!r.change.name)
		return CLI_USAGE;
	if (rule >= 0)
		return set_rule(fleet, rule, text);
	id = (enum setting_id)setting_find(r.change.name, false, NULL);
	if (setting_parse(id, text, strlen(text), &parsed, line))
		return say_error(CLI_USAGE, "%s", line);
	if (setting_format(id, parsed.num, value, sizeof(value)) < 0)
		return say_error(CLI_USAGE, "%s cannot be set for a fleet", r.change.name);
	r.change.value = value;
	r.end = r.began + (uint64_t)(timeout_s * NS_PER_S);
	error = roll_out(&r);
	close_fd(&r.signal_fd);
	for (size_t i = 0; i < r.nhosts; i++)
		free((char *)(uintptr_t)r.hosts[i]);
	free(r.hosts);
	json_decref(r.beaten);
	return error;
}
