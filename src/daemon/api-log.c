/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes that come over the API go into the audit log here, all of them, whatever route they took:
 * a PUT is recorded when its answer is sent, with the value that a GET of the same path gave before
 * and gives now. So no route can forget it, and a route that is added is recorded as it is.
 *
 * What is recorded: changes that were made, tries of those who may not, changes that failed. What
 * is not: requests with a mistake in them, which change nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api-internal.h"
#include "daemon/peer.h"
#include "policy/error.h"
#include "sys/cleanup.h"

#define RECORDS_MAX 1000u

DEFINE_CLEANUP(json_t *, json, json_decref);
#define _cleanup_json_ _cleanup_(cleanup_json)

/* ---- writing ------------------------------------------------------------------------------- */

/* The part of an answer that says the value; text for free(), or NULL. */
static char *value_of(const char *answer)
{
	_cleanup_json_ json_t *whole = NULL;
	json_t *value;
	char *text = NULL;
	size_t length = 0;
	FILE *stream;

	whole = answer ? json_loads(answer, 0, NULL) : NULL;
	value = json_object_get(whole, "value");
	if (!value && json_object_get(whole, "present"))
		value = json_is_true(json_object_get(whole, "present")) ?
				json_object_get(whole, "fingerprint") :
				json_object_get(whole, "none");
	if (!value)
		value = json_object_get(whole, "by_hand"); /* of a balloon: what an order sets */
	if (!value)
		value = json_object_get(whole, "state");
	stream = value ? open_memstream(&text, &length) : NULL;
	if (!stream)
		return NULL;
	(void)json_dumpf(value, stream, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
	(void)fclose(stream);
	return text;
}

static bool is_worth_it(unsigned int status)
{
	return status == MHD_HTTP_OK || status == MHD_HTTP_FORBIDDEN ||
	       status == MHD_HTTP_CONFLICT || status >= MHD_HTTP_INTERNAL_SERVER_ERROR;
}

void api_record(struct api_request *request)
{
	_cleanup_free_ char *before = NULL, *after = NULL, *now = NULL;
	const struct api_path *path = &request->path;
	char vm[POLICY_SHOWN_MAX + 4], setting[POLICY_SHOWN_MAX + 4];
	struct view_record record = {
		.what = "set", .via = "api.sock", .peer = &request->conn->peer};

	if (!request->is_change || !is_worth_it(request->status))
		return;
	request->is_change = false;
	peer_look(&request->conn->peer);
	before = value_of(request->before);
	now = api_value(request);
	after = value_of(now);
	if (path->n > 2 && !strcmp(path->segment[1], "vms"))
		record.vm = policy_shown(vm, path->segment[2], strlen(path->segment[2]));
	record.setting = policy_shown(setting, path->segment[path->n - 1],
				      strlen(path->segment[path->n - 1]));
	record.asked = request->asked[0] ? request->asked : NULL;
	record.before = before;
	record.after = request->status == MHD_HTTP_FORBIDDEN ? NULL : after;
	record.result = request->status == MHD_HTTP_OK	      ? VIEW_DONE :
			request->status == MHD_HTTP_FORBIDDEN ? VIEW_REFUSED :
								VIEW_FAILED;
	record.reason = request->reason;
	view_record(request->api->daemon, &record);
}

/* ---- reading ------------------------------------------------------------------------------- */

static int append_line(const char *line, void *list)
{
	json_t *record = json_loads(line, 0, NULL);

	/* what is no JSON was not written by this daemon: it is left to --verify */
	return record && json_array_append_new(list, record) ? -ENOMEM : 0;
}

/* The number behind /v1/log/; false: it is none. */
static bool parse_after(const struct api_path *path, uint64_t *after)
{
	const char *text = path->n == 3 ? path->segment[2] : "0";
	size_t digits = strspn(text, "0123456789");

	*after = strtoull(text, NULL, 10);
	return digits && digits < 19 && !text[digits];
}

void api_get_log(struct api_request *request)
{
	struct view_log_state state;
	json_t *list, *answer;
	uint64_t after;

	if (!parse_after(&request->path, &after)) {
		api_answer_error(request, MHD_HTTP_NOT_FOUND,
				 "/v1/log/NUMBER: the number of a record, to see those after it");
		return;
	}
	list = json_array();
	if (list && view_log(request->api->daemon, after, RECORDS_MAX, append_line, list)) {
		json_decref(list);
		list = NULL;
	}
	view_log_state(request->api->daemon, &state);
	answer = list ? json_pack("{s:s,s:I,s:I,s:I,s:s,s:I,s:I,s:o}", "file", state.path, "last",
				  (json_int_t)state.last, "written", (json_int_t)state.written,
				  "unwritten", (json_int_t)state.unwritten, "head", state.head,
				  "lost", (json_int_t)state.lost, "withheld",
				  (json_int_t)state.withheld, "records", list) :
			NULL;
	api_answer_json(request, MHD_HTTP_OK, answer);
}
