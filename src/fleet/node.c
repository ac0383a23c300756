/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A node's tie to etcd is a circle: lease, claim, read, watch. Whatever breaks, wherever, leads
 * back to its start after a pause that grows and is different for each host: so the circle that
 * heals a compacted watch is the one that is walked at every start, and is known to work. Nothing
 * on the host changes for etcd's absence: settings stay, VMs do not notice.
 *
 * The claim: alive/HOST exists while the host's lease lives, and holds the instance that wrote
 * it. Two hosts of one name would fight over one record, so who finds another instance waits:
 * either that one was this host's before a crash, and its lease runs out, or an administrator has
 * to choose another name, and is told so.
 *
 * Only the watch and the lease tell that etcd is lost. A record that could not be written is
 * written later, and a keep-alive that was not answered is asked again until the lease's time is
 * over: an etcd that has too much to do is not to get thousands of new connections for it.
 *
 * A keep-alive whose answer has no TTL: the lease is dead (the host was cut off for long), and a
 * new one is asked for. Its time is told by this host's monotonic clock. Wall clocks are shown to
 * people and decide nothing.
 *
 * Every REFRESH or so all is read anew, though the watch runs: what a watch lost without a word (a
 * member cut off, an etcd restored from a copy, with smaller revisions) is found then.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/node-internal.h"
#include "sys/launch.h"
#include "sys/proc.h"

#define PAUSE_FIRST (500 * MS)
#define PAUSE_MOST (30 * SECOND)
#define REFRESH (60 * SECOND)
#define LATER (2 * SECOND)
#define NAME_TAKEN (5 * SECOND)
#define LEAVE_MS 1500
#define IDLE_MS 1000

void node_say(struct node *node, enum node_level level, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	node->o.say(node->o.arg, level, line);
}

const char *node_key(const struct node *node, char out[FLEET_KEY_MAX], enum fleet_key kind,
		     const char *a, const char *b)
{
	return fleet_key(out, node->o.config->fleet, kind, a, b);
}

static const char *own_key(const struct node *node, char out[FLEET_KEY_MAX], enum fleet_key kind)
{
	return node_key(node, out, kind, node->o.config->host, NULL);
}

/* ---- away ---------------------------------------------------------------------------------- */

static void cancel(struct etcd_op **op)
{
	etcd_cancel(*op);
	*op = NULL;
}

static void disconnect(struct node *node)
{
	cancel(&node->op);
	cancel(&node->keep);
	cancel(&node->refresh);
	cancel(&node->publish);
	cancel(&node->drift);
	cancel(&node->drift_prune);
	cancel(&node->report_op);
	cancel(&node->audit_op);
	if (node->likeness_op)
		node->likeness_again = 0; /* whether it was written is not known */
	cancel(&node->likeness_op);
	etcd_watch_cancel(node->watch);
	node->watch = NULL;
	node->state = NODE_AWAY;
}

void node_lost(struct node *node, int error, const char *why)
{
	uint64_t pause = PAUSE_FIRST << (node->failures < 6 ? node->failures : 6);
	bool was_here = node->state == NODE_HERE;

	disconnect(node);
	if (error != -ENODATA && error != -ECANCELED)
		etcd_next_member(node->o.etcd);
	if (was_here && (error == -ENODATA || error == -ECANCELED)) {
		node->due.connect = sys_now() + fleet_jitter(PAUSE_FIRST);
		return; /* a gap in a watch: nothing is lost, all is read anew */
	}
	if (!node->told_away || (node->failures & 15) == 15)
		node_say(node, NODE_WARN, "%s; this host goes on as it is", why);
	node->told_away = true;
	node->failures++;
	if (pause > PAUSE_MOST)
		pause = PAUSE_MOST;
	node->due.connect = sys_now() + pause / 2 + fleet_jitter(pause);
}

void node_later(struct node *node)
{
	node->due.write = sys_now() + LATER + fleet_jitter(LATER);
}

/* ---- here ---------------------------------------------------------------------------------- */

static void on_event(void *arg, const struct etcd_kv *kv)
{
	struct node *node = arg;

	if (kv->mod_revision > node->revision)
		node->revision = kv->mod_revision;
	node_settings_take(node, kv);
}

static void on_watch_end(void *arg, int error, const char *why)
{
	struct node *node = arg;

	node->watch = NULL;
	node_lost(node, error, why);
}

static int start_watch(struct node *node)
{
	char all[FLEET_KEY_MAX], host[FLEET_KEY_MAX];
	struct etcd_watch_call call = {
		.prefixes = {node_key(node, all, FLEET_ALL, NULL, NULL),
			     own_key(node, host, FLEET_HOST)},
		.from = node->revision + 1,
		.event = on_event,
		.end = on_watch_end,
		.arg = node,
	};

	return etcd_watch(node->o.etcd, &call, &node->watch);
}

/* What a transaction of ranges gave: all/, host/HOST/, settings/HOST, the age of audit/HOST. */
static void take_all(struct node *node, const struct etcd_answer *answer)
{
	const json_t *list, *one;
	size_t i;

	node->revision = answer->revision;
	node_settings_forget(node);
	for (size_t n = 0; n < 2; n++) {
		list = etcd_kvs(etcd_response(answer->json, n, "response_range"));
		json_array_foreach((json_t *)(uintptr_t)list, i, one)
		{
			_cleanup_kv_ struct etcd_kv kv = {0};

			if (!etcd_kv(one, &kv))
				node_settings_take(node, &kv);
		}
	}
	list = etcd_kvs(etcd_response(answer->json, 3, "response_range"));
	node->audit_done = etcd_int(json_array_get(list, 0), "mod_revision");
	if (!node->restored) {
		_cleanup_kv_ struct etcd_kv kv = {0};

		list = etcd_kvs(etcd_response(answer->json, 2, "response_range"));
		if (!etcd_kv(json_array_get(list, 0), &kv))
			node_settings_restore(node, kv.value);
		else
			node_settings_restore(node, NULL);
	}
}

static json_t *read_body(const struct node *node)
{
	char key[FLEET_KEY_MAX];
	json_t *list = json_array(), *audit = etcd_range_body(own_key(node, key, FLEET_AUDIT));
	int r = !audit || json_object_set_new(audit, "keys_only", json_true());

	r |= etcd_add_op(list, "range",
			 etcd_range_body(node_key(node, key, FLEET_ALL, NULL, NULL)));
	r |= etcd_add_op(list, "range", etcd_range_body(own_key(node, key, FLEET_HOST)));
	r |= etcd_add_op(list, "range", etcd_range_body(own_key(node, key, FLEET_SETTINGS)));
	r |= etcd_add_op(list, "range", audit);
	if (r) {
		json_decref(list);
		return NULL;
	}
	return etcd_txn_body(NULL, list, NULL);
}

static void on_read(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;
	uint64_t now = sys_now();

	node->op = NULL;
	if (answer->error) {
		node_lost(node, answer->error, answer->why);
		return;
	}
	take_all(node, answer);
	if (start_watch(node)) {
		node_lost(node, -ENOMEM, "out of memory");
		return;
	}
	node->state = NODE_HERE;
	node->due.refresh = now + REFRESH / 2 + fleet_jitter(REFRESH);
	node_report_anew(node);
	node->dirty = true;
	if (node->told_away || node->failures || !node->kept)
		node_say(node, NODE_INFO, "connected: host %s of fleet %s", node->o.config->host,
			 node->o.config->fleet);
	node->told_away = node->told_name = false;
	node->failures = 0;
	node->kept = now;
	node->due.keep = now + node->o.config->ttl_s * SECOND / 3;
}

static void on_refresh(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;

	node->refresh = NULL;
	node->due.refresh = sys_now() + REFRESH / 2 + fleet_jitter(REFRESH);
	if (answer->error)
		node_later(node);
	else if (answer->revision < node->revision)
		node_lost(node, -ENODATA, "etcd went back to an earlier state");
	else
		take_all(node, answer);
}

/* ---- claiming ------------------------------------------------------------------------------ */

static void ask(struct node *node, const char *path, json_t *body, etcd_done done)
{
	if (etcd_ask(node->o.etcd, path, body, false, done, node, &node->op))
		node_lost(node, -ENOMEM, "out of memory");
}

static void start_reading(struct node *node)
{
	node->state = NODE_READING;
	ask(node, "/v3/kv/txn", read_body(node), on_read);
}

static void name_taken(struct node *node)
{
	if (!node->told_name)
		node_say(node, NODE_WARN,
			 "another pshare-fleet is connected as host %s: if it was this one before "
			 "it ended, its lease runs out in a moment; else give this host another "
			 "name (host = NAME)",
			 node->o.config->host);
	node->told_name = true;
	disconnect(node);
	node->due.connect = sys_now() + NAME_TAKEN;
}

static void on_claimed(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;
	_cleanup_kv_ struct etcd_kv kv = {0};
	const json_t *found;
	const char *instance;

	node->op = NULL;
	if (answer->error) {
		node_lost(node, answer->error, answer->why);
		return;
	}
	if (json_is_true(json_object_get(answer->json, "succeeded"))) {
		start_reading(node);
		return;
	}
	found = json_array_get(etcd_kvs(etcd_response(answer->json, 0, "response_range")), 0);
	if (etcd_kv(found, &kv)) {
		node_lost(node, -ECANCELED, "alive/HOST is no record of a host");
		return;
	}
	instance = json_string_value(json_object_get(kv.value, "instance"));
	if (instance && strcmp(instance, node->instance) == 0 && kv.lease == node->lease)
		start_reading(node);
	else
		name_taken(node);
}

static void start_claiming(struct node *node)
{
	_cleanup_json_ json_t *value = json_pack("{s:i, s:s, s:I, s:s}", "schema", FLEET_SCHEMA,
						 "instance", node->instance, "since",
						 (json_int_t)node->started, "version",
						 PSHARE_VERSION);
	json_t *compare = json_array(), *success = json_array(), *failure = json_array();
	char key[FLEET_KEY_MAX];
	int r = 0;

	node->state = NODE_CLAIMING;
	own_key(node, key, FLEET_ALIVE);
	r |= etcd_add_compare(compare, key, 0);
	r |= etcd_add_op(success, "put", etcd_put_body(key, value, node->lease));
	r |= etcd_add_op(failure, "range", etcd_range_body(key));
	ask(node, "/v3/kv/txn", etcd_txn_body(compare, success, failure), on_claimed);
	(void)r; /* what memory was short for is missing, and etcd refuses the rest */
}

/* ---- the lease ----------------------------------------------------------------------------- */

static json_t *lease_body(const char *what, int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)number);
	return json_pack("{s:s}", what, text);
}

static void on_lease(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;

	node->op = NULL;
	node->lease = etcd_int(answer->json, "ID");
	if (answer->error || !node->lease) {
		node_lost(node, answer->error ? answer->error : -EBADMSG,
			  answer->error ? answer->why : "etcd gave no lease");
		return;
	}
	start_claiming(node);
}

/* An answer to a keep-alive: is the lease alive? */
static bool lives(const struct etcd_answer *answer)
{
	return etcd_int(json_object_get(answer->json, "result"), "TTL") > 0;
}

static void new_lease(struct node *node)
{
	ask(node, "/v3/lease/grant", lease_body("TTL", node->o.config->ttl_s), on_lease);
}

static void on_old_lease(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;

	node->op = NULL;
	if (answer->error) {
		node_lost(node, answer->error, answer->why);
		return;
	}
	if (lives(answer)) {
		start_claiming(node);
		return;
	}
	node->lease = 0;
	new_lease(node);
}

static void connect_again(struct node *node)
{
	node->state = NODE_LEASING;
	if (node->lease)
		ask(node, "/v3/lease/keepalive", lease_body("ID", node->lease), on_old_lease);
	else
		new_lease(node);
}

static void on_kept(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;
	uint64_t now = sys_now(), ttl = node->o.config->ttl_s * SECOND;

	node->keep = NULL;
	node->due.keep = now + ttl / 3;
	if (answer->error && now - node->kept < ttl) {
		/* there is time left, for another member, or for one that has much to do */
		etcd_next_member(node->o.etcd);
		node->due.keep = now + SECOND + fleet_jitter(SECOND);
	} else if (answer->error) {
		node_lost(node, answer->error, answer->why);
	} else if (!lives(answer)) {
		node->lease = 0;
		node_lost(node, -ENODATA, "the lease ran out");
	} else {
		node->kept = now;
	}
}

static void keep(struct node *node, uint64_t now)
{
	if (node->keep || now < node->due.keep)
		return;
	if (etcd_ask(node->o.etcd, "/v3/lease/keepalive", lease_body("ID", node->lease), false,
		     on_kept, node, &node->keep))
		node->due.keep = now + SECOND;
}

/* ---- work ---------------------------------------------------------------------------------- */

static void refresh(struct node *node, uint64_t now)
{
	if (node->refresh || now < node->due.refresh)
		return;
	if (etcd_ask(node->o.etcd, "/v3/kv/txn", read_body(node), false, on_refresh, node,
		     &node->refresh))
		node->due.refresh = now + SECOND;
}

static int until(const struct node *node, uint64_t now)
{
	uint64_t least = now + IDLE_MS * MS;
	const uint64_t deadlines[] = {
		node->state == NODE_AWAY ? node->due.connect : least,
		node->state == NODE_HERE && !node->keep ? node->due.keep : least,
		node->polling ? least : node->due.poll,
	};

	for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++)
		if (deadlines[i] < least)
			least = deadlines[i];
	return least <= now ? 0 : (int)((least - now + MS - 1) / MS);
}

int node_work(struct node *node)
{
	uint64_t now = sys_now();

	if (node->state == NODE_AWAY && now >= node->due.connect)
		connect_again(node);
	if (node->state == NODE_HERE) {
		keep(node, now);
		refresh(node, now);
	}
	node_settings_work(node, now);
	node_report_work(node, now);
	node_likeness_work(node, now);
	return until(node, sys_now());
}

bool node_is_here(const struct node *node)
{
	return node->state == NODE_HERE;
}

const struct fleetrules *node_rules(const struct node *node)
{
	return &node->rules;
}

static void on_left(void *arg, const struct etcd_answer *answer)
{
	(void)answer;
	*(bool *)arg = true;
}

void node_leave(struct node *node)
{
	uint64_t end = sys_now() + LEAVE_MS * MS;
	bool left = false;
	struct etcd_op *op = NULL;

	disconnect(node);
	if (!node->lease || etcd_ask(node->o.etcd, "/v3/lease/revoke",
				     lease_body("ID", node->lease), false, on_left, &left, &op))
		return;
	while (!left && sys_now() < end)
		(void)http_turn(node->o.http, NULL, 0, 50);
	if (!left)
		etcd_cancel(op);
	node->lease = 0;
}

/* ---- the whole ----------------------------------------------------------------------------- */

int node_new(struct node **out, const struct node_options *options)
{
	struct node *node = calloc(1, sizeof(*node));
	int r;

	if (!node)
		return -ENOMEM;
	node->o = *options;
	node->started = sys_wall_time();
	node->putting = -1;
	node->unknown = json_object();
	node->drifts = json_array();
	fleetrules_defaults(&node->rules);
	node->due.connect = sys_now();
	r = fleet_new_id(node->instance);
	if (r || !node->unknown || !node->drifts) {
		node_free(node);
		return r ? r : -ENOMEM;
	}
	*out = node;
	return 0;
}

struct node *node_free(struct node *node)
{
	if (!node)
		return NULL;
	disconnect(node);
	node_settings_free(node);
	node_report_free(node);
	node_likeness_free(node);
	free(node);
	return NULL;
}
