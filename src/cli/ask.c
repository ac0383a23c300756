/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ask: reading JSON answers. A member that a daemon of another version lacks is 0, not a crash. */
#include <stdio.h>

#include "cli/cli.h"

#define INDENT 2

uint64_t ask_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number < 0 ? 0 : (uint64_t)number;
}

double ask_real(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

const char *ask_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

bool ask_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

int print_json(const json_t *value)
{
	if (json_dumpf(value, stdout,
		       JSON_INDENT(INDENT) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12)) ||
	    putchar('\n') < 0)
		return say_error(CLI_FAILED, "cannot write to standard output");
	return CLI_OK;
}
