/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The API as it is written down (web/openapi.json) against the server, both ways: every route is
 * in it and everything in it is served; every field of an answer is in its schema, and what the
 * schema requires is in the answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/asset.h"
#include "daemon/json.h"
#include "daemon/test-api-core.h"

static json_t *doc;

static void load(void)
{
	const struct asset *asset = asset_find("/v1/openapi.json");
	json_error_t error;

	REQUIRE(asset != NULL);
	json_wipe_always();
	doc = json_loadb((const char *)asset->data, asset->size, JSON_REJECT_DUPLICATES, &error);
	if (!doc)
		FAIL("openapi.json: line %d: %s", error.line, error.text);
}

/* "/v1/vms/{vm}" as the route's pattern, or as a path to ask for. */
static void spell(const char *path, bool pattern, char *out, size_t size)
{
	static const char *const values[][2] = {
		{"{vm}", "web1"}, {"{setting}", NULL}, {"{generation}", "7"},
		{"{first}", "0"}, {"{after}", "1"},
	};
	size_t n = 0;

	if (pattern)
		path++;
	while (*path) {
		size_t length = *path == '{' ? strcspn(path, "}") + 1 : 1;
		const char *put = NULL;

		for (size_t i = 0; length > 1 && i < sizeof(values) / sizeof(values[0]); i++)
			if (strncmp(path, values[i][0], length) == 0)
				put = values[i][1]	   ? values[i][1] :
				      strstr(out, "/vms/") ? "sched.mem.pshare.enable" :
							     "Mem.ShareScanTime";
		REQUIRE(length == 1 || put || pattern);
		if (length > 1)
			n += (size_t)snprintf(out + n, size - n, "%s", pattern ? "*" : put);
		else
			n += (size_t)snprintf(out + n, size - n, "%c", *path);
		REQUIRE_LT(n, size);
		path += length;
	}
}

/* The schema itself, where it is a reference to one. */
static const json_t *resolve(const json_t *schema)
{
	const char *to = json_string_value(json_object_get(schema, "$ref"));
	const char *name = to ? strrchr(to, '/') + 1 : NULL;
	const json_t *all = json_object_get(json_object_get(doc, "components"), "schemas");

	if (!to)
		return schema;
	schema = json_object_get(all, name);
	if (!schema)
		FAIL("%s leads nowhere", to);
	return schema;
}

static const char *type_of(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "object",   [JSON_ARRAY] = "array", [JSON_STRING] = "string",
		[JSON_INTEGER] = "integer", [JSON_REAL] = "number", [JSON_TRUE] = "boolean",
		[JSON_FALSE] = "boolean",   [JSON_NULL] = "null",
	};

	return names[json_typeof(value)];
}

static bool type_fits(const json_t *type, const json_t *value)
{
	const char *is = type_of(value);
	size_t i;
	json_t *one;

	if (json_is_string(type))
		return strcmp(json_string_value(type), is) == 0 ||
		       (json_is_integer(value) && strcmp(json_string_value(type), "number") == 0);
	json_array_foreach((json_t *)(uintptr_t)type, i,
			   one) if (type_fits(one, value)) return true;
	return false;
}

/* "" if the value is as the schema says, else where and why not. */
static void check(const json_t *value, const json_t *given, const char *where, char why[512]);

static void check_object(const json_t *value, const json_t *schema, const char *where,
			 char why[512])
{
	const json_t *properties = json_object_get(schema, "properties");
	const json_t *more = json_object_get(schema, "additionalProperties");
	char below[256];
	const char *key;
	json_t *field;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)value, key, field)
	{
		const json_t *one = json_object_get(properties, key);

		snprintf(below, sizeof(below), "%.180s/%.60s", where, key);
		if (one || json_is_object(more))
			check(field, one ? one : more, below, why);
		else if (json_is_false(more))
			snprintf(why, 512, "%s: the schema has no such field", below);
		if (*why)
			return;
	}
	json_array_foreach(json_object_get(schema, "required"), i, field)
	{
		if (!json_object_get(value, json_string_value(field)))
			snprintf(why, 512, "%s: %s is required", where, json_string_value(field));
	}
}

static void check(const json_t *value, const json_t *given, const char *where, char why[512])
{
	const json_t *schema = resolve(given), *any = json_object_get(schema, "anyOf");
	const json_t *choice = json_object_get(schema, "enum"), *type;
	bool found = !choice;
	json_t *one;
	size_t i;

	if (any) {
		json_array_foreach((json_t *)(uintptr_t)any, i, one)
		{
			*why = '\0';
			check(value, one, where, why);
			if (!*why)
				return;
		}
		return;
	}
	type = json_object_get(schema, "type");
	if (!type || !type_fits(type, value)) {
		snprintf(why, 512, "%s: is %s", where, type_of(value));
		return;
	}
	json_array_foreach((json_t *)(uintptr_t)choice, i, one) found |= json_equal(one, value);
	if (!found)
		snprintf(why, 512, "%s: \"%s\" is none of its words", where,
			 json_string_value(value));
	if (json_is_object(value))
		check_object(value, schema, where, why);
	json_array_foreach((json_t *)(uintptr_t)value, i, one)
	{
		if (!*why)
			check(one, json_object_get(schema, "items"), where, why);
	}
}

static const json_t *content_of(const json_t *operation, const char *status, const char **type)
{
	const json_t *response = json_object_get(json_object_get(operation, "responses"), status);
	json_t *content = json_object_get(response, "content");
	void *at = json_object_iter(content);

	if (!at)
		FAIL("no content for status %s", status);
	*type = json_object_iter_key(at);
	return json_object_get(json_object_iter_value(at), "schema");
}

static void check_answer(const char *path, const json_t *operation)
{
	const char *type;
	const json_t *schema = content_of(operation, "200", &type);
	char line[128], why[512] = "";
	json_t *body;

	snprintf(line, sizeof(line), "Content-Type: %s", type);
	CHECK_IN(line, reply);
	if (strcmp(type, "application/json") != 0 || strcmp(path, "/v1/openapi.json") == 0)
		return;
	body = json_body();
	check(body, schema, path, why);
	if (*why)
		FAIL("%s", why);
	json_decref(body);
}

TEST("every route of the server is written down, with the methods that it has")
{
	size_t n;
	const struct api_route *route = api_routes(&n);
	const char *path;
	char pattern[128];
	json_t *item;
	bool found;

	load();
	for (size_t i = 0; i < n; i++) {
		found = false;
		json_object_foreach(json_object_get(doc, "paths"), path, item)
		{
			spell(path, true, pattern, sizeof(pattern));
			if (strcmp(pattern, route[i].pattern) != 0)
				continue;
			found = true;
			CHECK_EQ(json_object_get(item, "get") != NULL, route[i].get != NULL);
			CHECK_EQ(json_object_get(item, "put") != NULL, route[i].put != NULL);
		}
		if (!found)
			FAIL("%s is not written down", route[i].pattern);
	}
	for (size_t i = 0; i < assets_n; i++)
		if (!json_object_get(json_object_get(doc, "paths"), assets[i].path))
			FAIL("%s is not written down", assets[i].path);
	json_decref(doc);
}

TEST("everything that is written down is served, and each answer is as its schema says")
{
	struct server server;
	const char *path;
	json_t *item;

	load();
	start(&server);
	for (int rich = 0; rich < 2; rich++) {
		server.daemon.rich = rich;
		json_object_foreach(json_object_get(doc, "paths"), path, item)
		{
			char url[256] = "";

			spell(path, false, url, sizeof(url));
			if (get(&server, url) != 200)
				FAIL("GET %s: %s", url, reply);
			check_answer(path, json_object_get(item, "get"));
		}
	}
	CHECK_EQ(get(&server, SALT_PATH), 200);
	check_answer("/v1/vms/web1/settings/salt",
		     json_object_get(json_object_get(json_object_get(doc, "paths"),
						     "/v1/vms/{vm}/settings/{setting}"),
				     "get"));
	stop(&server);
	json_decref(doc);
}

TEST("an error is the problem that is written down")
{
	struct server server;
	char why[512] = "";
	json_t *body;

	load();
	start(&server);
	CHECK_EQ(get(&server, "/v1/vms/nobody"), 404);
	body = json_body();
	check(body,
	      json_object_get(json_object_get(json_object_get(doc, "components"), "schemas"),
			      "Problem"),
	      "", why);
	CHECK_STR(why, "");
	json_decref(body);
	stop(&server);
	json_decref(doc);
}

static const char *verdict(const char *value, const char *schema, char why[512])
{
	json_t *v = json_loads(value, JSON_DECODE_ANY, NULL), *s = json_loads(schema, 0, NULL);

	*why = '\0';
	check(v, s, "x", why);
	json_decref(v);
	json_decref(s);
	return why;
}

TEST("the check itself finds a field too many, one too few, a wrong type and a wrong word")
{
	static const char schema[] =
		"{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"},"
		" \"b\": {\"type\": [\"string\", \"null\"], \"enum\": [\"on\", null]}},"
		" \"required\": [\"a\"], \"additionalProperties\": false}";
	char why[512];

	CHECK_STR(verdict("{\"a\": 1}", schema, why), "");
	CHECK_STR(verdict("{\"a\": 1, \"b\": null}", schema, why), "");
	CHECK_IN("no such field", verdict("{\"a\": 1, \"c\": 1}", schema, why));
	CHECK_IN("required", verdict("{}", schema, why));
	CHECK_IN("x/a: is string", verdict("{\"a\": \"1\"}", schema, why));
	CHECK_IN("none of its words", verdict("{\"a\": 1, \"b\": \"off\"}", schema, why));
	CHECK_IN("is array", verdict("[]", schema, why));
}
