/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Two administrators at once: each reads head/NAME, thinks, and writes in a transaction that
 * holds only if head/NAME is still of the revision that he read. One of them gets through; the
 * other is told who was first, and has changed nothing. The desired value, the head and the
 * history entry are in that one transaction: no change is without its entry.
 *
 * A change for more hosts than one transaction takes (etcd: 128 operations) goes out in several,
 * each of which builds on the head of the one before. A transaction whose answer was lost may
 * have been done: the head says so, since it holds the change's own id then, and is of another
 * revision than the one that was built on (which has that id too, from the second one on).
 */
#include "cli/fleet-change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/launch.h"

#define HOSTS_IN_TXN 100u
#define DONE_MAX 96u

static const char *key_of(const struct fleet *fleet, char key[FLEET_KEY_MAX], enum fleet_key kind,
			  const char *a, const char *b)
{
	return fleet_key(key, fleet->config.fleet, kind, a, b);
}

/* The head of NAME: 0 and *kv, whose value is NULL where there is none. */
static int read_head(struct fleet *fleet, const char *name, struct etcd_kv *kv)
{
	_cleanup_json_ json_t *answer = NULL;
	char key[FLEET_KEY_MAX];
	int r = fleet_call(fleet, "/v3/kv/range",
			   etcd_range_body(key_of(fleet, key, FLEET_HEAD, name, NULL)), false,
			   &answer);

	*kv = (struct etcd_kv){0};
	if (!r)
		(void)etcd_kv(json_array_get(etcd_kvs(answer), 0), kv);
	return r;
}

int fleet_change_begin(struct fleet *fleet, struct fleet_change *change)
{
	_cleanup_kv_ struct etcd_kv kv = {0};
	int r = read_head(fleet, change->name, &kv);

	change->head = kv.mod_revision;
	return r;
}

/* What is true of the hosts when the transaction of those from this one on was not done. */
static const char *done_before(const struct fleet_change *change, size_t from, char out[DONE_MAX])
{
	if (from)
		snprintf(out, DONE_MAX, "of %zu hosts the first %zu were set before that",
			 change->nhosts, from);
	else
		snprintf(out, DONE_MAX, "nothing was set");
	return out;
}

static int say_beaten(const struct fleet_change *change, size_t from, const json_t *head)
{
	const json_t *who = json_object_get(head, "who");
	char when[FLEET_WHEN_MAX], done[DONE_MAX];

	return say_error(CLI_FAILED,
			 "%s was changed by somebody else meanwhile: %s@%s set it to %s at %s; "
			 "%s: look, and try again",
			 change->name, ask_text(who, "user"), ask_text(who, "host"),
			 ask_text(head, "value"),
			 fleet_when(when, (time_t)ask_number(head, "when")),
			 done_before(change, from, done));
}

/* What stands in the desired value, in the head and in the history. */
static json_t *record_of(const struct fleet *fleet, const struct fleet_change *change)
{
	json_t *record = json_pack("{s:i, s:s, s:s, s:o, s:I}", "schema", FLEET_SCHEMA, "change",
				   change->id, "value", change->value ? change->value : "", "who",
				   fleet_who(fleet), "when", (json_int_t)sys_wall_time());

	if (change->once)
		(void)json_object_set_new(record, "once", json_true());
	return record;
}

static json_t *history_of(const struct fleet *fleet, const struct fleet_change *change)
{
	json_t *entry = record_of(fleet, change);
	json_t *hosts = change->hosts ? json_array() : NULL;

	for (size_t i = 0; hosts && i < change->nhosts; i++)
		(void)json_array_append_new(hosts, json_string(change->hosts[i]));
	(void)json_object_set_new(entry, "name", json_string(change->name));
	(void)json_object_set_new(entry, "where", json_string(change->where));
	(void)json_object_set_new(entry, "what", json_string(change->what));
	(void)json_object_set_new(entry, "before", json_string(change->before));
	(void)json_object_set_new(entry, "after", json_string(change->value ? change->value : ""));
	if (hosts)
		(void)json_object_set_new(entry, "hosts", hosts);
	return entry;
}

/* The transaction for hosts [from, to). The first has the history entry. */
static json_t *body_of(const struct fleet *fleet, const struct fleet_change *change, size_t from,
		       size_t to)
{
	_cleanup_json_ json_t *record = record_of(fleet, change);
	json_t *compare = json_array(), *success = json_array(), *failure = json_array();
	char head[FLEET_KEY_MAX], key[FLEET_KEY_MAX];

	key_of(fleet, head, FLEET_HEAD, change->name, NULL);
	(void)etcd_add_compare(compare, head, change->head);
	(void)etcd_add_op(success, "put", etcd_put_body(head, record, 0));
	(void)etcd_add_op(failure, "range", etcd_range_body(head));
	if (from == 0) {
		_cleanup_json_ json_t *entry = history_of(fleet, change);

		key_of(fleet, key, FLEET_HISTORY, change->id, NULL);
		(void)etcd_add_op(success, "put", etcd_put_body(key, entry, 0));
	}
	if (!change->hosts) {
		key_of(fleet, key, change->rule ? FLEET_ALL_RULE : FLEET_ALL_SET, change->name,
		       NULL);
		(void)etcd_add_op(success, "put", etcd_put_body(key, record, 0));
	}
	for (size_t i = from; change->hosts && i < to; i++) {
		key_of(fleet, key, FLEET_HOST_SET, change->hosts[i], change->name);
		if (change->value)
			(void)etcd_add_op(success, "put", etcd_put_body(key, record, 0));
		else
			(void)etcd_add_op(success, "delete_range", etcd_delete_body(key));
	}
	return etcd_txn_body(compare, success, failure);
}

/* The answer did not come: was it done? */
static int find_out(struct fleet *fleet, struct fleet_change *change, size_t from, const char *why)
{
	_cleanup_kv_ struct etcd_kv kv = {0};
	char done[DONE_MAX];
	int r = read_head(fleet, change->name, &kv);

	if (r)
		return r;
	if (strcmp(ask_text(kv.value, "change"), change->id) != 0 ||
	    kv.mod_revision == change->head)
		return say_error(CLI_FAILED, "%s; %s", why, done_before(change, from, done));
	change->revision = change->head = kv.mod_revision;
	return 0;
}

static int write_part(struct fleet *fleet, struct fleet_change *change, size_t from, size_t to)
{
	_cleanup_json_ json_t *answer = NULL;
	_cleanup_kv_ struct etcd_kv kv = {0};
	char err[FLEET_ERROR_MAX], done[DONE_MAX];
	int r = etcd_call(fleet->etcd, "/v3/kv/txn", body_of(fleet, change, from, to), true,
			  &answer, err);

	if (r == -ETIMEDOUT || r == -ENOTCONN || r == -ECONNRESET)
		return find_out(fleet, change, from, err);
	if (r)
		return from ? say_error(CLI_FAILED, "%s; %s", err,
					done_before(change, from, done)) :
			      say_error(CLI_FAILED, "%s", err);
	if (json_is_true(json_object_get(answer, "succeeded"))) {
		change->revision = change->head =
			etcd_int(json_object_get(answer, "header"), "revision");
		return 0;
	}
	(void)etcd_kv(json_array_get(etcd_kvs(etcd_response(answer, 0, "response_range")), 0), &kv);
	if (strcmp(ask_text(kv.value, "change"), change->id) != 0)
		return say_beaten(change, from, kv.value);
	change->revision = change->head = kv.mod_revision;
	return 0;
}

int fleet_change_write(struct fleet *fleet, struct fleet_change *change)
{
	size_t from = 0;
	int r;

	if (fleet_new_id(change->id))
		return say_error(CLI_FAILED, "no random numbers");
	do {
		size_t left = change->nhosts - from;
		size_t n = change->hosts ? (left < HOSTS_IN_TXN ? left : HOSTS_IN_TXN) : 0;

		r = write_part(fleet, change, from, from + n);
		from += n;
	} while (!r && change->hosts && from < change->nhosts);
	if (!r)
		(void)fleet_history_prune(fleet); /* said; the change is made all the same */
	return r;
}
