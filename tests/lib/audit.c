/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit.h"

#include <limits.h>
#include <string.h>

json_t *t_audit(const struct t_daemon *d)
{
	char path[PATH_MAX], command[2 * PATH_MAX];
	json_error_t error;
	json_t *whole;
	FILE *said;

	snprintf(command, sizeof(command), "'%s' audit --json --runtime-dir '%s'",
		 t_build_path("src/cli/pshare", path, sizeof(path)), d->dir);
	said = popen(command, "re");
	t_check(said != NULL, "%m");
	whole = json_loadf(said, 0, &error);
	(void)pclose(said);
	if (!whole)
		t_fail("pshare audit --json: %s", error.text);
	return whole;
}

static bool names(const json_t *finding, pid_t pid)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(finding, "pids"), i, one)
	{
		if (json_integer_value(one) == pid)
			return true;
	}
	return false;
}

static bool is(const json_t *finding, const char *key, const char *value)
{
	return !strcmp(json_string_value(json_object_get(finding, key)), value);
}

const char *t_audit_found(json_t *audit, const char *check, const char *state, pid_t pid,
			  const char *part)
{
	json_t *finding;
	size_t i;

	json_array_foreach(json_object_get(audit, "findings"), i, finding)
	{
		const char *text = json_string_value(json_object_get(finding, "found"));

		if ((!check || is(finding, "check", check)) && is(finding, "state", state) &&
		    (!pid || names(finding, pid)) && (!part || strstr(text, part)))
			return text;
	}
	return NULL;
}

#define AUDITS 5

void t_audit_must_find(const struct t_daemon *d, const char *check, pid_t pid, const char *part)
{
	for (int tries = 0; tries < AUDITS; tries++) {
		json_t *whole = t_audit(d);
		const char *text = t_audit_found(whole, check, "violation", pid, part);

		if (text)
			t_note("%s", text);
		else if (tries == AUDITS - 1)
			json_dumpf(whole, stdout, JSON_INDENT(1));
		json_decref(whole);
		if (text)
			return;
	}
	t_fail("no violation of \"%s\" with \"%s\" that names %d", check, part, pid);
}
