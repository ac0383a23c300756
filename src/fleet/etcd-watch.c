/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A watch is a POST whose answer does not end: one JSON object a line. Each prefix is a create
 * request of the same stream. That it was refused, or has ended, is told inside of an answer of
 * status 200, by members that are there or missing:
 *
 *	{"result": {"created": true}}				it runs
 *	{"result": {"canceled": true, "watch_id": "-1"}}	denied (created may be there too)
 *	{"result": {"canceled": true, "compact_revision": "5"}}	what it asked for is gone; the
 *								stream stays open
 *	{"error": {...}}					an error of gRPC
 *
 * Any of the last three ends the watch here, and its owner reads anew. A connection that dies
 * without a word is found by TCP's keep-alive; a member that lost its leader ends the stream,
 * because it is asked to (hasleader). Beyond that the owner reads anew now and then, so that no
 * change can be missed for good.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/etcd-internal.h"

struct etcd_watch {
	struct etcd *etcd;
	struct etcd_watch_call call;
	struct http_request *request;
	bool *gone; /* while events are told: set where the watch is cancelled */
};

static void end(struct etcd_watch *watch, int error, const char *why)
{
	struct etcd_watch_call call = watch->call;

	etcd_watch_cancel(watch);
	call.end(call.arg, error, why);
}

void etcd_watch_cancel(struct etcd_watch *watch)
{
	if (!watch)
		return;
	if (watch->gone)
		*watch->gone = true;
	http_cancel(watch->request);
	free(watch);
}

/* Denied, compacted, or for no reason that it told. */
static void canceled(struct etcd_watch *watch, const json_t *result)
{
	const char *reason = json_string_value(json_object_get(result, "cancel_reason"));
	char why[FLEET_ERROR_MAX];

	if (etcd_int(result, "compact_revision")) {
		end(watch, -ENODATA, "etcd has forgotten what the watch asked for (compacted)");
		return;
	}
	if (etcd_int(result, "watch_id") == -1 || (reason && strstr(reason, "permission"))) {
		snprintf(why, sizeof(why), "etcd: user %s may not watch this",
			 watch->etcd->config->user ? watch->etcd->config->user : "(none)");
		end(watch, -EACCES, why);
		return;
	}
	snprintf(why, sizeof(why), "etcd ended the watch%s%.200s", reason ? ": " : "",
		 reason ? reason : "");
	end(watch, -ECANCELED, why);
}

/* The owner may cancel the watch at any of them. */
static void events(struct etcd_watch *watch, const json_t *list)
{
	const struct etcd_watch_call call = watch->call;
	const json_t *event;
	bool gone = false;
	size_t i;

	watch->gone = &gone;
	json_array_foreach((json_t *)(uintptr_t)list, i, event)
	{
		const char *type = json_string_value(json_object_get(event, "type"));
		_cleanup_kv_ struct etcd_kv kv = {0};

		if (etcd_kv(json_object_get(event, "kv"), &kv))
			continue;
		if (type && strcmp(type, "DELETE") == 0)
			etcd_kv_free(&kv);
		call.event(call.arg, &kv);
		if (gone)
			return;
	}
	watch->gone = NULL;
}

static void on_line(void *arg, json_t *line)
{
	struct etcd_watch *watch = arg;
	const json_t *result = json_object_get(line, "result"), *error;

	error = json_object_get(line, "error");
	if (error) {
		struct http_answer answer = {.status = 500, .lacks_client_auth = -1};
		char err[FLEET_ERROR_MAX];
		int r;

		answer.json = json_is_object(error) ? (json_t *)(uintptr_t)error : line;
		r = etcd_error(watch->etcd, &answer, err);
		end(watch, r ? r : -ECANCELED, err);
		return;
	}
	if (json_is_true(json_object_get(result, "canceled"))) {
		canceled(watch, result);
		return;
	}
	events(watch, json_object_get(result, "events"));
}

static void on_end(void *arg, const struct http_answer *answer)
{
	struct etcd_watch *watch = arg;
	char err[FLEET_ERROR_MAX] = "the watch's connection ended";
	int r = answer->error || answer->status != 200 ? etcd_error(watch->etcd, answer, err) :
							 -ECANCELED;

	watch->request = NULL;
	end(watch, r ? r : -ECANCELED, err);
}

static json_t *create_body(const char *prefix, int64_t from)
{
	_cleanup_json_ json_t *range = etcd_range_body(prefix);
	char number[24];

	snprintf(number, sizeof(number), "%" PRId64, from);
	if (!range || json_object_set_new(range, "start_revision", json_string(number)))
		return NULL;
	return json_pack("{s:O}", "create_request", range);
}

static char *watch_body(const struct etcd_watch_call *call)
{
	char *all = NULL;

	for (unsigned int i = 0; i < 3 && call->prefixes[i]; i++) {
		_cleanup_json_ json_t *body = create_body(call->prefixes[i], call->from);
		_cleanup_free_ char *one = json_line(body);
		_cleanup_free_ char *before = all;

		all = NULL;
		if (!one || asprintf(&all, "%s%s\n", before ? before : "", one) < 0)
			return NULL;
	}
	return all;
}

int etcd_watch(struct etcd *etcd, const struct etcd_watch_call *call, struct etcd_watch **out)
{
	struct http_call http = {
		.line = on_line, .done = on_end, .header = "Grpc-Metadata-hasleader: true"};
	_cleanup_free_ char *body = watch_body(call);
	struct etcd_watch *watch = calloc(1, sizeof(*watch));
	char url[512];
	int r = -ENOMEM;

	if (body && watch) {
		*watch = (struct etcd_watch){.etcd = etcd, .call = *call};
		etcd_address(etcd, "/v3/watch", &http, url);
		http.body = body;
		http.arg = watch;
		r = http_start(etcd->http, &http, &watch->request);
	}
	if (r) {
		free(watch);
		return r;
	}
	*out = watch;
	return 0;
}
