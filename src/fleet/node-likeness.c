/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * likeness/HOST: sketches of the VMs of the last report, for 'pshare plan' (policy/sketch.h). The
 * daemon makes them, with the fleet's key; they pass through here, made smaller. The daemon is
 * asked for one VM after the other, so that none of its turns is long. The VMs are those of the
 * report as it was at first: it may be another one before all are asked for, or none. A VM that has
 * gone meanwhile is left out. If the daemon does not answer for one, all that was gathered is
 * dropped, and what was written before stays.
 *
 * Etcd holds a few GiB, and each time that a key is written costs its size until etcd is compacted.
 * So a host has TEXT_ALL for its sketches: those of nine VMs go there whole, of more VMs each has
 * fewer tokens, which makes what a plan says of two of them less exact, and hardly what it says of
 * all. And they are written seldom: when VMs have come or gone, within WRITES_APART reports' time;
 * then after twice that time, and twice that, until it is four hours.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/node-internal.h"
#include "fleet/sketch.h"
#include "sys/launch.h"
#include "sys/proc.h"

#define WRITES_APART 30u
#define FIRST_AFTER 5u
#define APART_MAX (4 * 3600 * SECOND)
#define TEXT_ALL (48u << 10)	       /* base64 */
#define TOKENS_MIN 32u		       /* of a VM, however many there are */
#define TEXT_MAX (512u << 10)	       /* of so many VMs; the rest are left out */
#define TEXT_OF_TOKENS(n) ((n)*17 / 6) /* 17 bits each */
#define PATH_MAX_HERE 128u

static void ask_next(struct node *node);

static void on_written(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;

	node->likeness_op = NULL;
	if (answer->error)
		node->likeness_again = 0;
	if (answer->error == -EMSGSIZE || answer->error == -EACCES)
		node_say(node, NODE_WARN, "likeness cannot be sent: %s", answer->why);
	else if (answer->error)
		node->due.likeness = 0;
}

static void send_sketches(struct node *node)
{
	_cleanup_json_ json_t *vms = node->likeness;
	_cleanup_json_ json_t *record = NULL;
	char key[FLEET_KEY_MAX];

	node->likeness = NULL;
	if (node->state != NODE_HERE || node->likeness_op || node->likeness_failed) {
		node->likeness_again = node->due.likeness = 0;
		return;
	}
	record = json_pack("{s:i, s:s, s:I, s:O}", "schema", FLEET_SCHEMA, "host",
			   node->o.config->host, "at", (json_int_t)sys_wall_time(), "vms", vms);
	node_key(node, key, FLEET_LIKENESS, node->o.config->host, NULL);
	(void)etcd_ask(node->o.etcd, "/v3/kv/put", etcd_put_body(key, record, 0), false, on_written,
		       node, &node->likeness_op);
}

/* So many tokens each VM may have. */
static uint32_t tokens_each(const struct node *node)
{
	size_t vms = json_array_size(node->likeness_names);
	uint32_t n = SKETCH_MAX;

	while (n > TOKENS_MIN && TEXT_OF_TOKENS(n) * vms > TEXT_ALL)
		n -= n / 8;
	return n > TOKENS_MIN ? n : TOKENS_MIN;
}

/* What a plan needs of the daemon's answer. */
static void add(struct node *node, const json_t *said)
{
	static const char *const members[] = {"key",   "user",	 "salt",  "weight",
					      "pages", "tokens", "sketch"};
	const char *name = json_string_value(json_object_get(said, "name"));
	json_t *one = json_object();
	size_t length;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		(void)json_object_set(one, members[i], json_object_get(said, members[i]));
	length = json_string_length(json_object_get(one, "sketch"));
	if (!fleet_sketch_thin(one, tokens_each(node)))
		length = json_string_length(json_object_get(one, "sketch"));
	if (!name || !length || node->likeness_bytes + length > TEXT_MAX) {
		json_decref(one);
		return;
	}
	node->likeness_bytes += length;
	(void)json_object_set_new(node->likeness, name, one);
}

static void on_one(void *arg, int error, const char *why, json_t *json)
{
	struct node *node = arg;

	(void)why;
	if (!error)
		add(node, json);
	else if (error != -EINVAL) /* that is: there is no such VM */
		node->likeness_failed = true;
	ask_next(node);
}

static void ask_next(struct node *node)
{
	char path[PATH_MAX_HERE];

	while (!node->likeness_failed &&
	       node->likeness_next < json_array_size(node->likeness_names)) {
		const char *name = json_string_value(
			json_array_get(node->likeness_names, node->likeness_next++));

		snprintf(path, sizeof(path), "/v1/vms/%.64s/likeness", name ? name : "");
		if (!name)
			continue;
		if (!node->o.local->get(node->o.local, path, on_one, node))
			return;
		node->likeness_failed = true;
	}
	send_sketches(node);
}

/* Is it time? Then it is not for a while. */
static bool is_due(struct node *node, uint64_t now, uint64_t period)
{
	json_t *names = json_array();
	const json_t *vm;
	size_t i;
	bool same;

	json_array_foreach(json_object_get(node->last_report, "vms"), i, vm)(void)
		json_array_append(names, json_object_get(vm, "name"));
	same = json_equal(names, node->likeness_names);
	json_decref(node->likeness_names);
	node->likeness_names = names;
	if (same && now < node->likeness_again)
		return false;
	node->likeness_apart = !same				    ? period :
			       node->likeness_apart * 2 < APART_MAX ? node->likeness_apart * 2 :
								      APART_MAX;
	node->likeness_again = now + node->likeness_apart / 2 + fleet_jitter(node->likeness_apart);
	return true;
}

void node_likeness_work(struct node *node, uint64_t now)
{
	uint64_t period = node->o.config->report_s * SECOND;

	if (node->state != NODE_HERE || node->likeness || node->likeness_op || !node->last_report)
		return;
	if (!node->due.likeness)
		node->due.likeness = now + period / 2 + fleet_jitter(period * FIRST_AFTER);
	if (now < node->due.likeness)
		return;
	period *= WRITES_APART;
	node->due.likeness = now + period / 2 + fleet_jitter(period);
	if (!is_due(node, now, period))
		return;
	node->likeness = json_object();
	node->likeness_next = 0;
	node->likeness_failed = false;
	node->likeness_bytes = 0;
	if (node->likeness)
		ask_next(node);
}

void node_likeness_free(struct node *node)
{
	json_decref(node->likeness);
	json_decref(node->likeness_names);
}
