/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /v1/vms/NAME/likeness: the VM's sketch, for 'pshare plan' and pshare-fleet. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/api-internal.h"
#include "sys/cleanup.h"

#define TEXT_MAX (SKETCH_BYTES / 3 * 4 + 8)

/* What both hold: too large for a stack. */
struct desk {
	struct view_likeness view;
	uint8_t bytes[SKETCH_BYTES];
	char text[TEXT_MAX];
};

void api_get_likeness(struct api_request *request)
{
	_cleanup_free_ struct desk *desk = malloc(sizeof(*desk));
	const char *name = request->path.segment[2];
	const struct view_likeness *view;
	char key[24], user[24], salt[24];

	if (!desk) {
		api_answer_json(request, 0, NULL);
		return;
	}
	view = &desk->view;
	if (view_likeness(request->api->daemon, name, &desk->view)) {
		api_answer_error(request, MHD_HTTP_NOT_FOUND, "there is no VM named %s", name);
		return;
	}
	EVP_EncodeBlock((unsigned char *)desk->text, desk->bytes,
			(int)sketch_encode(&view->sketch, desk->bytes));
	snprintf(key, sizeof(key), "%016llx", (unsigned long long)view->key);
	snprintf(user, sizeof(user), "%llu", (unsigned long long)view->user);
	snprintf(salt, sizeof(salt), "%016llx", (unsigned long long)view->salt);
	api_answer_json(request, MHD_HTTP_OK,
			json_pack("{s:s, s:s, s:s, s:s?, s:f, s:i, s:i, s:s}", "name", name, "key",
				  key, "user", user, "salt", view->has_salt ? salt : NULL, "weight",
				  view->sketch.weight, "pages", (int)view->sketch.pages, "tokens",
				  (int)view->sketch.n, "sketch", desk->text));
}
