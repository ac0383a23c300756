/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * With the defaults a new VM's figures are small for two reasons that nothing else on the screen
 * tells: most of a guest's memory is in huge pages, which are left whole while memory is plentiful,
 * and the rest is still being looked at. Both are said here, with what there is to come.
 */
#include "cli/outlook.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/format.h"

#define MINUTE 60.0

bool outlook_large(const json_t *host, const json_t *vms, bool bytes, char text[OUTLOOK_MAX])
{
	const json_t *settings = json_object_get(host, "settings"), *vm;
	char large_text[CELL_MAX], cowh_text[CELL_MAX];
	uint64_t large = 0, cowh = 0;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)vms, i, vm)
	{
		large += ask_number(vm, "large");
		cowh += ask_number(vm, "COWH");
	}
	if (!large || !ask_number(settings, "Mem.AllocGuestLargePage"))
		return false;
	size_text(large_text, large, bytes);
	size_text(cowh_text, cowh, bytes);
	snprintf(text, OUTLOOK_MAX,
		 "%s %s in huge pages that are left whole; taken apart they would share %s %s so "
		 "far: "
		 "pshare set Mem.AllocGuestLargePage 0",
		 large_text, size_unit(bytes), cowh_text, size_unit(bytes));
	return true;
}

/* "40 s", "12 min": rounded up. */
static void duration_text(char text[CELL_MAX], double seconds)
{
	if (seconds < 2 * MINUTE)
		snprintf(text, CELL_MAX, "%.0f s", seconds + 0.5);
	else
		snprintf(text, CELL_MAX, "%.0f min", seconds / MINUTE + 0.5);
}

bool outlook_pass(const json_t *object, bool bytes, char text[OUTLOOK_MAX])
{
	const json_t *progress = json_object_get(object, "progress");
	const json_t *left = json_object_get(progress, "left_s");
	char remaining[CELL_MAX], done[CELL_MAX];

	if (!progress || ask_true(progress, "settled") || !json_is_number(left))
		return false;
	size_text(remaining, ask_number(progress, "remaining"), bytes);
	duration_text(done, json_number_value(left));
	snprintf(text, OUTLOOK_MAX,
		 "%s %.0f %%, done in %s; sharing %.0f %% done, %s %s still expected",
		 ask_true(progress, "first_pass") ? "first pass" : "pass",
		 ask_real(progress, "looked_percent"), done, 100 * ask_real(progress, "done"),
		 remaining, size_unit(bytes));
	return true;
}

void outlook_done(const json_t *object, bool bytes, char text[OUTLOOK_MAX])
{
	const json_t *progress = json_object_get(object, "progress");
	char remaining[CELL_MAX];

	size_text(remaining, ask_number(progress, "remaining"), bytes);
	if (ask_true(progress, "settled"))
		snprintf(text, OUTLOOK_MAX, "100 %%: settled");
	else
		snprintf(text, OUTLOOK_MAX, "%.0f %%, %s %s still expected",
			 100 * ask_real(progress, "done"), remaining, size_unit(bytes));
}
