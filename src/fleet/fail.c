/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fleet/fail.h"

#include <stdarg.h>
#include <stdio.h>

#include "policy/plain.h"

int fleet_fail(char err[FLEET_ERROR_MAX], int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err, FLEET_ERROR_MAX, format, args);
	va_end(args);
	plain_text(err);
	return error;
}
