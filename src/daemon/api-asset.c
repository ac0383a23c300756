/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The page, and what keeps it from harm.
 *
 * On the unix socket the kernel says who asks. On the port nobody does: whoever can open a
 * connection from this host may look, and so may what runs in his browser, if it could get there.
 * So of a request that came to the port
 *  - the Host header must name this host: a page from elsewhere whose name is made to resolve to
 *    127.0.0.1 (DNS rebinding) says its own name there;
 *  - what a browser says of its origin (Sec-Fetch-Site, Origin) must not be another site;
 *  - nothing is changed, whatever the route.
 * No answer ever allows another origin to read it (there is no CORS header), to frame it, or to
 * take it for another type; the page runs scripts and styles from here alone.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/api-internal.h"
#include "daemon/asset.h"
#include "policy/loopback.h"

static void get_asset(struct api_request *request)
{
	const struct asset *asset = request->asset;
	char *copy = malloc(asset->size + 1);

	if (copy)
		memcpy(copy, asset->data, asset->size);
	api_answer_text(request, copy, asset->size, asset->type);
}

const struct api_route api_asset_route = {"", get_asset, NULL};

void api_add_headers(struct MHD_Response *response)
{
	static const char *const headers[][2] = {
		{"Content-Security-Policy",
		 "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
		 "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
}

static const char *header(struct api_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->conn->mhd, MHD_HEADER_KIND, name);
}

/* "http://127.0.0.1:9117": one of ours? */
static bool is_own_origin(const char *origin)
{
	static const char scheme[] = "http://";

	return strncmp(origin, scheme, sizeof(scheme) - 1) == 0 &&
	       loopback_host(origin + sizeof(scheme) - 1);
}

void api_check_port(struct api_request *request, const char *method)
{
	const char *site = header(request, "Sec-Fetch-Site");
	const char *origin = header(request, MHD_HTTP_HEADER_ORIGIN);

	if (!loopback_host(header(request, MHD_HTTP_HEADER_HOST)))
		api_answer_error(request, MHD_HTTP_MISDIRECTED_REQUEST,
				 "this port is for localhost, 127.0.0.1 and [::1] alone");
	else if ((site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) ||
		 (origin && !is_own_origin(origin)))
		api_answer_error(request, MHD_HTTP_FORBIDDEN,
				 "a page from elsewhere may not read this");
	else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		api_answer_error(request, MHD_HTTP_FORBIDDEN,
				 "this port is for looking; changes go to api.sock");
}
