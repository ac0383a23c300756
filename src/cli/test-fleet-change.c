/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A change for more hosts than a transaction takes, whose second part meets what can happen to it.
 * The etcd of this test is one head: who wrote it last, and at which revision.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/fleet-change.h"
#include "harness/harness.h"

#define HOSTS 250

enum { TRUE_ANSWER, LOST_BEFORE, LOST_AFTER, BEATEN };

static char head_change[FLEET_ID_MAX];
static int head_revision, parts;
static int second; /* what happens to the second part */
static char said[512];

static json_t *head_range(void)
{
	_cleanup_json_ json_t *record = json_pack("{s:i, s:s, s:s, s:{s:s, s:s}}", "schema",
						  FLEET_SCHEMA, "change", head_change, "value",
						  "30", "who", "user", "ann", "host", "desk");
	json_t *kv = etcd_put_body("/pshare/f/v1/head/Mem.X", record, 0); /* key and value */
	char revision[16];

	snprintf(revision, sizeof(revision), "%d", head_revision);
	(void)json_object_set_new(kv, "mod_revision", json_string(revision));
	return json_pack("{s:[o]}", "kvs", kv);
}

static void take(const struct fleet_change *change)
{
	snprintf(head_change, sizeof(head_change), "%s", change->id);
	head_revision++;
}

static struct fleet_change change;

int __wrap_etcd_call(struct etcd *etcd, const char *path, json_t *body, bool once, json_t **answer,
		     char err[FLEET_ERROR_MAX]);

int __wrap_etcd_call(struct etcd *etcd, const char *path, json_t *body, bool once, json_t **answer,
		     char err[FLEET_ERROR_MAX])
{
	int happens = ++parts == 2 ? second : TRUE_ANSWER;
	char revision[16];

	(void)etcd, (void)path, (void)once;
	json_decref(body);
	if (happens == BEATEN) {
		snprintf(head_change, sizeof(head_change), "another");
		head_revision++;
		*answer = json_pack("{s:[{s:o}]}", "responses", "response_range", head_range());
		return 0;
	}
	if (happens != LOST_BEFORE)
		take(&change);
	if (happens != TRUE_ANSWER) {
		snprintf(err, FLEET_ERROR_MAX, "no answer");
		return -ETIMEDOUT;
	}
	snprintf(revision, sizeof(revision), "%d", head_revision);
	*answer = json_pack("{s:b, s:{s:s}}", "succeeded", 1, "header", "revision", revision);
	return 0;
}

/* ---- of the command ------------------------------------------------------------------------ */

int fleet_call(struct fleet *fleet, const char *path, json_t *body, bool once, json_t **answer)
{
	(void)fleet, (void)path, (void)once;
	json_decref(body);
	*answer = head_range();
	return 0;
}

int fleet_history_prune(struct fleet *fleet)
{
	(void)fleet;
	return 0;
}

json_t *fleet_who(const struct fleet *fleet)
{
	(void)fleet;
	return json_object();
}

const char *fleet_when(char out[FLEET_WHEN_MAX], time_t when)
{
	(void)when;
	snprintf(out, FLEET_WHEN_MAX, "noon");
	return out;
}

const char *ask_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

uint64_t ask_number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

int say_error(int code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(said, sizeof(said), format, list);
	va_end(list);
	return code;
}

/* ---- the change ---------------------------------------------------------------------------- */

static int set(int happens)
{
	static const char *hosts[HOSTS];
	struct fleet fleet = {.config.fleet = "f"};

	for (size_t i = 0; i < HOSTS; i++)
		hosts[i] = "h";
	snprintf(head_change, sizeof(head_change), "before");
	head_revision = 10;
	parts = 0;
	second = happens;
	said[0] = '\0';
	change = (struct fleet_change){.name = "Mem.X",
				       .value = "20",
				       .what = "set",
				       .where = "h*",
				       .before = "10",
				       .hosts = hosts,
				       .nhosts = HOSTS};
	REQUIRE_OK(fleet_change_begin(&fleet, &change));
	return fleet_change_write(&fleet, &change);
}

TEST("a part of a change whose answer was lost counts as done only if it was")
{
	CHECK_OK(set(TRUE_ANSWER));
	CHECK_EQ(parts, 3);
	CHECK_OK(set(LOST_AFTER));
	CHECK_EQ(parts, 3);
	CHECK_EQ(set(LOST_BEFORE), CLI_FAILED);
	CHECK_EQ(parts, 2);
	CHECK_IN("of 250 hosts the first 100 were set", said);
}

TEST("who is beaten half way is told what was set before")
{
	CHECK_EQ(set(BEATEN), CLI_FAILED);
	CHECK_IN("ann@desk set it to 30 at noon", said);
	CHECK_IN("of 250 hosts the first 100 were set", said);
}
