/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * likeness/HOST: sketches of the VMs of the last report, for 'pshare plan' (policy/sketch.h). The
 * daemon makes them, with the fleet's key; they pass through here as they are. The daemon is asked
 * for one VM after the other, so that none of its turns is long.
 *
 * A sketch takes some 5 KB as text, so this is written seldom: every WRITES_APART reports' time.
 * Where a host has so many VMs that they would not fit a request of etcd's, the rest are left out:
 * a plan then knows their memory, and nothing of what they have in common.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/node-internal.h"
#include "sys/launch.h"
#include "sys/proc.h"

#define WRITES_APART 30u
#define FIRST_AFTER 5u
#define BYTES_MAX (1u << 20) /* etcd takes 1.5 MiB */
#define PATH_MAX_HERE 128u

static void ask_next(struct node *node);

static void on_written(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;

	node->likeness_op = NULL;
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
	if (node->state != NODE_HERE || node->likeness_op)
		return;
	record = json_pack("{s:i, s:s, s:I, s:O}", "schema", FLEET_SCHEMA, "host",
			   node->o.config->host, "at", (json_int_t)sys_wall_time(), "vms", vms);
	node_key(node, key, FLEET_LIKENESS, node->o.config->host, NULL);
	(void)etcd_ask(node->o.etcd, "/v3/kv/put", etcd_put_body(key, record, 0), false, on_written,
		       node, &node->likeness_op);
}

/* What a plan needs of the daemon's answer. */
static void add(struct node *node, const json_t *said)
{
	static const char *const members[] = {"key",   "user",	 "salt",  "weight",
					      "pages", "tokens", "sketch"};
	const char *name = json_string_value(json_object_get(said, "name"));
	const char *sketch = json_string_value(json_object_get(said, "sketch"));
	json_t *one;

	if (!name || !sketch || node->likeness_bytes + strlen(sketch) > BYTES_MAX)
		return;
	one = json_object();
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		(void)json_object_set(one, members[i], json_object_get(said, members[i]));
	node->likeness_bytes += strlen(sketch);
	(void)json_object_set_new(node->likeness, name, one);
}

static void on_one(void *arg, int error, const char *why, json_t *json)
{
	struct node *node = arg;

	(void)why;
	if (!error)
		add(node, json);
	ask_next(node);
}

static void ask_next(struct node *node)
{
	const json_t *vms = json_object_get(node->last_report, "vms");
	char path[PATH_MAX_HERE];

	while (node->likeness_next < json_array_size(vms)) {
		const char *name = json_string_value(
			json_object_get(json_array_get(vms, node->likeness_next++), "name"));

		snprintf(path, sizeof(path), "/v1/vms/%.64s/likeness", name ? name : "");
		if (name && !node->o.local->get(node->o.local, path, on_one, node))
			return;
	}
	send_sketches(node);
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
	node->likeness = json_object();
	node->likeness_next = 0;
	node->likeness_bytes = 0;
	if (node->likeness)
		ask_next(node);
}

void node_likeness_free(struct node *node)
{
	json_decref(node->likeness);
}
