/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * report/HOST: what a planner, an administrator and the admission of a VM need of a host, in a
 * few hundred bytes and fifty for each VM: facts, the daemon's totals, and each VM's memory. It
 * is written when a VM comes or goes, and else every report-seconds where it changed; thousands
 * of hosts write to one etcd. It stays when the host is gone, with the time at which it was true.
 *
 * What is of a tenant alone is not in it: no domain, no salt or anything made of one.
 *
 * audit/HOST: the host's last audit, made when an administrator asks for fresh ones.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/node-internal.h"
#include "sys/launch.h"
#include "sys/proc.h"

#define VMS_MAX 4096u

static void copy(json_t *to, const char *name, const json_t *from, const char *source)
{
	json_t *value = json_object_get(from, source);

	if (value)
		(void)json_object_set(to, name, value);
}

static json_t *vm_record(const json_t *vm)
{
	static const char *const members[] = {"name", "pid",	 "size", "GRANT",
					      "SHRD", "SHRDSVD", "ZERO", "reservation"};
	json_t *record = json_object();

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		copy(record, members[i], vm, members[i]);
	return record;
}

static json_t *report_record(struct node *node, const json_t *vms)
{
	json_t *record = node->o.local->facts(node->o.local), *list = json_array();
	const json_t *vm;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)vms, i, vm)
	{
		if (i == VMS_MAX)
			break;
		(void)json_array_append_new(list, vm_record(vm));
	}
	(void)json_object_set_new(record, "schema", json_integer(FLEET_SCHEMA));
	(void)json_object_set_new(record, "host", json_string(node->o.config->host));
	copy(record, "version", node->status, "version");
	copy(record, "state", node->status, "state");
	copy(record, "domains", node->status, "domains");
	copy(record, "pshare", node->status, "pshare");
	copy(record, "metadata_bytes", node->status, "metadata_bytes");
	copy(record, "cpu", node->status, "cpu");
	(void)json_object_set_new(record, "vms", list);
	return record;
}

/* Does it say anything new? The clocks of CPU always do, and free memory nearly. */
static bool is_news(const json_t *record, const json_t *last)
{
	_cleanup_json_ json_t *a = json_copy((json_t *)(uintptr_t)record);
	_cleanup_json_ json_t *b = json_copy((json_t *)(uintptr_t)last);
	static const char *const noise[] = {"cpu", "at"};

	for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
		(void)json_object_del(a, noise[i]);
		(void)json_object_del(b, noise[i]);
	}
	return !json_equal(a, b);
}

/* Whether the last one was written is not known. */
void node_report_anew(struct node *node)
{
	json_decref(node->last_report);
	node->last_report = NULL;
	node_report_soon(node);
}

static void on_reported(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;

	node->report_op = NULL;
	if (answer->error) {
		node_report_anew(node);
		node_later(node);
	}
}

static void send_report(struct node *node, json_t *record)
{
	char key[FLEET_KEY_MAX];

	if (node->state != NODE_HERE || node->report_op || !record)
		return;
	if (!is_news(record, node->last_report))
		return;
	json_decref(node->last_report);
	node->last_report = json_incref(record);
	(void)json_object_set_new(record, "at", json_integer((json_int_t)sys_wall_time()));
	node_key(node, key, FLEET_REPORT, node->o.config->host, NULL);
	(void)etcd_ask(node->o.etcd, "/v3/kv/put", etcd_put_body(key, record, 0), false,
		       on_reported, node, &node->report_op);
}

static void on_vms(void *arg, int error, const char *why, json_t *json)
{
	struct node *node = arg;
	json_t *record;

	(void)why;
	node->reporting = false;
	if (!error) {
		node->vms_seen =
			(unsigned int)json_integer_value(json_object_get(node->status, "vms"));
		record = report_record(node, json_object_get(json, "vms"));
		send_report(node, record);
		json_decref(record);
	}
	json_decref(node->status);
	node->status = NULL;
}

static void on_status(void *arg, int error, const char *why, json_t *json)
{
	struct node *node = arg;

	json_decref(node->status);
	node->status = json_incref(json);
	if (error || node->o.local->get(node->o.local, "/v1/vms", on_vms, node))
		on_vms(node, -1, why, NULL);
}

static void report(struct node *node, uint64_t now)
{
	uint64_t period = node->o.config->report_s * SECOND;

	if (node->reporting || node->state != NODE_HERE || now < node->due.report ||
	    now < node->due.write)
		return;
	node->due.report = now + period / 2 + fleet_jitter(period);
	if (!node->o.local->get(node->o.local, "/v1/status", on_status, node))
		node->reporting = true;
}

void node_report_soon(struct node *node)
{
	node->due.report = 0;
}

/* ---- audits -------------------------------------------------------------------------------- */

static void on_audited(void *arg, const struct etcd_answer *answer)
{
	struct node *node = arg;

	node->audit_op = NULL;
	if (answer->error == -EMSGSIZE || answer->error == -EACCES) {
		node->audit_done = node->audit_wish;
		node_say(node, NODE_WARN, "the audit cannot be sent: %s", answer->why);
	} else if (answer->error) {
		node_later(node); /* the wish is still there: it is made anew */
	} else {
		node->audit_done = answer->revision;
	}
}

static void send_audit(struct node *node, json_t *said)
{
	_cleanup_json_ json_t *record = json_pack("{s:i, s:s, s:s, s:I, s:o}", "schema",
						  FLEET_SCHEMA, "host", node->o.config->host,
						  "asked", node->audit_asked, "at",
						  (json_int_t)sys_wall_time(), "audit", said);
	char key[FLEET_KEY_MAX];

	node_key(node, key, FLEET_AUDIT, node->o.config->host, NULL);
	(void)etcd_ask(node->o.etcd, "/v3/kv/put", etcd_put_body(key, record, 0), false, on_audited,
		       node, &node->audit_op);
}

static void audit(struct node *node, uint64_t now)
{
	json_t *said;

	if (node->state != NODE_HERE || node->audit_op || now < node->due.audit ||
	    now < node->due.write)
		return;
	if (!node->auditing && node->audit_wish > node->audit_done) {
		node->auditing = true;
		if (node->o.local->audit(node->o.local)) {
			node->auditing = false;
			send_audit(node, json_pack("{s:s}", "error",
						   "no 'pshare audit' could be started here"));
			return;
		}
	}
	if (!node->auditing)
		return;
	node->due.audit = now + SECOND / 4;
	said = node->o.local->audit_end(node->o.local);
	if (!said)
		return;
	node->auditing = false;
	send_audit(node, said);
}

void node_report_take_wish(struct node *node, const struct etcd_kv *kv)
{
	const char *change = json_string_value(json_object_get(kv->value, "change"));

	node->audit_wish = change ? kv->mod_revision : 0;
	snprintf(node->audit_asked, sizeof(node->audit_asked), "%s", change ? change : "");
}

void node_report_work(struct node *node, uint64_t now)
{
	report(node, now);
	audit(node, now);
}

void node_report_free(struct node *node)
{
	json_decref(node->status);
	json_decref(node->last_report);
}
