/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/asset.h"

#include <string.h>

const struct asset *asset_find(const char *path)
{
	for (size_t i = 0; i < assets_n; i++)
		if (strcmp(assets[i].path, path) == 0)
			return &assets[i];
	return NULL;
}
