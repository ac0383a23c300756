/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fleet/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "policy/plain.h"

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

static bool is_name(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

void json_scrub(json_t *value)
{
	const char *name;
	json_t *part;
	void *next;
	size_t i;

	if (json_is_string(value)) /* the length stays as it is */
		plain_bytes((char *)(uintptr_t)json_string_value(value), json_string_length(value));
	json_array_foreach(value, i, part) json_scrub(part);
	json_object_foreach_safe(value, next, name, part)
	{
		if (is_name(name))
			json_scrub(part);
		else
			(void)json_object_del(value, name);
	}
}
