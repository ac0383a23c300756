/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Three things are known of a setting: what the fleet wants, what is in force, and which wanted
 * change was last put in force here. From these it follows
 *
 *	change != wanted	put it in force (and confirm by writing settings/HOST)
 *	change == wanted, value differs		drift: somebody set it by hand
 *
 * The daemon starts with its own values, so a daemon that started anew (another pid, or one that
 * is younger) is told all that is wanted again, and that is no drift. One that did not answer for
 * a while is still the same: what was set by hand meanwhile is drift. What was put in force is
 * read back from settings/HOST when this process starts, so its own restart is none either: a
 * value that was set by hand meanwhile is drift then, and not silently overwritten.
 *
 * The daemon is polled; a poll that overlaps a change of ours says nothing about drift. A change
 * is confirmed when the daemon's PUT has returned, which is when it is true for all VMs. What the
 * daemon refuses is told once with its reason, and not asked again until something else is wanted
 * or the daemon is another; what failed for now is asked again.
 *
 * A value may be wanted once (of a canary that is put back, where nothing was wanted before): put
 * in force it is nobody's concern any more, like a value that was there from the start: no drift,
 * no other try, and not told to a daemon that starts anew.
 *
 * Drift is set right only if the fleet's rules say so (Fleet.CorrectDrift). Each change by hand,
 * and each correction, is written to drift/HOST/ID: the fleet's history is to have all of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/node-internal.h"
#include "fleet/prune.h"
#include "sys/launch.h"
#include "sys/proc.h"

#define RETRY (10 * SECOND)
#define DRIFTS_MAX 256u /* kept for a fleet that cannot be reached */

static const char *const origins[] = {[FROM_DEFAULT] = "default",
				      [FROM_FLEET] = "fleet",
				      [FROM_HOST] = "fleet-host",
				      [FROM_HAND] = "hand"};

static const struct node_want *wanted(const struct node_setting *s)
{
	return s->host.revision > s->all.revision ? &s->host : &s->all;
}

static bool is_wanted(const struct node_setting *s)
{
	return s->all.revision || s->host.revision;
}

static void copy_id(char out[NODE_ID_MAX], const char *text)
{
	snprintf(out, NODE_ID_MAX, "%s", text ? text : "");
}

static const char *text_of(enum setting_id id, int64_t value, char out[32])
{
	if (setting_format(id, value, out, 32) < 0)
		out[0] = '\0';
	return out;
}

/* ---- what is wanted ------------------------------------------------------------------------ */

void node_settings_forget(struct node *node)
{
	for (int id = 0; id < SETTING_HOST_END; id++)
		node->setting[id].all = node->setting[id].host = (struct node_want){0};
	fleetrules_defaults(&node->rules);
	json_object_clear(node->unknown);
}

static void take_unknown(struct node *node, const char *name, const struct etcd_kv *kv,
			 const char *error)
{
	json_t *change = json_object_get(kv->value, "change");

	if (!kv->value || json_object_size(node->unknown) >= DRIFTS_MAX)
		return;
	(void)json_object_set_new(node->unknown, name,
				  json_pack("{s:s, s:s}", "change",
					    change ? json_string_value(change) : "", "error",
					    error));
	node->dirty = true;
}

static void take_want(struct node *node, const char *name, const struct etcd_kv *kv, bool of_host)
{
	const char *value = json_string_value(json_object_get(kv->value, "value"));
	char err[POLICY_ERROR_MAX] = "the desired value is unreadable to this version";
	struct node_want want = {.revision = kv->mod_revision};
	struct setting_value parsed = {0};
	struct node_setting *s;
	int id = setting_find(name, false, err);

	if (id < 0) {
		take_unknown(node, name, kv, err);
		return;
	}
	s = &node->setting[id];
	copy_id(want.change, json_string_value(json_object_get(kv->value, "change")));
	if (!kv->value || !value)
		want = (struct node_want){0};
	else if (setting_parse((enum setting_id)id, value, strlen(value), &parsed, err)) {
		take_unknown(node, name, kv, err);
		return;
	}
	want.value = parsed.num;
	want.once = json_is_true(json_object_get(kv->value, "once"));
	*(of_host ? &s->host : &s->all) = want;
}

static void take_rule(struct node *node, const char *name, const struct etcd_kv *kv)
{
	const char *value = json_string_value(json_object_get(kv->value, "value"));
	int id = fleetrule_find(name);
	char err[POLICY_ERROR_MAX], fallback[FLEETRULE_TEXT_MAX];
	struct fleetrules defaults;

	if (id < 0)
		return;
	fleetrules_defaults(&defaults);
	fleetrule_format(&defaults, (enum fleetrule)id, fallback);
	if (fleetrule_set(&node->rules, (enum fleetrule)id, value ? value : fallback, err))
		node_say(node, NODE_WARN, "a rule of the fleet is not taken: %s", err);
}

void node_settings_take(struct node *node, const struct etcd_kv *kv)
{
	char prefix[FLEET_KEY_MAX], key[FLEET_KEY_MAX];
	const char *name;

	name = fleet_after(kv->key, node_key(node, prefix, FLEET_ALL_SET, NULL, NULL));
	if (name) {
		take_want(node, name, kv, false);
		return;
	}
	node_key(node, prefix, FLEET_HOST_SET, node->o.config->host, NULL);
	name = fleet_after(kv->key, prefix);
	if (name) {
		take_want(node, name, kv, true);
		return;
	}
	name = fleet_after(kv->key, node_key(node, prefix, FLEET_ALL_RULE, NULL, NULL));
	if (name)
		take_rule(node, name, kv);
	else if (strcmp(kv->key, node_key(node, key, FLEET_ASK_AUDIT, NULL, NULL)) == 0)
		node_report_take_wish(node, kv);
}

void node_settings_restore(struct node *node, json_t *record)
{
	node->restored = true;
	node->before = json_incref(record);
}

/* ---- changes by hand ----------------------------------------------------------------------- */

/* what: "hand" or "corrected" */
static void note(struct node *node, enum setting_id id, const char *what, int64_t before,
		 int64_t after)
{
	char a[32], b[32];

	node_say(node, NODE_INFO, "%s: %s -> %s (%s)", setting_get(id)->name,
		 text_of(id, before, a), text_of(id, after, b),
		 strcmp(what, "hand") == 0 ? "set by hand on this host" : "set right by the fleet");
	if (json_array_size(node->drifts) >= DRIFTS_MAX)
		(void)json_array_remove(node->drifts, 0);
	(void)json_array_append_new(node->drifts,
				    json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:I}", "schema",
					      FLEET_SCHEMA, "name", setting_get(id)->name, "host",
					      node->o.config->host, "what", what, "before", a,
					      "after", b, "when", (json_int_t)sys_wall_time()));
}

static void on_drift_pruned(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;

	(void)answer; /* the next one goes on where this one failed */
	node->drift_prune = NULL;
}

/* What is old goes. range: the oldest of this host's, as they are now. */
static void prune_drift(struct node *node, const json_t *range)
{
	char prefix[FLEET_KEY_MAX];
	json_t *body;

	node_key(node, prefix, FLEET_DRIFT, node->o.config->host, NULL);
	body = node->drift_prune ? NULL :
				   fleet_prune_body(prefix, range, &node->rules, FLEET_DRIFT_PART,
						    sys_wall_time());
	if (body)
		(void)etcd_ask(node->o.etcd, "/v3/kv/deleterange", body, false, on_drift_pruned,
			       node, &node->drift_prune);
}

static void on_drift_written(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;

	node->drift = NULL;
	if (!answer->error) {
		(void)json_array_remove(node->drifts, 0);
		prune_drift(node, etcd_response(answer->json, 1, "response_range"));
	} else if (answer->error == -EACCES || answer->error == -EMSGSIZE) {
		(void)json_array_remove(node->drifts, 0);
	} else {
		node_later(node);
	}
}

static void write_drift(struct node *node, uint64_t now)
{
	char key[FLEET_KEY_MAX], prefix[FLEET_KEY_MAX], change[FLEET_ID_MAX];
	json_t *both;

	if (node->drift || !json_array_size(node->drifts) || node->state != NODE_HERE ||
	    now < node->due.write)
		return;
	if (fleet_new_id(change))
		return;
	node_key(node, key, FLEET_DRIFT, node->o.config->host, change);
	node_key(node, prefix, FLEET_DRIFT, node->o.config->host, NULL);
	both = json_array();
	(void)etcd_add_op(both, "put", etcd_put_body(key, json_array_get(node->drifts, 0), 0));
	(void)etcd_add_op(both, "range", fleet_prune_look(prefix));
	(void)etcd_ask(node->o.etcd, "/v3/kv/txn", etcd_txn_body(NULL, both, NULL), false,
		       on_drift_written, node, &node->drift);
}

/* ---- what is in force ---------------------------------------------------------------------- */

/* Of a value that the fleet did not put in force. */
static enum node_origin own_origin(const struct node_setting *s, enum setting_id id)
{
	return s->value == setting_get(id)->def ? FROM_DEFAULT : FROM_HAND;
}

static void restore_one(struct node *node, enum setting_id id, const json_t *record, bool same)
{
	struct node_setting *s = &node->setting[id];
	const json_t *one =
		json_object_get(json_object_get(record, "settings"), setting_get(id)->name);
	const char *value = json_string_value(json_object_get(one, "value"));
	const char *from = json_string_value(json_object_get(one, "from"));
	struct setting_value before;

	s->since = sys_wall_time();
	s->from = own_origin(s, id);
	if (wanted(s)->once && one)
		copy_id(s->change, json_string_value(json_object_get(one, "change")));
	if (!same || !value || setting_parse(id, value, strlen(value), &before, NULL))
		return;
	copy_id(s->change, json_string_value(json_object_get(one, "change")));
	if (before.num != s->value) {
		s->from = FROM_HAND;
		note(node, id, "hand", before.num, s->value);
		return;
	}
	s->since = (time_t)etcd_int(one, "since");
	for (int i = 0; from && i <= FROM_HAND; i++)
		if (strcmp(from, origins[i]) == 0)
			s->from = (enum node_origin)i;
}

/* A value that the daemon says is in force. */
static void see(struct node *node, enum setting_id id, int64_t value)
{
	struct node_setting *s = &node->setting[id];
	int64_t before = s->value;

	if (s->known && before == value)
		return;
	s->value = value;
	if (!s->known)
		return;
	s->from = FROM_HAND;
	s->since = sys_wall_time();
	note(node, id, "hand", before, value);
	node->dirty = true;
}

static bool is_done_once(const struct node_setting *s)
{
	return wanted(s)->once && strcmp(wanted(s)->change, s->change) == 0;
}

static void daemon_is(struct node *node, const char *name)
{
	if (strcmp(node->daemon, name) == 0)
		return;
	node->dirty = true;
	copy_id(node->daemon, name);
	if (!*name)
		node_say(node, NODE_WARN, "no daemon answers on this host");
	if (!*name || strcmp(node->daemon_last, name) == 0)
		return;
	if (*node->daemon_last)
		node_say(node, NODE_INFO, "the daemon started anew: it is told what is wanted");
	copy_id(node->daemon_last, name);
	for (int id = 0; id < SETTING_HOST_END; id++) {
		struct node_setting *s = &node->setting[id];

		s->known = false;
		if (!is_done_once(s))
			s->change[0] = '\0';
		s->failed[0] = s->error[0] = '\0';
	}
}

static void take_values(struct node *node, const json_t *status)
{
	const json_t *last = json_object_get(node->before, "daemon_last");
	const char *was = json_string_value(last ? last : json_object_get(node->before, "daemon"));
	const json_t *settings = json_object_get(status, "settings");
	bool same = was && strcmp(was, node->daemon) == 0;

	for (int id = 0; id < SETTING_HOST_END; id++) {
		const json_t *value = json_object_get(settings, setting_get(id)->name);
		struct node_setting *s = &node->setting[id];
		bool first = !s->known;

		if (json_is_integer(value))
			see(node, (enum setting_id)id, json_integer_value(value));
		else if (json_is_boolean(value))
			see(node, (enum setting_id)id, json_is_true(value));
		else
			continue;
		if (first) {
			restore_one(node, (enum setting_id)id, node->before, same);
			s->known = true;
			node->dirty = true;
		}
	}
	json_decref(node->before);
	node->before = NULL;
}

static void on_poll(void *arg, int error, const char *why, json_t *json)
{
	struct node *node = arg;
	char name[NODE_ID_MAX];

	(void)why;
	node->polling = false;
	node->due.poll = sys_now() + node->o.poll_ms * MS;
	if (error) {
		daemon_is(node, "");
		return;
	}
	if (node->putting >= 0 || node->poll_changes != node->changes || !node->restored)
		return;
	/* a pid comes again; with the second of its start it does not */
	snprintf(name, sizeof(name), "%lld.%lld",
		 (long long)json_integer_value(json_object_get(json, "pid")),
		 (long long)json_integer_value(json_object_get(json, "started")));
	daemon_is(node, name);
	take_values(node, json);
	if ((unsigned int)json_integer_value(json_object_get(json, "vms")) != node->vms_seen)
		node_report_soon(node);
}

static void poll_daemon(struct node *node, uint64_t now)
{
	if (node->polling || now < node->due.poll)
		return;
	node->poll_changes = node->changes;
	node->due.poll = now + node->o.poll_ms * MS;
	if (!node->o.local->get(node->o.local, "/v1/status", on_poll, node))
		node->polling = true;
}

/* ---- putting in force ---------------------------------------------------------------------- */

static void on_put(void *arg, int error, const char *why, json_t *json)
{
	struct node *node = arg;
	struct node_setting *s = &node->setting[node->putting];
	enum setting_id id = (enum setting_id)node->putting;
	int64_t before = s->value;

	(void)json;
	node->putting = -1;
	node->changes++;
	node->dirty = true;
	node->due.poll = 0;
	if (error) {
		snprintf(s->error, sizeof(s->error), "%s", why);
		node_say(node, NODE_WARN, "%s: %s", setting_get(id)->name, why);
		s->retry = sys_now() + RETRY;
		if (error == -EINVAL)
			copy_id(s->failed, node->putting_change);
		return;
	}
	s->error[0] = s->failed[0] = '\0';
	copy_id(s->change, node->putting_change);
	s->value = node->putting_value;
	s->from = node->putting_once ? own_origin(s, id) :
		  node->putting_host ? FROM_HOST :
				       FROM_FLEET;
	s->since = sys_wall_time();
	if (node->putting_right)
		note(node, id, "corrected", before, s->value);
}

static json_t *json_value(enum setting_id id, int64_t value)
{
	return setting_get(id)->type == SETTING_BOOL ? json_boolean(value != 0) :
						       json_integer(value);
}

/* Is this one to be put in force now? */
static bool is_due(const struct node *node, const struct node_setting *s, uint64_t now, bool *right)
{
	const struct node_want *want = wanted(s);

	if (!is_wanted(s) || !s->known || now < s->retry || strcmp(s->failed, want->change) == 0)
		return false;
	*right = strcmp(s->change, want->change) == 0;
	if (!*right)
		return true;
	return !want->once && s->value != want->value && node->rules.value[FLEETRULE_DRIFT];
}

static void put_one(struct node *node, uint64_t now)
{
	bool right = false;

	for (int id = 0; id < SETTING_HOST_END && node->putting < 0; id++) {
		struct node_setting *s = &node->setting[id];
		const struct node_want *want = wanted(s);

		if (!is_due(node, s, now, &right))
			continue;
		if (node->o.local->put(node->o.local, setting_get((enum setting_id)id)->name,
				       json_value((enum setting_id)id, want->value), on_put,
				       node)) {
			s->retry = now + RETRY;
			continue;
		}
		node->putting = id;
		node->changes++;
		copy_id(node->putting_change, want->change);
		node->putting_value = want->value;
		node->putting_host = want == &s->host;
		node->putting_once = want->once;
		node->putting_right = right;
	}
}

/* ---- settings/HOST ------------------------------------------------------------------------- */

static json_t *setting_record(const struct node_setting *s, enum setting_id id)
{
	const struct node_want *want = wanted(s);
	char value[32];
	json_t *one = json_pack("{s:s, s:s, s:I}", "value", text_of(id, s->value, value), "from",
				origins[s->from], "since", (json_int_t)s->since);

	if (one && *s->change)
		(void)json_object_set_new(one, "change", json_string(s->change));
	if (one && is_wanted(s) && !want->once && strcmp(want->change, s->change) == 0 &&
	    s->value != want->value)
		(void)json_object_set_new(one, "drift", json_true());
	if (one && *s->error) {
		(void)json_object_set_new(one, "error", json_string(s->error));
		(void)json_object_set_new(one, "failed", json_string(want->change));
	}
	return one;
}

static json_t *settings_record(const struct node *node)
{
	json_t *settings = json_object();

	for (int id = 0; id < SETTING_HOST_END; id++) {
		const struct node_setting *s = &node->setting[id];

		if (s->known)
			(void)json_object_set_new(settings, setting_get((enum setting_id)id)->name,
						  setting_record(s, (enum setting_id)id));
	}
	return json_pack("{s:i, s:s, s:s, s:s, s:I, s:o, s:O}", "schema", FLEET_SCHEMA, "daemon",
			 node->daemon, "daemon_last", node->daemon_last, "version", PSHARE_VERSION,
			 "at", (json_int_t)sys_wall_time(), "settings", settings, "unknown",
			 node->unknown);
}

static void on_published(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;

	node->publish = NULL;
	if (answer->error) {
		node->dirty = true;
		node_later(node);
	}
}

static void publish(struct node *node, uint64_t now)
{
	_cleanup_json_ json_t *record = NULL;
	char key[FLEET_KEY_MAX];

	if (!node->dirty || node->publish || node->state != NODE_HERE || now < node->due.write)
		return;
	if (*node->daemon && !node->setting[0].known)
		return; /* not asked yet */
	record = settings_record(node);
	node_key(node, key, FLEET_SETTINGS, node->o.config->host, NULL);
	if (!etcd_ask(node->o.etcd, "/v3/kv/put", etcd_put_body(key, record, 0), false,
		      on_published, node, &node->publish))
		node->dirty = false;
}

void node_settings_work(struct node *node, uint64_t now)
{
	poll_daemon(node, now);
	if (*node->daemon && node->state == NODE_HERE && node->putting < 0)
		put_one(node, now);
	publish(node, now);
	write_drift(node, now);
}

void node_settings_free(struct node *node)
{
	json_decref(node->unknown);
	json_decref(node->drifts);
	json_decref(node->before);
}
