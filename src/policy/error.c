/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int policy_error(char *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(err, POLICY_ERROR_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

char *policy_shown(char out[POLICY_SHOWN_MAX + 4], const char *text, size_t len)
{
	size_t shown = len < POLICY_SHOWN_MAX ? len : POLICY_SHOWN_MAX;

	for (size_t i = 0; i < shown; i++)
		out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	snprintf(out + shown, 4, "%s", len > shown ? "..." : "");
	return out;
}
