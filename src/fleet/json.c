/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fleet/json.h"

#include <string.h>

char *json_line(const json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	char *copy = text ? strdup(text) : NULL;
	json_malloc_t take;
	json_free_t give;

	json_get_alloc_funcs(&take, &give);
	if (text) {
		explicit_bzero(text, strlen(text)); /* a password may be in it */
		give(text);
	}
	return copy;
}
