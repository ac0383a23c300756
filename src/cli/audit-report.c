/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit-report: what was found, for people and as JSON. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/audit.h"
#include "policy/plain.h"
#include "sys/terminal.h"

#define TEXT_BYTES 512
#define NS_PER_S 1e9
#define MIB (1024.0 * 1024.0)

static const char *const state_names[] = {
	[AUDIT_OK] = "ok",
	[AUDIT_NOTE] = "note",
	[AUDIT_VIOLATION] = "violation",
	[AUDIT_UNKNOWN] = "unknown",
};

void audit_say(struct audit *audit, const char *check, enum audit_state state, json_t *pids,
	       uint64_t count, const char *mend, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	/* what another user chose, the name of a file or of a program, is no message of ours */
	plain_text(text);
	audit->violations += state == AUDIT_VIOLATION;
	audit->unread += state == AUDIT_UNKNOWN;
	json_array_append_new(audit->findings,
			      json_pack("{s:s, s:s, s:s%, s:o, s:I, s:s?}", "check", check, "state",
					state_names[state], "found", text, strlen(text), "pids",
					pids ? pids : json_array(), "count", (json_int_t)count,
					"mend", mend));
}

void audit_progress(const struct audit *audit, const char *what, uint64_t done, uint64_t all)
{
	static uint64_t last;
	uint64_t now = sys_now();

	if (!audit->progress || (done < all && now - last < 100000000ull))
		return;
	last = now;
	if (all)
		fprintf(stderr, "\r\033[K%s: %" PRIu64 " of %" PRIu64 "", what, done, all);
	else
		fprintf(stderr, "\r\033[K");
	fflush(stderr);
}

static json_t *vms_array(const struct audit *audit)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < audit->nvms; i++) {
		const struct audit_vm *vm = &audit->vms[i];

		json_array_append_new(
			list, json_pack("{s:s, s:i, s:I, s:b, s:i, s:I, s:I, s:I}", "name",
					vm->name, "pid", (int)vm->pid, "uid", (json_int_t)vm->uid,
					"managed", vm->account != NULL, "group", (int)vm->group,
					"pages", (json_int_t)vm->pages, "common",
					(json_int_t)vm->common, "ksm", (json_int_t)vm->ksm));
	}
	return list;
}

static uint64_t pages_of_all(const struct audit *audit)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < audit->nvms; i++)
		pages += audit->vms[i].pages;
	return pages;
}

static int exit_code(const struct audit *audit)
{
	return audit->violations ? CLI_FAILED : audit->unread ? CLI_UNSURE : CLI_OK;
}

static int print_as_json(const struct audit *audit, double seconds)
{
	_cleanup_json_ json_t *whole = json_pack(
		"{s:b, s:b, s:i, s:f, s:I, s:I, s:i, s:o, s:O}", "ok", !audit->violations,
		"complete", !audit->unread, "violations", (int)audit->violations, "seconds",
		seconds, "pages", (json_int_t)pages_of_all(audit), "common_frames",
		(json_int_t)audit->frames_common, "daemons", (int)audit->ndaemons, "vms",
		vms_array(audit), "findings", audit->findings);
	int r = whole ? print_json(whole) : say_error(CLI_FAILED, "out of memory");

	return r ? r : exit_code(audit);
}

int audit_print(const struct audit *audit)
{
	double seconds = (double)(sys_now() - audit->began) / NS_PER_S;
	const json_t *finding;
	size_t i;

	audit_progress(audit, "", 0, 0);
	if (audit->args->json)
		return print_as_json(audit, seconds);
	printf("%zu VM%s, %zu daemon%s, %.1f MiB in memory, looked at in %.1f s\n", audit->nvms,
	       audit->nvms == 1 ? "" : "s", audit->ndaemons, audit->ndaemons == 1 ? "" : "s",
	       (double)pages_of_all(audit) * AUDIT_PAGE / MIB, seconds);
	json_array_foreach(audit->findings, i, finding)
	{
		const char *mend = ask_text(finding, "mend");

		printf("%-9s %-12s %s\n", ask_text(finding, "state"), ask_text(finding, "check"),
		       ask_text(finding, "found"));
		if (*mend)
			printf("%-9s %-12s   mend: %s\n", "", "", mend);
	}
	if (audit->violations)
		printf("%u violation%s\n", audit->violations, audit->violations == 1 ? "" : "s");
	else
		printf("no violation%s\n", audit->unread ? ", but not all could be looked at" : "");
	return exit_code(audit);
}
