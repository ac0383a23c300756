/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* asset: files of web/ as they were when this was built: the page, and the API written down. */
#ifndef PSHARE_DAEMON_ASSET_H
#define PSHARE_DAEMON_ASSET_H

#include <stddef.h>

struct asset {
	const char *path; /* "/", "/page.js", "/v1/openapi.json" */
	const char *type;
	const unsigned char *data;
	size_t size;
};

/* Made by scripts/embed. */
extern const struct asset assets[];
extern const size_t assets_n;

/* The one of that path; NULL. */
const struct asset *asset_find(const char *path);

#endif
