/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fleet/keys.h"

#include <stdio.h>
#include <string.h>

static const char *const parts[][3] = {
	[FLEET_ALL] = {"all/"},
	[FLEET_ALL_SET] = {"all/set/", ""},
	[FLEET_ALL_RULE] = {"all/rule/", ""},
	[FLEET_ASK_AUDIT] = {"all/ask/audit"},
	[FLEET_HOST] = {"host/", "/"},
	[FLEET_HOST_SET] = {"host/", "/set/", ""},
	[FLEET_HEAD] = {"head/", ""},
	[FLEET_HISTORY] = {"history/", ""},
	[FLEET_ALIVE] = {"alive/", ""},
	[FLEET_REPORT] = {"report/", ""},
	[FLEET_SETTINGS] = {"settings/", ""},
	[FLEET_DRIFT] = {"drift/", "/", ""},
	[FLEET_AUDIT] = {"audit/", ""},
	[FLEET_LIKENESS] = {"likeness/", ""},
	[FLEET_PENDING] = {"pending/", "/", ""},
	[FLEET_ADMISSION] = {"admission"},
};

const char *fleet_key(char out[FLEET_KEY_MAX], const char *fleet, enum fleet_key kind,
		      const char *a, const char *b)
{
	const char *const *part = parts[kind];

	snprintf(out, FLEET_KEY_MAX, "/pshare/%s/v1/%s%s%s%s%s", fleet, part[0], a ? a : "",
		 a ? part[1] : "", a && b ? b : "", a && b ? part[2] : "");
	return out;
}

const char *fleet_after(const char *key, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(key, prefix, n) == 0 ? key + n : NULL;
}

const char *fleet_range_end(char out[FLEET_KEY_MAX], const char *prefix)
{
	size_t n;

	snprintf(out, FLEET_KEY_MAX, "%s", prefix);
	n = strlen(out);
	if (n)
		out[n - 1]++; /* '/' becomes '0', the next byte */
	return out;
}
