/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt-journal: nothing of an administrator's is changed without a line that says what and
 * where. The line comes after the change, so a line that is there is true; with --dry-run it is the
 * same line, and "would". A run that fails in the middle has said what it did, and may be run
 * again.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/libvirt.h"
#include "sys/file.h"

#define HOW_MAX 512

int journal_init(struct journal *journal, const struct args *args)
{
	*journal = (struct journal){
		.dry = args->dry_run,
		.json = args->json,
		.changes = json_array(),
		.then = json_array(),
	};
	return journal->changes && journal->then ? 0 : say_error(CLI_FAILED, "out of memory");
}

void journal_free(struct journal *journal)
{
	json_decref(journal->changes);
	json_decref(journal->then);
}

void journal_change(struct journal *journal, const char *what, const char *format, ...)
{
	char how[HOW_MAX];
	va_list list;

	va_start(list, format);
	vsnprintf(how, sizeof(how), format, list);
	va_end(list);
	json_array_append_new(journal->changes, json_pack("{s:s, s:s}", "what", what, "how", how));
	if (!journal->json)
		printf("%s %s: %s\n", journal->dry ? "would change" : "changed", what, how);
}

void journal_then(struct journal *journal, const char *command, const char *why)
{
	json_array_append_new(journal->then,
			      json_pack("{s:s, s:s}", "command", command, "why", why));
}

int journal_end(struct journal *journal)
{
	const json_t *step;
	size_t i;

	if (journal->json) {
		_cleanup_json_ json_t *whole = json_pack("{s:b, s:O, s:O}", "dry_run", journal->dry,
							 "changes", journal->changes, "then",
							 journal->then);

		return whole ? print_json(whole) : say_error(CLI_FAILED, "out of memory");
	}
	if (!json_array_size(journal->changes))
		printf("nothing to change\n");
	json_array_foreach(journal->then, i, step)
		printf("then: %s (%s)\n", ask_text(step, "command"), ask_text(step, "why"));
	return CLI_OK;
}

int journal_write(struct journal *journal, const char *path, const char *text, const char *how)
{
	static const struct sys_file fresh = {.mode = 0644};
	int r = 0;

	if (!journal->dry)
		r = text ? sys_file_replace(path, text, strlen(text), &fresh) :
			   sys_file_remove(path);
	if (r)
		return say_error(CLI_FAILED, "%s cannot be %s: %s", path,
				 text ? "written" : "removed", strerror(-r));
	journal_change(journal, path, "%s", how);
	return 0;
}
