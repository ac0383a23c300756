/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation: one request of the API.
 *
 * libmicrohttpd calls api_handle() when the headers are there, then for each stretch of the body,
 * then with no data when the request is whole, and once more after a resume. What is wrong with
 * method, path or headers is answered at the first call, before any of the body is taken in (the
 * connection then ends). The body is collected up to API_BODY_MAX; of who may not change this too,
 * since the audit log says what he asked for.
 *
 * A body may hold a salt. So each stretch is wiped in libmicrohttpd's own buffer as soon as it is
 * copied, the copy as soon as it is parsed, and jansson wipes what it frees (json.c). No message
 * of ours ever quotes a body.
 *
 * A change that takes time suspends the connection; api_finish_change() writes the answer and
 * resumes it. A client that goes away meanwhile is noticed after that, so a suspended request is
 * never freed behind the core's back, but for the end of the daemon: view_cancel() then.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api-internal.h"
#include "daemon/asset.h"
#include "daemon/peer.h"
#include "policy/plain.h"
#include "sys/proc.h"

#define JSON_TYPE "application/json"
#define PROBLEM_TYPE "application/problem+json" /* RFC 9457 */
#define ERROR_MAX 512

static const struct api_route routes[] = {
	{"v1/status", api_get_status, NULL},
	{"v1/vms", api_get_vms, NULL},
	{"v1/vms/*", api_get_vm, NULL},
	{"v1/vms/*/settings", api_get_vm_settings, NULL},
	{"v1/vms/*/balloon", api_get_vm_balloon, api_put_vm_balloon, .change = ROLE_OPERATE,
	 .owner = true},
	{"v1/vms/*/settings/*", api_get_vm_setting, api_put_vm_setting, .owner = true},
	{"v1/vms/*/family", api_get_family, NULL},
	{"v1/vms/*/picture", api_get_picture, NULL},
	{"v1/vms/*/likeness", api_get_likeness, NULL, .read = ROLE_OPERATE},
	{"v1/vms/*/fork", api_get_fork, api_put_fork, .change = ROLE_OPERATE, .owner = true},
	{"v1/vms/*/reclaim", api_get_action, api_put_action, .change = ROLE_OPERATE, .owner = true},
	{"v1/vms/*/suspend", api_get_action, api_put_action, .change = ROLE_OPERATE, .owner = true},
	{"v1/vms/*/resume", api_get_action, api_put_action, .change = ROLE_OPERATE, .owner = true},
	{"v1/picture", api_get_pictures, NULL},
	{"v1/admission", api_get_admission, api_put_admission, .change = ROLE_LOOK},
	{"v1/settings", api_get_settings, NULL},
	{"v1/settings/*", api_get_setting, api_put_setting},
	{"v1/audit", api_get_audit, NULL, .read = ROLE_ADMINISTER},
	{"v1/audit/*/frames/*", api_get_audit_frames, NULL, .read = ROLE_ADMINISTER},
	{"v1/log", api_get_log, NULL, .read = ROLE_OPERATE},
	{"v1/log/*", api_get_log, NULL, .read = ROLE_OPERATE},
	{"metrics", api_get_metrics, NULL},
};

const struct api_route *api_routes(size_t *n)
{
	*n = sizeof(routes) / sizeof(routes[0]);
	return routes;
}

/* Memory is short: an answer that needs none. */
static char no_memory[] = "{\"type\": \"about:blank\", \"title\": \"Internal Server Error\", "
			  "\"status\": 500, \"detail\": \"not enough memory for an answer\"}\n";

static void wipe_body(struct api_request *request)
{
	if (request->body)
		explicit_bzero(request->body, API_BODY_MAX);
	free(request->body);
	request->body = NULL;
	request->length = 0;
}

static struct api_request *request_free(struct api_request *request)
{
	if (!request)
		return NULL;
	wipe_body(request);
	free(request->before);
	if (request->answer != no_memory)
		free(request->answer);
	free(request);
	return NULL;
}

/* ---- answers ------------------------------------------------------------------------------- */

void api_answer_text(struct api_request *request, char *text, size_t length, const char *type)
{
	if (request->answer != no_memory)
		free(request->answer); /* another one, that this replaces */
	request->status = text ? MHD_HTTP_OK : MHD_HTTP_INTERNAL_SERVER_ERROR;
	request->answer = text ? text : no_memory;
	request->answer_length = text ? length : sizeof(no_memory) - 1;
	request->content_type = text ? type : PROBLEM_TYPE;
	request->progress = API_ANSWERED;
}

void api_answer_json(struct api_request *request, unsigned int status, json_t *answer)
{
	char *text = NULL;
	size_t length = 0;
	FILE *stream = answer ? open_memstream(&text, &length) : NULL;

	if (stream) {
		int bad = json_dumpf(answer, stream,
				     JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12)) !=
			  0;

		bad |= fputc('\n', stream) == EOF;
		if (fclose(stream) || bad) {
			free(text);
			text = NULL;
		}
	}
	json_decref(answer);
	api_answer_text(request, text, length, JSON_TYPE);
	if (text)
		request->status = status;
}

void api_answer_error(struct api_request *request, unsigned int status, const char *format, ...)
{
	char line[ERROR_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	plain_text(line); /* names in it are as a client spelt them, and may be cut in two */
	snprintf(request->reason, sizeof(request->reason), "%.*s", (int)VIEW_REASON - 1, line);
	plain_text(request->reason);
	api_answer_json(request, status,
			json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title",
				  MHD_get_reason_phrase_for(status), "status", (int)status,
				  "detail", line));
	request->content_type = PROBLEM_TYPE;
}

static unsigned int status_of(int error)
{
	switch (error) {
	case -EINVAL:
		return MHD_HTTP_BAD_REQUEST;
	case -EPERM:
		return MHD_HTTP_FORBIDDEN;
	case -ENOENT:
		return MHD_HTTP_NOT_FOUND;
	case -EBUSY:
		return MHD_HTTP_CONFLICT;
	case -ETIMEDOUT:
		return MHD_HTTP_GATEWAY_TIMEOUT;
	case -ESHUTDOWN:
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	default:
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
}

void api_finish_change(struct api_request *request, int error, const char *reason)
{
	bool waited = request->conn->waiting;

	request->conn->waiting = false;
	request->conn->since = sys_now();
	if (error)
		api_answer_error(request, status_of(error), "%s",
				 reason && *reason ? reason : strerror(-error));
	else
		request->route->get(request);
	if (waited)
		MHD_resume_connection(request->conn->mhd);
}

bool api_may(struct api_request *request, enum role needed, const char *doing)
{
	const struct view_peer *peer = &request->conn->peer;

	if (peer->role >= needed)
		return true;
	if (request->conn->tcp) {
		api_answer_error(request, MHD_HTTP_FORBIDDEN,
				 "nobody is known at this port, so it may not %s: that takes the "
				 "role '%s'; ask at api.sock",
				 doing, role_name(needed));
		return false;
	}
	api_answer_error(request, MHD_HTTP_FORBIDDEN,
			 "uid %u may not %s: that takes the role '%s', and this user's is '%s'",
			 peer->uid, doing, role_name(needed), role_name(peer->role));
	return false;
}

char *api_value(const struct api_request *request)
{
	struct api_request probe = {.api = request->api,
				    .conn = request->conn,
				    .route = request->route,
				    .path = request->path};

	request->route->get(&probe);
	if (probe.answer == no_memory)
		return NULL;
	if (probe.status != MHD_HTTP_OK) {
		free(probe.answer);
		return NULL;
	}
	return probe.answer;
}

/* ---- the request --------------------------------------------------------------------------- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

const char *api_header(const struct api_request *request, const char *name)
{
	return header(request->conn->mhd, name);
}

static void check_method(struct api_request *request, const char *method)
{
	bool is_read = !strcmp(method, "GET") || !strcmp(method, "HEAD");

	if (is_read || (!strcmp(method, "PUT") && request->route->put))
		return;
	api_answer_error(request, MHD_HTTP_METHOD_NOT_ALLOWED,
			 "method %.16s is not for this path; use %s", method,
			 request->route->put ? "GET or PUT" : "GET");
}

/* A PUT is JSON and says so; a GET has no body. */
static void check_headers(struct api_request *request, const char *method)
{
	struct MHD_Connection *connection = request->conn->mhd;
	const char *type = header(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
	const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *encoding = header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING);

	if (strcmp(method, "PUT") != 0) {
		if (encoding || (length && strcmp(length, "0") != 0))
			api_answer_error(request, MHD_HTTP_BAD_REQUEST, "a %s has no body", method);
	} else if (!type || strcspn(type, "; ") != strlen(JSON_TYPE) ||
		   strncasecmp(type, JSON_TYPE, strlen(JSON_TYPE)) != 0) {
		api_answer_error(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
				 "the body must be JSON: send 'Content-Type: " JSON_TYPE "'");
	} else if (length && strtoull(length, NULL, 10) > API_BODY_MAX) {
		api_answer_error(request, MHD_HTTP_CONTENT_TOO_LARGE,
				 "the body is longer than %u bytes", API_BODY_MAX);
	}
}

/* false: it is answered. Where the owner may too, the handler asks who asks. */
static bool may_put(struct api_request *request)
{
	return request->route->owner ||
	       api_may(request, role_needed(request->route->change), "change this");
}

/* Before any of the body is taken in. */
static void check_role(struct api_request *request, const char *method)
{
	const struct api_route *route = request->route;

	request->is_change = !strcmp(method, "PUT");
	if (!request->is_change)
		(void)api_may(request, route->read == ROLE_UNSAID ? ROLE_LOOK : route->read,
			      "read this");
}

static void check_head(struct api_request *request, const char *url, const char *method)
{
	if (request->conn->tcp)
		api_check_port(request, method);
	if (request->progress == API_ANSWERED)
		return;
	request->asset = asset_find(url);
	if (request->asset)
		request->route = &api_asset_route;
	else if (!api_path_parse(&request->path, url))
		request->route =
			api_route_find(routes, sizeof(routes) / sizeof(routes[0]), &request->path);
	if (!request->route) {
		api_answer_error(request, MHD_HTTP_NOT_FOUND,
				 "there is no such path; see /v1/status, /v1/vms, /v1/settings, "
				 "/v1/log, /metrics, /v1/openapi.json");
		return;
	}
	if (MHD_get_connection_values(request->conn->mhd, MHD_GET_ARGUMENT_KIND, NULL, NULL) > 0) {
		api_answer_error(request, MHD_HTTP_BAD_REQUEST, "a path here takes no ?query");
		return;
	}
	check_method(request, method);
	if (request->progress == API_READING)
		check_role(request, method);
	if (request->progress == API_READING)
		check_headers(request, method);
	/* who may not is told that, whatever else is wrong */
	if (request->progress == API_ANSWERED && request->is_change)
		(void)may_put(request);
}

static struct api_request *request_new(struct api *api, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct api_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->api = api;
	request->conn = info->socket_context;
	return request;
}

static enum MHD_Result send_answer(struct api_request *request)
{
	struct MHD_Response *response;
	enum MHD_Result r;

	api_record(request);
	response = MHD_create_response_from_buffer(request->answer_length, request->answer,
						   MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->content_type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	api_add_headers(response);
	if (request->status == MHD_HTTP_METHOD_NOT_ALLOWED && request->route)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
					request->route->put ? "GET, HEAD, PUT" : "GET, HEAD");
	r = MHD_queue_response(request->conn->mhd, request->status, response);
	MHD_destroy_response(response);
	return r;
}

/* Takes a stretch of the body out of libmicrohttpd's buffer and leaves zeros there. */
static void take_body(struct api_request *request, const char *data, size_t length)
{
	if (!request->body)
		request->body = malloc(API_BODY_MAX);
	if (!request->body || length > API_BODY_MAX - request->length) {
		request->too_long = true;
	} else {
		memcpy(request->body + request->length, data, length);
		request->length += length;
	}
	explicit_bzero((char *)(uintptr_t)data, length);
}

/* Each change is a record of the audit log. Whoever may only change what is his could fill it, and
 * push the others' records out: so such changes are rationed, not the records. */
static bool may_change_now(struct api_request *request)
{
	const struct view_peer *peer = &request->conn->peer;

	if (peer->role >= ROLE_OPERATE ||
	    rations_take(&request->api->changes, peer->uid, sys_now(), NULL))
		return true;
	api_answer_error(request, MHD_HTTP_TOO_MANY_REQUESTS,
			 "uid %u changes things too often: once in %u s for long", peer->uid,
			 (unsigned int)(API_CHANGE_NS / 1000000000));
	return false;
}

static void change(struct api_request *request)
{
	bool may = may_put(request);

	if (may && !may_change_now(request))
		return;
	peer_look(&request->conn->peer);
	request->before = api_value(request);
	if (may)
		request->route->put(request);
	if (request->progress == API_ANSWERED && request->status == MHD_HTTP_FORBIDDEN)
		api_note_refused(request);
}

static void execute(struct api_request *request)
{
	if (request->too_long && request->body)
		api_answer_error(request, MHD_HTTP_CONTENT_TOO_LARGE,
				 "the body is longer than %u bytes", API_BODY_MAX);
	else if (request->too_long)
		api_answer_json(request, 0, NULL);
	else if (request->is_change)
		change(request);
	else
		request->route->get(request);
	wipe_body(request);
}

enum MHD_Result api_handle(void *arg, struct MHD_Connection *connection, const char *url,
			   const char *method, const char *version, const char *data,
			   size_t *length, void **slot)
{
	struct api *api = arg;
	struct api_request *request = *slot;

	(void)version;
	if (!request) {
		request = request_new(api, connection);
		if (!request)
			return MHD_NO;
		*slot = request;
		api->last_request = sys_now();
		check_head(request, url, method);
		return request->progress == API_ANSWERED ? send_answer(request) : MHD_YES;
	}
	if (*length) {
		take_body(request, data, *length);
		*length = 0;
		return MHD_YES;
	}
	if (request->progress == API_READING)
		execute(request);
	if (request->progress == API_WAITING && api->stopping) {
		view_cancel(api->daemon, request);
		request->conn->waiting = false;
		api_finish_change(request, -ESHUTDOWN,
				  "the daemon is stopping; the change may not be complete");
	} else if (request->progress == API_WAITING) {
		request->conn->waiting = true;
		MHD_suspend_connection(connection);
		return MHD_YES;
	}
	return send_answer(request);
}

void api_completed(void *arg, struct MHD_Connection *connection, void **slot,
		   enum MHD_RequestTerminationCode why)
{
	struct api *api = arg;
	struct api_request *request = *slot;

	(void)connection;
	(void)why;
	if (!request)
		return;
	if (request->progress == API_WAITING) {
		view_cancel(api->daemon, request);
		request->status = MHD_HTTP_OK;
		snprintf(request->reason, sizeof(request->reason),
			 "it was under way when the client left");
		api_record(request);
	}
	request->conn->waiting = false;
	request->conn->since = sys_now();
	*slot = request_free(request);
}
