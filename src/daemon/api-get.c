/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each path answers to a GET. Whoever may connect may read. */
#include <errno.h>
#include <stdlib.h>

#include "daemon/api-internal.h"
#include "daemon/json.h"
#include "daemon/metrics.h"
#include "policy/accept.h"
#include "policy/settings.h"
#include "sys/cleanup.h"

void api_get_status(struct api_request *request)
{
	api_answer_json(request, MHD_HTTP_OK, json_of_host(request->api->daemon));
}

static int append_vm(const struct view_vm *vm, void *list)
{
	return json_array_append_new(list, json_of_vm(vm)) ? -ENOMEM : 0;
}

void api_get_vms(struct api_request *request)
{
	json_t *list = json_array();

	if (list && view_vms(request->api->daemon, append_vm, list)) {
		json_decref(list);
		list = NULL;
	}
	api_answer_json(request, MHD_HTTP_OK, list ? json_pack("{s:o}", "vms", list) : NULL);
}

/* The VM that the path names, to be freed; else NULL, and the answer says so. */
struct view_vm *api_find_vm(struct api_request *request)
{
	struct view_vm *vm = calloc(1, sizeof(*vm));

	if (!vm) {
		api_answer_json(request, 0, NULL);
	} else if (view_vm(request->api->daemon, request->path.segment[2], vm)) {
		api_answer_error(request, MHD_HTTP_NOT_FOUND, "there is no VM named %s",
				 request->path.segment[2]);
		free(vm);
		vm = NULL;
	}
	return vm;
}

/* The id of the setting that the path's last segment names, or -ENOENT and the answer says so. */
int api_find_setting(struct api_request *request, bool vm)
{
	char line[POLICY_ERROR_MAX];
	int id = setting_find(request->path.segment[request->path.n - 1], vm, line);

	if (id < 0)
		api_answer_error(request, MHD_HTTP_NOT_FOUND, "%s", line);
	return id;
}

void api_get_vm(struct api_request *request)
{
	_cleanup_free_ struct view_vm *vm = api_find_vm(request);

	if (vm)
		api_answer_json(request, MHD_HTTP_OK, json_of_vm(vm));
}

void api_get_settings(struct api_request *request)
{
	api_answer_json(request, MHD_HTTP_OK, json_of_settings(request->api->daemon, NULL));
}

void api_get_setting(struct api_request *request)
{
	int id = api_find_setting(request, false);

	if (id >= 0)
		api_answer_json(request, MHD_HTTP_OK,
				json_of_setting((enum setting_id)id, request->api->daemon, NULL));
}

void api_get_vm_settings(struct api_request *request)
{
	_cleanup_free_ struct view_vm *vm = api_find_vm(request);

	if (vm)
		api_answer_json(request, MHD_HTTP_OK, json_of_settings(request->api->daemon, vm));
}

void api_get_vm_balloon(struct api_request *request)
{
	_cleanup_free_ struct view_vm *vm = api_find_vm(request);

	if (vm)
		api_answer_json(request, MHD_HTTP_OK, json_of_balloon(&vm->balloon));
}

void api_get_vm_setting(struct api_request *request)
{
	_cleanup_free_ struct view_vm *vm = api_find_vm(request);
	int id = vm ? api_find_setting(request, true) : -ENOENT;

	if (id >= 0)
		api_answer_json(request, MHD_HTTP_OK,
				json_of_setting((enum setting_id)id, request->api->daemon, vm));
}

static int append_relative(const char *other, uint64_t bytes, void *list)
{
	return json_array_append_new(list, json_pack("{s:s, s:I}", "name", other, "bytes",
						     (json_int_t)bytes)) ?
		       -ENOMEM :
		       0;
}

void api_get_family(struct api_request *request)
{
	json_t *list = json_array();
	int r = list ? view_family(request->api->daemon, request->path.segment[2], append_relative,
				   list) :
		       -ENOMEM;

	if (r == 0) {
		api_answer_json(request, MHD_HTTP_OK, json_pack("{s:o}", "shares_with", list));
		return;
	}
	json_decref(list);
	if (r == -ENOENT)
		api_answer_error(request, MHD_HTTP_NOT_FOUND, "there is no VM named %s",
				 request->path.segment[2]);
	else
		api_answer_json(request, 0, NULL);
}

void api_get_fork(struct api_request *request)
{
	struct view_fork fork;

	if (view_fork(request->api->daemon, request->path.segment[2], &fork))
		api_answer_error(request, MHD_HTTP_NOT_FOUND, "there is no VM named %s",
				 request->path.segment[2]);
	else
		api_answer_json(request, MHD_HTTP_OK, json_of_fork(&fork));
}

void api_get_metrics(struct api_request *request)
{
	bool open = accept_openmetrics(api_header(request, MHD_HTTP_HEADER_ACCEPT));
	char *text = NULL;
	size_t length = 0;

	if (metrics_text(request->api->daemon, open, &text, &length))
		text = NULL;
	api_answer_text(request, text, length, metrics_content_type(open));
}

/* v1/vms/NAME/reclaim and its like: what was last ordered, whichever it was. */
void api_get_action(struct api_request *request)
{
	_cleanup_free_ struct view_vm *vm = api_find_vm(request);

	if (vm)
		api_answer_json(request, MHD_HTTP_OK, json_of_action(&vm->memory.action));
}

/* What may still be reserved. */
void api_get_admission(struct api_request *request)
{
	struct view_host host = {0};

	view_host(request->api->daemon, &host);
	api_answer_json(request, MHD_HTTP_OK,
			json_pack("{s:I, s:I, s:I, s:I}", "managed",
				  (json_int_t)host.memory.managed, "minfree",
				  (json_int_t)host.memory.min_free, "reserved",
				  (json_int_t)host.memory.reserved, "unreserved",
				  (json_int_t)host.memory.unreserved));
}
