/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/finding.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/cli.h"
#include "policy/plain.h"

#define FOUND_MAX 512

static const char *const state_names[] = {
	[FINDING_OK] = "ok",
	[FINDING_NOTE] = "note",
	[FINDING_MISSING] = "missing",
	[FINDING_UNKNOWN] = "unknown",
};

int report_init(struct report *report)
{
	*report = (struct report){.findings = json_array()};
	return report->findings ? 0 : -ENOMEM;
}

void report_free(struct report *report)
{
	json_decref(report->findings);
	report->findings = NULL;
}

void report_add(struct report *report, const char *check, enum finding_state state,
		const char *mend, const char *format, ...)
{
	char found[FOUND_MAX];
	va_list list;

	va_start(list, format);
	vsnprintf(found, sizeof(found), format, list);
	va_end(list);
	plain_text(found); /* names of files and processes are in it */
	if (state == FINDING_MISSING)
		report->missing = true;
	json_array_append_new(report->findings,
			      json_pack("{s:s, s:s, s:s, s:s?}", "check", check, "state",
					state_names[state], "found", found, "mend", mend));
}

int report_print(const struct report *report, bool json)
{
	const json_t *finding;
	size_t i;
	int r;

	if (json) {
		_cleanup_json_ json_t *whole = json_pack("{s:b, s:O}", "ok", !report->missing,
							 "findings", report->findings);

		r = whole ? print_json(whole) : say_error(CLI_FAILED, "out of memory");
		return r ? r : report->missing ? CLI_FAILED : CLI_OK;
	}
	json_array_foreach(report->findings, i, finding)
	{
		const char *mend = ask_text(finding, "mend");

		printf("%-8s %-24s %s\n", ask_text(finding, "state"), ask_text(finding, "check"),
		       ask_text(finding, "found"));
		if (*mend)
			printf("%-8s %-24s   mend: %s\n", "", "", mend);
	}
	return report->missing ? CLI_FAILED : CLI_OK;
}
