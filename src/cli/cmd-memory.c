/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reclaim, suspend, resume: an order to the daemon, and its progress until it is over. The order is
 * the daemon's: who interrupts this command only does not see the rest.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/format.h"
#include "sys/launch.h"
#include "sys/terminal.h"

#define LOOK_MS 300u
#define SIZE_LARGEST (1ull << 50)

/* "256", "256M", "1G" in bytes; 0 if it is none. A number alone is MiB, as QEMU's -m has it. */
static uint64_t parse_size(const char *text)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	unsigned int shift = 20;
	char *end;

	if (*text < '0' || *text > '9')
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end) {
		const char *unit = strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end);

		if (!unit || end[1])
			return 0;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	return errno || n > SIZE_LARGEST >> shift ? 0 : (uint64_t)n << shift;
}

static void print_progress(const char *name, const json_t *action, const json_t *memory)
{
	char moved[CELL_MAX], wanted[CELL_MAX], zipped[CELL_MAX], swapped[CELL_MAX];

	size_text(moved, ask_number(action, "moved"), false);
	size_text(wanted, ask_number(action, "wanted"), false);
	size_text(zipped, ask_number(memory, "zipped"), false);
	size_text(swapped, ask_number(memory, "SWCUR"), false);
	fprintf(stderr, "\r%s %s: %s%s%s MiB, %.0f s; compressed %s, swapped %s\033[K",
		ask_text(action, "what"), name, moved,
		json_is_integer(json_object_get(action, "wanted")) ? " of " : "",
		json_is_integer(json_object_get(action, "wanted")) ? wanted : "",
		ask_real(action, "time_s"), zipped, swapped);
	fflush(stderr);
}

/* Waits until it is over. *vm: as it was then. */
static int watch(struct client *client, const char *name, json_t **vm)
{
	bool shown = term_is_terminal(2);

	for (;;) {
		_cleanup_json_ json_t *now = NULL;
		const json_t *memory, *action;
		int r = client_get(client, &now, "/v1/vms/%s", name, NULL);

		if (r)
			return r;
		memory = json_object_get(now, "memory");
		action = json_object_get(memory, "action");
		if (shown)
			print_progress(name, action, memory);
		if (ask_true(action, "over")) {
			if (shown)
				fputs("\r\033[K", stderr);
			*vm = TAKE_PTR(now);
			return 0;
		}
		sys_sleep_ms(LOOK_MS);
	}
}

static int report(const char *name, const json_t *vm, uint64_t wanted)
{
	const json_t *memory = json_object_get(vm, "memory");
	const json_t *action = json_object_get(memory, "action");
	const char *what = ask_text(action, "what");
	uint64_t moved = ask_number(action, "moved");
	char text[CELL_MAX], all[CELL_MAX];

	size_text(text, moved, false);
	if (!strcmp(what, "resume")) {
		printf("%s: %s MiB brought back in %.1f s\n", name, text,
		       ask_real(action, "time_s"));
		return CLI_OK;
	}
	printf("%s: %s MiB given back in %.1f s\n", name, text, ask_real(action, "time_s"));
	size_text(all, ask_number(memory, "consumed"), false);
	printf("%s: takes %s MiB now; out: ", name, all);
	size_text(text, ask_number(memory, "twin"), false);
	printf("%s MiB twin, ", text);
	size_text(text, ask_number(memory, "zipped"), false);
	size_text(all, ask_number(memory, "CACHESZ"), false);
	printf("%s MiB compressed (in %s MiB), ", text, all);
	size_text(text, ask_number(memory, "SWCUR"), false);
	printf("%s MiB swapped\n", text);
	if (moved >= wanted)
		return CLI_OK;
	size_text(text, moved, false);
	size_text(all, wanted, false);
	return say_error(CLI_FAILED,
			 "only %s of %s MiB could be had of %s: the rest is in use, pinned, or has "
			 "nowhere to go; see 'pshare show %s'",
			 text, all, name, name);
}

int cmd_memory(struct args *args)
{
	const char *name = args->operands[0], *what = args->command->name;
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *body = NULL, *answer = NULL, *vm = NULL;
	uint64_t wanted = 0;
	char path[64];
	int r;

	if (args->noperands > 1) {
		wanted = parse_size(args->operands[1]);
		if (!wanted)
			return say_usage(
				args->command,
				"'%.40s' is no size: a number of MiB, or with K, M, G or T",
				args->operands[1]);
	}
	r = client_open(&client, args);
	if (r)
		return r;
	body = wanted ? json_pack("{s:I}", "value", (json_int_t)wanted) :
			json_pack("{s:b}", "value", 1);
	if (!body)
		return say_error(CLI_FAILED, "out of memory");
	snprintf(path, sizeof(path), "/v1/vms/%%s/%s", what);
	r = client_put(client, &answer, body, NULL, path, name, NULL);
	if (!r)
		r = watch(client, name, &vm);
	if (r)
		return r;
	if (args->json)
		return print_json(json_object_get(json_object_get(vm, "memory"), "action"));
	return report(name, vm, wanted);
}
