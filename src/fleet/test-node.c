/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A node between an etcd and a daemon that are this test: what it asks of each waits until the test
 * answers, or does not. The linker gives etcd's functions to the test (--wrap).
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/node-internal.h"
#include "harness/harness.h"
#include "sys/proc.h"

#define ASKED_MAX 16
#define NAME "Mem.ShareScanTime"

/* ---- etcd ---------------------------------------------------------------------------------- */

struct asked {
	char path[64];
	char key[FLEET_KEY_MAX]; /* of a put, or "" */
	json_t *value;		 /* of a put, or NULL */
	etcd_done done;
	void *arg;
	struct etcd_op **op;
};

static struct asked asked[ASKED_MAX];
static size_t nasked;

static void forget(struct asked *a)
{
	json_decref(a->value);
	nasked--;
	memmove(a, a + 1, (size_t)(&asked[nasked] - a) * sizeof(*a));
}

static void decode(char *out, size_t size, const json_t *base64)
{
	const char *text = json_string_value(base64);
	int length = text ? (int)strlen(text) : 0;

	out[0] = '\0';
	if (length && (size_t)length < size)
		out[EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, length)] =
			'\0';
}

int __wrap_etcd_ask(struct etcd *etcd, const char *path, json_t *body, bool once, etcd_done done,
		    void *arg, struct etcd_op **op);
void __wrap_etcd_cancel(struct etcd_op *op);
int __wrap_etcd_watch(struct etcd *etcd, const struct etcd_watch_call *call,
		      struct etcd_watch **out);
void __wrap_etcd_watch_cancel(struct etcd_watch *watch);
void __wrap_etcd_next_member(struct etcd *etcd);

int __wrap_etcd_ask(struct etcd *etcd, const char *path, json_t *body, bool once, etcd_done done,
		    void *arg, struct etcd_op **op)
{
	struct asked *a = &asked[nasked++];
	char value[65536];

	(void)etcd, (void)once;
	REQUIRE(nasked < ASKED_MAX);
	*a = (struct asked){.done = done, .arg = arg, .op = op};
	snprintf(a->path, sizeof(a->path), "%s", path);
	decode(a->key, sizeof(a->key), json_object_get(body, "key"));
	decode(value, sizeof(value), json_object_get(body, "value"));
	a->value = json_loads(value, 0, NULL);
	json_decref(body);
	if (op)
		*op = (struct etcd_op *)op; /* not NULL, and known again */
	return 0;
}

void __wrap_etcd_cancel(struct etcd_op *op)
{
	for (size_t i = 0; op && i < nasked; i++)
		if (asked[i].op == (struct etcd_op **)op) {
			forget(&asked[i]);
			return;
		}
}

int __wrap_etcd_watch(struct etcd *etcd, const struct etcd_watch_call *call,
		      struct etcd_watch **out)
{
	(void)etcd, (void)call;
	*out = (struct etcd_watch *)out;
	return 0;
}

void __wrap_etcd_watch_cancel(struct etcd_watch *watch)
{
	(void)watch;
}

void __wrap_etcd_next_member(struct etcd *etcd)
{
	(void)etcd;
}

/* The first that was asked whose path or key has this part; NULL: none. */
static struct asked *find(const char *part)
{
	for (size_t i = 0; i < nasked; i++)
		if (strstr(asked[i].path, part) || strstr(asked[i].key, part))
			return &asked[i];
	return NULL;
}

static void answer(const char *part, json_t *json)
{
	struct asked *a = find(part), was;
	struct etcd_answer said = {.json = json, .revision = 5};

	REQUIRE(a);
	was = *a;
	was.value = NULL;
	forget(a);
	was.done(was.arg, &said);
	json_decref(json);
}

/* ---- the daemon ---------------------------------------------------------------------------- */

struct question {
	char path[128];
	local_done done;
	void *arg;
};

static struct question questions[ASKED_MAX];
static size_t nquestions;

static int put_question(const char *path, local_done done, void *arg)
{
	REQUIRE(nquestions < ASKED_MAX);
	snprintf(questions[nquestions].path, sizeof(questions[0].path), "%s", path);
	questions[nquestions].done = done;
	questions[nquestions++].arg = arg;
	return 0;
}

static int get(struct local *local, const char *path, local_done done, void *arg)
{
	(void)local;
	return put_question(path, done, arg);
}

static int put(struct local *local, const char *setting, json_t *value, local_done done, void *arg)
{
	(void)local;
	json_decref(value);
	return put_question(setting, done, arg);
}

static json_t *facts(struct local *local)
{
	(void)local;
	return json_object();
}

static int audit(struct local *local)
{
	(void)local;
	return -ENOENT;
}

static json_t *audit_end(struct local *local)
{
	(void)local;
	return NULL;
}

static struct local local = {get, put, facts, audit, audit_end};

static bool is_asked(const char *path)
{
	for (size_t i = 0; i < nquestions; i++)
		if (strcmp(questions[i].path, path) == 0)
			return true;
	return false;
}

/* Takes json. */
static void daemon_says(const char *path, int error, json_t *json)
{
	struct question was;
	size_t i = 0;

	while (i < nquestions && strcmp(questions[i].path, path) != 0)
		i++;
	REQUIRE(i < nquestions);
	was = questions[i];
	memmove(&questions[i], &questions[i + 1], (--nquestions - i) * sizeof(was));
	was.done(was.arg, error, error ? "it says so" : NULL, json);
	json_decref(json);
}

static json_t *status(int pid, int value, int vms)
{
	return json_pack("{s:i, s:i, s:i, s:{s:i}}", "pid", pid, "started", 1, "vms", vms,
			 "settings", NAME, value);
}

/* ---- the node ------------------------------------------------------------------------------ */

static void say(void *arg, enum node_level level, const char *line)
{
	(void)arg, (void)level;
	printf("# %s\n", line);
}

static struct node *new_node(void)
{
	static struct fleet_config config = {
		.fleet = "default", .host = "h1", .ttl_s = 3600, .report_s = 3600};
	struct node_options options = {
		.config = &config, .local = &local, .poll_ms = 3600000, .say = say};
	struct node *node = NULL;

	REQUIRE_OK(node_new(&node, &options));
	return node;
}

static void connect_node(struct node *node)
{
	node->due.connect = 0;
	node_work(node);
	answer("/v3/lease/", node->lease ? json_pack("{s:{s:s}}", "result", "TTL", "9") :
					   json_pack("{s:s}", "ID", "7"));
	answer("/v3/kv/txn", json_pack("{s:b}", "succeeded", 1));
	answer("/v3/kv/txn", json_object());
	REQUIRE_EQ(node->state, NODE_HERE);
}

/* The daemon is asked, and says this. */
static void poll(struct node *node, int error, json_t *json)
{
	node->due.poll = 0;
	node_work(node);
	daemon_says("/v1/status", error, json);
	node_work(node);
}

static void want(struct node *node, const char *change, const char *value)
{
	_cleanup_kv_ struct etcd_kv kv = {.mod_revision = 5};

	fleet_key(kv.key, "default", FLEET_ALL_SET, NAME, NULL);
	kv.value = json_pack("{s:s, s:s}", "change", change, "value", value);
	node_settings_take(node, &kv);
}

static void end(struct node *node)
{
	node_free(node);
	while (nasked)
		forget(&asked[0]);
	nquestions = 0;
}

/* ---- settings ------------------------------------------------------------------------------ */

/* Connected, and 20 is in force as it is wanted; the daemon is process 1. */
static struct node *new_settled(void)
{
	struct node *node = new_node();

	connect_node(node);
	node->due.report = node->due.likeness = UINT64_MAX;
	want(node, "c1", "20");
	poll(node, 0, status(1, 60, 0));
	daemon_says(NAME, 0, json_object());
	REQUIRE_EQ(node->setting[setting_find(NAME, false, NULL)].value, 20);
	return node;
}

TEST("a daemon that did not answer once is still the same: what was set by hand stays")
{
	struct node *node = new_settled();

	poll(node, 0, status(1, 99, 0));
	CHECK(!is_asked(NAME));
	poll(node, -ETIMEDOUT, NULL);
	poll(node, 0, status(1, 99, 0));
	CHECK(!is_asked(NAME));
	CHECK_EQ(node->setting[setting_find(NAME, false, NULL)].from, FROM_HAND);
	poll(node, -ENOTCONN, NULL);
	poll(node, 0, status(2, 99, 0));
	CHECK(is_asked(NAME)); /* that one is another */
	end(node);
}

TEST("a restart while the daemon does not answer forgets no change by hand either")
{
	struct node *node = new_settled();
	json_t *record = NULL;

	poll(node, 0, status(1, 99, 0));
	poll(node, -ETIMEDOUT, NULL);
	while (find("settings/h1")) { /* the last of them */
		json_decref(record);
		record = json_incref(find("settings/h1")->value);
		answer("settings/h1", json_object());
		node_work(node);
	}
	CHECK_STR(json_string_value(json_object_get(record, "daemon")), "");
	end(node);

	node = new_node();
	node_settings_restore(node, record);
	json_decref(record);
	connect_node(node);
	want(node, "c1", "20");
	poll(node, 0, status(1, 99, 0));
	CHECK(!is_asked(NAME));
	end(node);
}

/* ---- reports ------------------------------------------------------------------------------- */

/* The daemon is asked for what a report tells, and says that there are these VMs. */
static void report(struct node *node, json_t *vms)
{
	node->due.poll = UINT64_MAX;
	node_work(node);
	daemon_says("/v1/status", 0, status(1, 60, (int)json_array_size(vms)));
	daemon_says("/v1/vms", 0, json_pack("{s:o}", "vms", vms));
}

TEST("a report that was under way when etcd was lost is written when it is back")
{
	struct node *node = new_node();

	node->due.poll = UINT64_MAX;
	connect_node(node);
	node->due.likeness = UINT64_MAX;
	report(node, json_pack("[{s:s}]", "name", "web1"));
	CHECK(find("report/h1"));
	node_lost(node, -ENOTCONN, "etcd is gone");
	CHECK(!find("report/h1"));
	connect_node(node);
	report(node, json_pack("[{s:s}]", "name", "web1"));
	REQUIRE(find("report/h1"));
	/* what was written is not written again */
	answer("report/h1", json_object());
	node->due.report = 0;
	report(node, json_pack("[{s:s}]", "name", "web1"));
	CHECK(!find("report/h1"));
	end(node);
}

/* ---- likeness ------------------------------------------------------------------------------ */

#define TWO json_pack("[{s:s}, {s:s}]", "name", "web1", "name", "web2")

/* Connected, and reported, with two VMs; the first of them is asked for its sketch. */
static struct node *new_gathering(void)
{
	struct node *node = new_node();

	node->due.poll = UINT64_MAX;
	connect_node(node);
	report(node, TWO);
	answer("report/h1", json_object());
	node->due.likeness = 1;
	node_work(node);
	return node;
}

static json_t *sketch(const char *name)
{
	return json_pack("{s:s, s:s}", "name", name, "sketch", "AAAA");
}

static void gather_anew(struct node *node)
{
	CHECK(!find("likeness/h1"));
	CHECK_EQ(node->likeness_again, 0u);
	node->due.likeness = 1;
	node_work(node);
	daemon_says("/v1/vms/web1/likeness", 0, sketch("web1"));
	daemon_says("/v1/vms/web2/likeness", 0, sketch("web2"));
	REQUIRE(find("likeness/h1"));
	CHECK_EQ(json_object_size(json_object_get(find("likeness/h1")->value, "vms")), 2u);
}

TEST("of sketches that were gathered in part none is written")
{
	struct node *node = new_gathering();

	daemon_says("/v1/vms/web1/likeness", 0, sketch("web1"));
	daemon_says("/v1/vms/web2/likeness", -ETIMEDOUT, NULL);
	gather_anew(node);
	end(node);

	node = new_gathering();
	daemon_says("/v1/vms/web1/likeness", -ENOTCONN, NULL);
	CHECK(!is_asked("/v1/vms/web2/likeness"));
	gather_anew(node);
	end(node);
}

TEST("a report that is dropped while sketches are gathered takes none of them away")
{
	struct node *node = new_gathering();

	node_report_anew(node);
	daemon_says("/v1/vms/web1/likeness", 0, sketch("web1"));
	daemon_says("/v1/vms/web2/likeness", 0, sketch("web2"));
	REQUIRE(find("likeness/h1"));
	CHECK_EQ(json_object_size(json_object_get(find("likeness/h1")->value, "vms")), 2u);
	end(node);
}

TEST("a VM that has gone is left out of the sketches, and the others are written")
{
	struct node *node = new_gathering();

	daemon_says("/v1/vms/web1/likeness", -EINVAL, NULL);
	daemon_says("/v1/vms/web2/likeness", 0, sketch("web2"));
	REQUIRE(find("likeness/h1"));
	CHECK_EQ(json_object_size(json_object_get(find("likeness/h1")->value, "vms")), 1u);
	end(node);
}
