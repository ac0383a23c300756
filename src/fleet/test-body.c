/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys, and the gateway's JSON: made, read, and read when it is not what it should be. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/etcd-internal.h"
#include "fleet/prune.h"
#include "fleet/sketch.h"
#include "fleet/state.h"
#include "harness/harness.h"

TEST("a key is its fleet, its kind and its names; a prefix is of one kind alone")
{
	char key[FLEET_KEY_MAX], end[FLEET_KEY_MAX];

	CHECK_STR(fleet_key(key, "f", FLEET_HOST_SET, "h1", "Mem.X"),
		  "/pshare/f/v1/host/h1/set/Mem.X");
	CHECK_STR(fleet_key(key, "f", FLEET_ALIVE, NULL, NULL), "/pshare/f/v1/alive/");
	CHECK_STR(fleet_range_end(end, key), "/pshare/f/v1/alive0");
	CHECK_STR(fleet_key(key, "f", FLEET_ADMISSION, NULL, NULL), "/pshare/f/v1/admission");
	CHECK_STR(fleet_after("/a/b", "/a/"), "b");
	CHECK(!fleet_after("/ab", "/a/"));
}

/* One kv as the gateway gives it, from base64 texts. */
static int read_kv(const char *key, const char *value, struct etcd_kv *kv)
{
	_cleanup_json_ json_t *json = json_pack("{s:s, s:s, s:s}", "key", key, "value", value,
						"mod_revision", "9223372036854775807");

	return etcd_kv(json, kv);
}

TEST("what is put comes back; int64 are strings; an odd schema or value is none")
{
	static const struct {
		const char *value;
		bool read;
	} values[] = {
		{"eyJzY2hlbWEiOjF9", true},   /* {"schema":1} */
		{"eyJzY2hlbWEiOjJ9", false},  /* {"schema":2} */
		{"e30=", false},	      /* {} */
		{"W10=", false},	      /* [] */
		{"eyJzY2hlbWEiOjF9*", false}, /* no base64 */
		{"AAAA", false},	      /* NULs */
		{"", false},
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		_cleanup_kv_ struct etcd_kv kv;

		REQUIRE_OK(read_kv("L2E=", values[i].value, &kv)); /* /a */
		CHECK_STR(kv.key, "/a");
		CHECK_EQ(kv.mod_revision, INT64_MAX);
		CHECK_EQ(kv.value != NULL, values[i].read);
	}
}

TEST("of what others wrote nothing steers a terminal")
{
	static const char text[] = "{\"schema\":1,\"a\":\"x\\u001b[31m\\n\",\"b\":[\"\\u009b\"],"
				   "\"c\":{\"d\\u001b\":1,\"e\":\"\\u00e9\"}}";
	unsigned char base64[2 * sizeof(text)];
	_cleanup_kv_ struct etcd_kv kv;
	_cleanup_free_ char *line = NULL;

	EVP_EncodeBlock(base64, (const unsigned char *)text, sizeof(text) - 1);
	REQUIRE_OK(read_kv("L2E=", (const char *)base64, &kv));
	line = json_line(kv.value);
	CHECK_STR(line,
		  "{\"a\":\"x?[31m?\",\"b\":[\"??\"],\"c\":{\"e\":\"\xc3\xa9\"},\"schema\":1}");
}

TEST("a key that cannot be one of ours is refused")
{
	static const char *const keys[] = {"", "*", "L2EK" /* newline */, "IA==" /* blank */,
					   "w6Q="};
	struct etcd_kv kv;
	char longest[2 * FLEET_KEY_MAX];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		CHECK_EQ(read_kv(keys[i], "e30=", &kv), -EBADMSG);
	memset(longest, 'A', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	CHECK_EQ(read_kv(longest, "e30=", &kv), -EBADMSG);
	CHECK_EQ(etcd_kv(NULL, &kv), -EBADMSG);
}

static void put(struct fleet_state *state, const char *key, const char *value, int64_t revision,
		int64_t lease)
{
	struct etcd_kv kv = {.mod_revision = revision, .lease = lease};

	snprintf(kv.key, sizeof(kv.key), "/pshare/f/v1/%s", key);
	kv.value = value ? json_loads(value, 0, NULL) : NULL;
	REQUIRE_OK(fleet_state_take_kv(state, &kv));
	etcd_kv_free(&kv);
}

TEST("a host is connected while a lease says so; of two desired values the later holds")
{
	_cleanup_state_ struct fleet_state state;
	_cleanup_free_ size_t *order = NULL;
	struct fleet_host *host;

	REQUIRE_OK(fleet_state_init(&state, "f"));
	put(&state, "report/b", "{\"schema\":1,\"at\":5}", 1, 0);
	put(&state, "alive/c", "{\"schema\":1,\"since\":7}", 2, 99);
	put(&state, "alive/a", "{\"schema\":1}", 3, 0);
	put(&state, "alive/../x", "{\"schema\":1}", 3, 1);
	CHECK_EQ(state.nhosts, 3u);
	order = fleet_state_order(&state);
	CHECK_STR(state.hosts[order[0]].name, "c");
	CHECK_STR(state.hosts[order[1]].name, "a");
	host = fleet_state_host(&state, "c");
	REQUIRE(host);
	CHECK_EQ(host->since, 7);
	put(&state, "all/set/Mem.X", "{\"schema\":1,\"value\":\"1\"}", 10, 0);
	put(&state, "host/c/set/Mem.X", "{\"schema\":1,\"value\":\"2\"}", 11, 0);
	CHECK_STR(json_string_value(
			  json_object_get(fleet_state_want(&state, host, "Mem.X"), "value")),
		  "2");
	put(&state, "all/set/Mem.X", "{\"schema\":1,\"value\":\"3\"}", 12, 0);
	CHECK_STR(json_string_value(
			  json_object_get(fleet_state_want(&state, host, "Mem.X"), "value")),
		  "3");
	put(&state, "alive/c", NULL, 13, 0);
	CHECK(!fleet_state_host(&state, "c")->connected);
}

TEST("a VM that was admitted counts until the report has it, by its pid")
{
	_cleanup_state_ struct fleet_state state;
	struct admission_verdict verdict;
	char why[FLEET_ERROR_MAX];

	REQUIRE_OK(fleet_state_init(&state, "f"));
	CHECK_OK(fleetrule_set(&state.rules, FLEETRULE_HOST_RESERVE, "0", NULL));
	CHECK_OK(fleetrule_set(&state.rules, FLEETRULE_VM_OVERHEAD_MB, "0", NULL));
	CHECK_OK(fleetrule_set(&state.rules, FLEETRULE_POLICY, "failoverResources", NULL));
	CHECK_OK(fleetrule_set(&state.rules, FLEETRULE_PERCENT, "50", NULL));
	put(&state, "alive/a", "{\"schema\":1}", 1, 9);
	CHECK_EQ(fleet_state_judge(&state, "a", 1, &verdict, why), -ENOENT);
	put(&state, "report/a", "{\"schema\":1,\"memory\":{\"total\":1000},\"vms\":[]}", 2, 0);
	put(&state, "pending/a/77", "{\"schema\":1,\"pid\":77,\"size\":300}", 3, 5);
	REQUIRE_OK(fleet_state_judge(&state, "a", 200, &verdict, why));
	CHECK_EQ(verdict.answer, ADMISSION_YES);
	REQUIRE_OK(fleet_state_judge(&state, "a", 201, &verdict, why));
	CHECK_EQ(verdict.answer, ADMISSION_NO_FAILOVER);
	put(&state, "report/a",
	    "{\"schema\":1,\"memory\":{\"total\":1000},"
	    "\"vms\":[{\"name\":\"v\",\"pid\":77,\"size\":300}]}",
	    4, 0);
	REQUIRE_OK(fleet_state_judge(&state, "a", 200, &verdict, why));
	CHECK_EQ(verdict.used, 500u);
	put(&state, "pending/a/77", NULL, 5, 0);
	REQUIRE_OK(fleet_state_judge(&state, "a", 200, &verdict, why));
	CHECK_EQ(verdict.used, 500u);
}

/* The answer to a look at `there` entries, of which these are the oldest. */
static json_t *oldest(const char *const *ids, size_t n, int there)
{
	json_t *kvs = json_array();

	for (size_t i = 0; i < n; i++) {
		char key[FLEET_KEY_MAX], name[FLEET_KEY_MAX];
		_cleanup_json_ json_t *put = NULL;

		fleet_key(key, "f", FLEET_HISTORY, ids[i], NULL);
		snprintf(name, sizeof(name), "%s", key);
		put = etcd_put_body(name, kvs, 0);
		(void)json_array_append_new(kvs,
					    json_pack("{s:O}", "key", json_object_get(put, "key")));
	}
	return json_pack("{s:o, s:i}", "kvs", kvs, "count", there);
}

static bool deletes_to(const json_t *range, const struct fleetrules *rules, time_t now,
		       const char *id)
{
	char prefix[FLEET_KEY_MAX], key[FLEET_KEY_MAX];
	_cleanup_json_ json_t *body = NULL;
	_cleanup_json_ json_t *wanted = NULL;

	fleet_key(prefix, "f", FLEET_HISTORY, NULL, NULL);
	fleet_key(key, "f", FLEET_HISTORY, id ? id : "", NULL);
	body = fleet_prune_body(prefix, range, rules, 1, now);
	wanted = id ? etcd_delete_to_body(prefix, key) : NULL;
	return id ? json_equal(body, wanted) : !body;
}

TEST("of a history goes what is older than the rules say, or too many; the newest never")
{
	static const char *const ids[] = {
		"2025-01-01T00:00:00Z-00000001",
		"2025-06-01T00:00:00Z-00000002",
		"2026-01-01T00:00:00Z-00000003",
	};
	static const time_t now = 1767312000; /* 2026-01-02T00:00:00Z */
	_cleanup_json_ json_t *three = oldest(ids, 3, 3);
	_cleanup_json_ json_t *many = oldest(ids, 3, 102);
	_cleanup_json_ json_t *more = oldest(ids, 3, 500);
	_cleanup_json_ json_t *none = json_pack("{}");
	struct fleetrules rules;

	fleetrules_defaults(&rules);
	CHECK(deletes_to(three, &rules, now, NULL));
	CHECK(deletes_to(none, &rules, now, NULL));
	rules.value[FLEETRULE_HISTORY_DAYS] = 300;
	CHECK(deletes_to(three, &rules, now, ids[0]));
	rules.value[FLEETRULE_HISTORY_DAYS] = 1;
	CHECK(deletes_to(three, &rules, now, ids[1]));
	CHECK(deletes_to(three, &rules, now + 1000 * 86400, ids[1]));
	CHECK(deletes_to(more, &rules, now + 1000 * 86400, ids[2]));
	rules.value[FLEETRULE_HISTORY_DAYS] = 3650;
	rules.value[FLEETRULE_HISTORY_MAX] = 100;
	CHECK(deletes_to(many, &rules, now, ids[1]));
	CHECK(deletes_to(more, &rules, now, ids[2]));
	CHECK(deletes_to(three, &rules, now, NULL));
}

/* What is asked for behind an answer, to a request that begins with this key (base64). */
static json_t *behind(const char *key, json_t *answer, int *r)
{
	json_t *page = json_pack("{s:s, s:s, s:i, s:b}", "key", key, "range_end", "L2Ew", "limit",
				 5, "keys_only", 1);

	*r = etcd_page_next(&page, answer);
	json_decref(answer);
	return page;
}

static const char *key_in(const json_t *page)
{
	return json_string_value(json_object_get(page, "key"));
}

TEST("a page begins behind the last key of the one before, and ends with the prefix")
{
	_cleanup_json_ json_t *first = etcd_page_body("/a/", 5, true);
	_cleanup_json_ json_t *next = NULL, *odd = NULL;
	int r;

	CHECK_STR(key_in(first), "L2Ev");
	CHECK_STR(json_string_value(json_object_get(first, "range_end")), "L2Ew");
	next = behind("L2Ev",
		      json_pack("{s:b, s:[{s:s}, {s:s}]}", "more", 1, "kvs", "key",
				"L2EvYQ==", "key", "L2EvYg=="),
		      &r);
	CHECK_EQ(r, 0);
	CHECK_STR(key_in(next), "L2EvYgA="); /* /a/b and a NUL */
	CHECK_STR(json_string_value(json_object_get(next, "range_end")), "L2Ew");
	CHECK_EQ(json_integer_value(json_object_get(next, "limit")), 5);
	CHECK(json_is_true(json_object_get(next, "keys_only")));
	odd = behind("L2Ev", json_pack("{s:b, s:[{s:s}]}", "more", 1, "kvs", "key", "L2EvAf8A"),
		     &r); /* no key of ours */
	CHECK_EQ(r, 0);
	CHECK_STR(key_in(odd), "L2EvAf8AAA==");
	CHECK(!behind("L2Ev", json_pack("{s:[{s:s}]}", "kvs", "key", "L2EvYg=="), &r));
	CHECK_EQ(r, 0);
}

TEST("an etcd whose pages do not go on is not asked again")
{
	json_t *same = json_pack("{s:b, s:[{s:s}, {s:s}]}", "more", 1, "kvs", "key",
				 "L2EvYQ==", "key", "L2EvYg==");
	int r;

	CHECK(!behind("L2EvYgA=", same, &r)); /* it was asked for what is behind /a/b */
	CHECK_EQ(r, -EPROTO);
	CHECK(!behind("L2EvYgA=", json_pack("{s:b, s:[]}", "more", 1, "kvs"), &r));
	CHECK_EQ(r, -EPROTO);
	CHECK(!behind("L2EvYgA=", json_pack("{s:b, s:[{s:s}]}", "more", 1, "kvs", "key", "*"), &r));
	CHECK_EQ(r, -EPROTO);
}

TEST("a sketch that is made smaller is the lower tokens of what it was, and stands for as much")
{
	static struct sketch sketch, thinned;
	static uint8_t bytes[SKETCH_BYTES];
	static char text[SKETCH_BYTES * 2];
	_cleanup_json_ json_t *json = NULL;
	_cleanup_json_ json_t *bad = json_pack("{s:s, s:i}", "sketch", "*", "tokens", 3);
	_cleanup_json_ json_t *same = json_copy(bad);
	double before, after;

	sketch = (struct sketch){.weight = 10, .pages = 1200, .n = 1000};
	for (uint32_t i = 0; i < sketch.n; i++)
		sketch.token[i] = (i + 1) * 67000;
	EVP_EncodeBlock((unsigned char *)text, bytes, (int)sketch_encode(&sketch, bytes));
	json = json_pack("{s:f, s:i, s:i, s:s}", "weight", 10.0, "pages", 1200, "tokens", 1000,
			 "sketch", text);
	REQUIRE_OK(fleet_sketch_thin(json, 2000));
	CHECK_STR(json_string_value(json_object_get(json, "sketch")), text);
	REQUIRE_OK(fleet_sketch_thin(json, 100));
	REQUIRE_OK(fleet_sketch_read(json, &thinned));
	CHECK_EQ(thinned.n, 100);
	CHECK_EQ(thinned.pages, 120);
	CHECK_EQ(memcmp(thinned.token, sketch.token, 100 * sizeof(sketch.token[0])), 0);
	before = sketch.weight * sketch.n;
	after = thinned.weight * thinned.n;
	CHECK(after > before * 0.95 && after < before * 1.05);
	CHECK_LT(strlen(json_string_value(json_object_get(json, "sketch"))), 100 * 19 / 6 + 8);
	CHECK_OK(fleet_sketch_thin(bad, 1));
	CHECK(json_equal(bad, same));
}

TEST("what was wanted once is wanted no more when the host has it")
{
	_cleanup_state_ struct fleet_state state;
	struct fleet_host *host;

	REQUIRE_OK(fleet_state_init(&state, "f"));
	put(&state, "host/c/set/Mem.X",
	    "{\"schema\":1,\"value\":\"2\",\"change\":\"i\",\"once\":true}", 11, 0);
	host = fleet_state_host(&state, "c");
	CHECK(fleet_state_want(&state, host, "Mem.X"));
	put(&state, "settings/c",
	    "{\"schema\":1,\"settings\":{\"Mem.X\":{\"value\":\"2\",\"change\":\"h\"}}}", 12, 0);
	CHECK(fleet_state_want(&state, host, "Mem.X"));
	put(&state, "settings/c",
	    "{\"schema\":1,\"settings\":{\"Mem.X\":{\"value\":\"2\",\"change\":\"i\"}}}", 13, 0);
	CHECK(!fleet_state_want(&state, host, "Mem.X"));
	put(&state, "all/set/Mem.X", "{\"schema\":1,\"value\":\"3\",\"change\":\"j\"}", 14, 0);
	CHECK(fleet_state_want(&state, host, "Mem.X"));
}

TEST("standby hosts that are not there are named")
{
	_cleanup_state_ struct fleet_state state;
	char faults[FLEET_FAULTS_MAX];

	REQUIRE_OK(fleet_state_init(&state, "f"));
	put(&state, "alive/a", "{\"schema\":1}", 1, 5);
	put(&state, "report/b", "{\"schema\":1}", 2, 0);
	fleet_state_standby_faults(&state, faults);
	CHECK_STR(faults, "");
	REQUIRE_OK(fleetrule_set(&state.rules, FLEETRULE_FAILOVER_HOSTS, "a,b,c", NULL));
	fleet_state_standby_faults(&state, faults);
	CHECK_STR(faults, "; b is not connected; c is no host of the fleet");
}

TEST("TLS that fails says whose certificate is at fault, by its file, and what would do")
{
	static const struct {
		const char *why, *said;
		bool none;
	} cases[] = {
		{"SSL_read: error:0A000412:SSL routines::sslv3 alert bad certificate, errno 0",
		 "does not accept client certificate /c.pem", false},
		{"error:0A000418:SSL routines::tlsv1 alert unknown ca", "(--trusted-ca-file)",
		 false},
		{"error:0A00045C:SSL routines::tlsv13 alert certificate required",
		 "none is given: give certificate = FILE and key = FILE", true},
		{"SSL certificate problem: unable to get local issuer certificate",
		 "was not signed by ca /ca.pem", false},
		{"SSL certificate problem: self-signed certificate in certificate chain",
		 "was not signed by ca /ca.pem", false},
		{"SSL: no alternative certificate subject name matches target host name 'a'",
		 "is for another name", false},
		{"SSL certificate problem: certificate has expired",
		 "the certificate of etcd at https://a:1 (--cert-file): SSL certificate problem",
		 false},
		{"error:0A00010B:SSL routines::wrong version number", "speaks no TLS", false},
		{"error:0A000438:SSL routines::tlsv1 alert internal error", "TLS with https://a:1",
		 false},
	};
	char err[FLEET_ERROR_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fleet_config config = {
			.endpoints = {"https://a:1"}, .nendpoints = 1, .ca = "/ca.pem"};
		struct etcd etcd = {.config = &config};
		struct http_answer answer = {
			.error = -EPROTO, .why = cases[i].why, .lacks_client_auth = -1};

		config.certificate = cases[i].none ? NULL : "/c.pem";
		CHECK_EQ(etcd_error(&etcd, &answer, err), -EPROTO);
		CHECK_IN(cases[i].said, err);
	}
}
