/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each path does at a PUT, and who may.
 *
 * A setting of the host is for administrators; one of a VM for its owner and for operators, but for
 * its salt: which VMs share is the owner's and the administrators' to say. Which salts an owner may
 * name is the access policy's to say, in the core. Who asks is looked at before the value is.
 *
 * A body is {"value": V}. For a salt it is {"salt": "text"}, {"salt_hex": "..."} for a salt that
 * is no UTF-8 text, or {"salt": null} to have none. A value is checked by the settings' table,
 * the same that the command has.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api-internal.h"
#include "daemon/json.h"
#include "policy/settings.h"
#include "sys/cleanup.h"

#define VALUE_MAX (SETTING_PATH_MAX + 1u)

DEFINE_CLEANUP(json_t *, json, json_decref);
#define _cleanup_json_ _cleanup_(cleanup_json)

static void done(void *arg, int error, const char *reason)
{
	api_finish_change(arg, error, reason);
}

/* The core's first word on a change: the answer, or more to come. */
static void begun(struct api_request *request, int r, const struct view_reason *why)
{
	if (r == -EINPROGRESS)
		request->progress = API_WAITING;
	else
		api_finish_change(request, r, why->text);
}

/* What is asked for, for the audit log. */
static void note_asked(struct api_request *request, const json_t *value)
{
	FILE *stream = fmemopen(request->asked, sizeof(request->asked), "w");

	if (!stream)
		return;
	(void)json_dumpf(value, stream, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
	(void)fclose(stream);
	request->asked[sizeof(request->asked) - 1] = '\0';
}

void api_note_refused(struct api_request *request)
{
	const struct api_path *path = &request->path;
	_cleanup_json_ json_t *body = NULL;
	const json_t *asked;
	int id;

	if (request->asked[0] || !request->body || api_check_depth(request->body, request->length))
		return;
	id = setting_find(path->segment[path->n - 1], !strcmp(path->segment[1], "vms"), NULL);
	if (!strcmp(path->segment[path->n - 2], "settings") &&
	    (id < 0 || setting_get((enum setting_id)id)->secret))
		return;
	body = json_loadb(request->body, request->length, JSON_REJECT_DUPLICATES, NULL);
	asked = json_object_get(body, "value");
	if (!asked && json_object_get(body, "target"))
		asked = body;
	if (asked)
		note_asked(request, asked);
}

/* The body, if it is an object of JSON; else NULL, and the answer says why not. */
static json_t *parse_object(struct api_request *request)
{
	json_error_t error;
	json_t *body;

	if (api_check_depth(request->body, request->length)) {
		api_answer_error(request, MHD_HTTP_BAD_REQUEST, "the body is nested deeper than %u",
				 API_DEPTH_MAX);
		return NULL;
	}
	body = json_loadb(request->body ? request->body : "", request->length,
			  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!body) /* the parser's own text may quote the body */
		api_answer_error(request, MHD_HTTP_BAD_REQUEST,
				 "the body is not JSON: line %d, column %d", error.line,
				 error.column);
	return body;
}

/* The body's one member, named key or other; else NULL, and the answer says what a body is. */
static json_t *parse_body(struct api_request *request, const char *key, const char *other)
{
	json_t *body = parse_object(request);

	if (!body || (json_object_size(body) == 1 &&
		      (json_object_get(body, key) || (other && json_object_get(body, other)))))
		return body;
	api_answer_error(request, MHD_HTTP_BAD_REQUEST, "the body must be {\"%s\": ...}", key);
	json_decref(body);
	return NULL;
}

/* A JSON value as the text that setting_parse() takes. */
static int value_text(struct api_request *request, const json_t *value, char *text, size_t size)
{
	int n = -1;

	if (json_is_integer(value))
		n = snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_boolean(value))
		n = snprintf(text, size, "%s", json_is_true(value) ? "TRUE" : "FALSE");
	else if (json_is_string(value))
		n = snprintf(text, size, "%s", json_string_value(value));
	if (n >= 0 && (size_t)n < size)
		return 0;
	api_answer_error(request, MHD_HTTP_BAD_REQUEST,
			 n < 0 ? "the value must be a whole number, true, false or a string" :
				 "the value is too long");
	return -EINVAL;
}

/* Reads {"value": V} and lets the table check it: so an error is the same here and in the
 * command, and the core sees only values that are good. 1: null, what the files say is wanted. */
static int read_value(struct api_request *request, enum setting_id id, char text[VALUE_MAX])
{
	_cleanup_json_ json_t *body = parse_body(request, "value", NULL);
	char line[POLICY_ERROR_MAX];
	struct setting_value parsed;
	int r;

	if (!body)
		return -EINVAL;
	if (json_is_null(json_object_get(body, "value")) && !setting_get(id)->vm) {
		note_asked(request, json_object_get(body, "value"));
		return 1;
	}
	r = value_text(request, json_object_get(body, "value"), text, VALUE_MAX);
	if (r)
		return r;
	note_asked(request, json_object_get(body, "value"));
	r = setting_parse(id, text, strlen(text), &parsed, line);
	if (r)
		api_answer_error(request, MHD_HTTP_BAD_REQUEST, "%s", line);
	return r;
}

void api_put_setting(struct api_request *request)
{
	struct view_change change = {request->conn->peer, done, request};
	struct view_reason why = {""};
	struct daemon *daemon = request->api->daemon;
	char text[VALUE_MAX];
	int id, r;

	id = api_find_setting(request, false);
	if (id < 0)
		return;
	r = read_value(request, (enum setting_id)id, text);
	if (r < 0)
		return;
	if (r)
		r = view_reset(daemon, setting_get((enum setting_id)id)->name, &change, &why);
	else
		r = view_set(daemon, setting_get((enum setting_id)id)->name, text, &change, &why);
	begun(request, r, &why);
}

/* ---- a VM's -------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The bytes of a hex text; -EINVAL. *length is set on success only. */
static int unhex(const char *text, uint8_t salt[PS_SALT_MAX], size_t *length)
{
	size_t n = strlen(text);
	size_t i;

	if (n % 2 || n / 2 > PS_SALT_MAX)
		return -EINVAL;
	for (i = 0; i < n; i += 2) {
		int high = hex_digit(text[i]);
		int low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		salt[i / 2] = (uint8_t)(high << 4 | low);
	}
	*length = n / 2;
	return 0;
}

/* 0: *length bytes of a salt; 1: none. -EINVAL, and the answer says so, without the salt. */
static int read_salt(struct api_request *request, uint8_t salt[PS_SALT_MAX], size_t *length)
{
	_cleanup_json_ json_t *body = parse_body(request, "salt", "salt_hex");
	const json_t *text = json_object_get(body, "salt");
	const json_t *hex = json_object_get(body, "salt_hex");

	if (!body)
		return -EINVAL;
	if (json_is_null(text))
		return 1;
	if (json_is_string(text) && json_string_length(text) <= PS_SALT_MAX) {
		*length = json_string_length(text);
		memcpy(salt, json_string_value(text), *length);
		return 0;
	}
	if (json_is_string(hex) && !unhex(json_string_value(hex), salt, length))
		return 0;
	api_answer_error(request, MHD_HTTP_BAD_REQUEST,
			 "a salt is a string of at most %u bytes (\"salt_hex\": hex digits), or "
			 "null for none",
			 PS_SALT_MAX);
	return -EINVAL;
}

static void put_salt(struct api_request *request)
{
	struct view_change change = {request->conn->peer, done, request};
	struct view_reason why = {""};
	uint8_t salt[PS_SALT_MAX];
	size_t length = 0;
	int r = read_salt(request, salt, &length);

	if (r >= 0)
		begun(request,
		      view_vm_salt(request->api->daemon, request->path.segment[2], r ? NULL : salt,
				   length, &change, &why),
		      &why);
	explicit_bzero(salt, sizeof(salt));
}

/* The owner of a VM may change it, and who has the role. */
static bool may_change(struct api_request *request, const struct view_vm *vm, enum role needed)
{
	return request->conn->peer.uid == vm->uid ||
	       api_may(request, needed, "change another user's VM so");
}

static bool is_publishing(struct api_request *request)
{
	struct view_fork fork;

	return !view_fork(request->api->daemon, request->path.segment[2], &fork) &&
	       !strcmp(fork.state, "publishing");
}

void api_put_fork(struct api_request *request)
{
	_cleanup_free_ struct view_vm *vm = api_find_vm(request);
	_cleanup_json_ json_t *body = vm ? parse_body(request, "value", NULL) : NULL;
	const char *what = json_string_value(json_object_get(body, "value"));
	struct view_reason why = {""};
	int r;

	if (!vm || !body || !may_change(request, vm, ROLE_OPERATE))
		return;
	/* who publishes says it again and again */
	if (!what || strcmp(what, "publish") != 0 || !is_publishing(request))
		note_asked(request, json_object_get(body, "value"));
	r = view_fork_set(request->api->daemon, request->path.segment[2], what ? what : "",
			  &request->conn->peer, &why);
	api_finish_change(request, r, why.text);
}

void api_put_vm_setting(struct api_request *request)
{
	_cleanup_free_ struct view_vm *vm = api_find_vm(request);
	struct view_change change = {request->conn->peer, done, request};
	struct view_reason why = {""};
	char text[VALUE_MAX];
	int id;

	if (!vm)
		return;
	id = api_find_setting(request, true);
	if (id >= 0 &&
	    !may_change(request, vm, id == SETTING_PSHARE_SALT ? ROLE_ADMINISTER : ROLE_OPERATE))
		return;
	if (id == SETTING_PSHARE_SALT) {
		put_salt(request);
	} else if (id >= 0 && !read_value(request, (enum setting_id)id, text)) {
		begun(request,
		      view_vm_set(request->api->daemon, vm->name,
				  setting_get((enum setting_id)id)->name, text, &change, &why),
		      &why);
	}
}

/* ---- a VM's balloon ------------------------------------------------------------------------- */

static int read_balloon(struct api_request *request, uint64_t *bytes, bool *force)
{
	_cleanup_json_ json_t *body = parse_object(request);
	const json_t *target = json_object_get(body, "target");
	const json_t *by_force = json_object_get(body, "force");

	if (!body)
		return -EINVAL;
	if (json_object_size(body) != (by_force ? 2u : 1u) ||
	    (!json_is_integer(target) && !json_is_null(target)) || json_integer_value(target) < 0 ||
	    (by_force && !json_is_boolean(by_force))) {
		api_answer_error(request, MHD_HTTP_BAD_REQUEST,
				 "the body must be {\"target\": bytes or null}, and may have "
				 "\"force\": true");
		return -EINVAL;
	}
	note_asked(request, body);
	*bytes = (uint64_t)json_integer_value(target);
	*force = json_is_true(by_force);
	return 0;
}

void api_put_vm_balloon(struct api_request *request)
{
	_cleanup_free_ struct view_vm *vm = api_find_vm(request);
	struct view_reason why = {""};
	uint64_t bytes;
	bool force;
	int r;

	if (!vm || !may_change(request, vm, ROLE_OPERATE) || read_balloon(request, &bytes, &force))
		return;
	r = view_vm_balloon(request->api->daemon, request->path.segment[2], bytes, force, &why);
	api_finish_change(request, r, why.text);
}

/* ---- orders -------------------------------------------------------------------------------- */

/* {"value": BYTES} for reclaim, {"value": true} for the others: *bytes. 0, or it is answered. */
static int read_order(struct api_request *request, bool sized, uint64_t *bytes)
{
	_cleanup_json_ json_t *body = parse_body(request, "value", NULL);
	const json_t *value = json_object_get(body, "value");

	if (!body)
		return -EINVAL;
	note_asked(request, value);
	*bytes = 0;
	if (sized && json_is_integer(value) && json_integer_value(value) > 0)
		*bytes = (uint64_t)json_integer_value(value);
	else if (sized || !json_is_true(value))
		api_answer_error(request, MHD_HTTP_BAD_REQUEST,
				 sized ? "the value must be a number of bytes, above 0" :
					 "the value must be true");
	else
		return 0;
	return *bytes ? 0 : -EINVAL;
}

void api_put_action(struct api_request *request)
{
	const char *what = request->path.segment[request->path.n - 1];
	_cleanup_free_ struct view_vm *vm = api_find_vm(request);
	struct view_reason why = {""};
	uint64_t bytes;

	if (!vm || !may_change(request, vm, ROLE_OPERATE) ||
	    read_order(request, !strcmp(what, "reclaim"), &bytes))
		return;
	api_finish_change(request,
			  view_act(request->api->daemon, request->path.segment[2], what, bytes,
				   &request->conn->peer, &why),
			  why.text);
}

/* {"settings": {"sched.mem.min": 512, ...}}, of the VM that the process that asks is to become. */
void api_put_admission(struct api_request *request)
{
	_cleanup_json_ json_t *body = parse_body(request, "settings", NULL);
	json_t *settings = json_object_get(body, "settings");
	struct view_wish wishes[VIEW_WISHES_MAX];
	char text[VIEW_WISHES_MAX][SETTING_PATH_MAX + 1];
	struct view_reason why = {""};
	unsigned int n = 0;
	const char *name;
	json_t *value;

	if (!body)
		return;
	if (!json_is_object(settings) || json_object_size(settings) > VIEW_WISHES_MAX) {
		api_answer_error(request, MHD_HTTP_BAD_REQUEST,
				 "settings must be an object of at most %u members",
				 VIEW_WISHES_MAX);
		return;
	}
	note_asked(request, settings);
	json_object_foreach(settings, name, value)
	{
		if (value_text(request, value, text[n], sizeof(text[n])))
			return;
		wishes[n] = (struct view_wish){name, text[n]};
		n++;
	}
	api_finish_change(request,
			  view_admit(request->api->daemon, wishes, n, &request->conn->peer, &why),
			  why.text);
}
