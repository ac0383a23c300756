/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/balloon-lines.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/format.h"

#define KEY_WIDTH 22

static void size_line(const json_t *object, const char *member, const char *key, bool bytes)
{
	char text[CELL_MAX];

	if (!json_is_integer(json_object_get(object, member)))
		return;
	size_text(text, ask_number(object, member), bytes);
	printf("%-*s %s %s\n", KEY_WIDTH, key, text, size_unit(bytes));
}

/* What its driver said last. */
static void guest_lines(const json_t *guest, bool bytes)
{
	if (!json_is_real(json_object_get(guest, "age_s")))
		return;
	size_line(guest, "total", "guest, total", bytes);
	size_line(guest, "available", "guest, available", bytes);
	printf("%-*s %.0f s ago%s%s\n", KEY_WIDTH, "guest answered", ask_real(guest, "age_s"),
	       ask_true(guest, "fresh") ? "" : "; not used any more",
	       ask_true(guest, "short") ? "; it is short of memory" : "");
}

static void device_lines(const json_t *balloon)
{
	if (!json_is_boolean(json_object_get(balloon, "deflate_on_oom")))
		return;
	printf("%-*s %s\n", KEY_WIDTH, "deflate-on-oom",
	       ask_true(balloon, "deflate_on_oom") ?
		       "on" :
		       "off: a guest that runs short has to wait for pshare");
	printf("%-*s %s\n", KEY_WIDTH, "free page reporting",
	       ask_true(balloon, "free_page_reporting") ?
		       "on" :
		       "off: what the guest has freed stays in the host (free-page-reporting=on)");
}

void balloon_lines(const json_t *balloon, bool bytes)
{
	const char *mend = ask_text(balloon, "mend"), *says = ask_text(balloon, "says");

	printf("%-*s %s: %s%s%s\n", KEY_WIDTH, "balloon", ask_text(balloon, "state"),
	       ask_text(balloon, "why"), *says ? ": " : "", says);
	if (*mend)
		printf("%-*s %s\n", KEY_WIDTH, "mend", mend);
	if (ask_true(balloon, "held"))
		printf("%-*s %s\n", KEY_WIDTH, "held back", "by pshare: the host is low on memory");
	else if (ask_true(balloon, "paused"))
		printf("%-*s %s\n", KEY_WIDTH, "paused", "not by pshare");
	if (!ask_true(balloon, "device"))
		return;
	size_line(balloon, "MCTLSZ", "MCTLSZ (balloon)", bytes);
	size_line(balloon, "MCTLTGT", "MCTLTGT (target)", bytes);
	size_line(balloon, "MCTLMAX", "MCTLMAX (at most)", bytes);
	size_line(balloon, "most", "at most for now", bytes);
	guest_lines(json_object_get(balloon, "guest"), bytes);
	device_lines(balloon);
}
