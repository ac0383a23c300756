/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `pshare audit` compares with the page tables: stores, stakes, frames.
 *
 * It is for administrators. Frame by frame the books say what a domain holds and
 * when that changes, which is nobody's business who may only look at sums.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/api-internal.h"
#include "daemon/json.h"

void api_get_audit(struct api_request *request)
{
	api_answer_json(request, MHD_HTTP_OK, json_of_audit(request->api->daemon));
}

/* A number of decimal digits; UINT64_MAX: it is none. */
static uint64_t number(const char *text)
{
	if (!*text || strlen(text) > 18 || strspn(text, "0123456789") != strlen(text))
		return UINT64_MAX;
	return strtoull(text, NULL, 10);
}

void api_get_audit_frames(struct api_request *request)
{
	uint64_t generation = number(request->path.segment[2]);
	uint64_t first = number(request->path.segment[4]);
	uint8_t bits[VIEW_LIVE / 8];

	if (view_live(request->api->daemon, generation, first, bits))
		api_answer_error(request, MHD_HTTP_NOT_FOUND, "there is no such store, or frame");
	else
		api_answer_json(request, MHD_HTTP_OK,
				json_of_live(request->api->daemon, generation, first));
}
