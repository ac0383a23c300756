/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list: the VMs as esxtop shows them: a line on the host, a row for each VM, a row for the sum.
 *
 * With --watch on a terminal the screen is redrawn in place, in one write, so that it does not
 * flicker; a daemon that is restarted meanwhile is waited for. Elsewhere (a log, a pipe) each
 * look is one line, or one JSON object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/format.h"
#include "cli/list-mem.h"
#include "cli/outlook.h"
#include "cli/unmanaged.h"
#include "policy/reason.h"
#include "sys/launch.h"
#include "sys/look.h"
#include "sys/terminal.h"
#include "wire/wire.h"

DEFINE_CLEANUP(struct table *, table, table_free);

enum {
	COL_NAME,
	COL_PID,
	COL_USER,
	COL_DOMAIN,
	COL_SIZE,
	COL_GRANT,
	COL_SHRD,
	COL_SHRDSVD,
	COL_ZERO,
	COL_PRIV,
	COL_LARGE,
	COL_QUAR,
	COL_OVHD,
	COL_CPU,
	COL_REASON,
	COL_END
};

static const struct column columns[COL_END] = {
	[COL_NAME] = {"NAME", false},	  [COL_PID] = {"PID", true},
	[COL_USER] = {"USER", false},	  [COL_DOMAIN] = {"DOMAIN", false},
	[COL_SIZE] = {"SIZE", true},	  [COL_GRANT] = {"GRANT", true},
	[COL_SHRD] = {"SHRD", true},	  [COL_SHRDSVD] = {"SHRDSVD", true},
	[COL_ZERO] = {"ZERO", true},	  [COL_PRIV] = {"PRIV", true},
	[COL_LARGE] = {"LARGE", true},	  [COL_QUAR] = {"QUAR", true},
	[COL_OVHD] = {"OVHD", true},	  [COL_CPU] = {"CPU", true},
	[COL_REASON] = {"REASON", false},
};

/* The members of a VM that are sizes, by column. */
static const char *const sizes[COL_END] = {
	[COL_SIZE] = "size",	   [COL_GRANT] = "GRANT",      [COL_SHRD] = "SHRD",
	[COL_SHRDSVD] = "SHRDSVD", [COL_ZERO] = "ZERO",	       [COL_PRIV] = "private",
	[COL_LARGE] = "large",	   [COL_QUAR] = "quarantined",
};

struct sum {
	uint64_t size[COL_END];
	double cpu_s;
};

/* What a daemon said at one look. */
struct look {
	json_t *host;
	json_t *vms; /* {"vms": [...], "unmanaged": [...]}: the latter is what we find ourselves */
};

static void look_free(struct look *look)
{
	json_decref(look->host);
	json_decref(look->vms);
	*look = (struct look){0};
}

/* Processes with the agent in them that the daemon does not know. */
static int add_unmanaged(struct look *look)
{
	json_t *found = unmanaged(json_object_get(look->vms, "vms"));

	if (!found || json_object_set_new(look->vms, "unmanaged", found))
		return say_error(CLI_FAILED, "out of memory");
	return 0;
}

static int look_at(struct client *client, struct look *look)
{
	int r = client_get(client, &look->host, "/v1/status", NULL, NULL);

	if (!r)
		r = client_get(client, &look->vms, "/v1/vms", NULL, NULL);
	return r ? r : add_unmanaged(look);
}

/* While watching: false where there is nothing to be seen, without a word. */
static bool look_again(struct client *client, struct look *look)
{
	look_free(look);
	return !client_try(client, &look->host, "/v1/status") &&
	       !client_try(client, &look->vms, "/v1/vms") && !add_unmanaged(look);
}

static uint64_t overhead(const json_t *vm)
{
	const json_t *parts = json_object_get(vm, "overhead");

	return ask_number(parts, "agent") + ask_number(parts, "kernel");
}

static int add_vm(struct table *table, const json_t *vm, struct sum *sum, bool bytes)
{
	char user[CELL_MAX];
	int c;

	if (table_row(table))
		return say_error(CLI_FAILED, "out of memory");
	table_text(table, COL_NAME, "%s", ask_text(vm, "name"));
	table_text(table, COL_PID, "%llu", (unsigned long long)ask_number(vm, "pid"));
	sys_user_name((uid_t)ask_number(vm, "uid"), user, sizeof(user));
	table_text(table, COL_USER, "%s", user);
	table_text(table, COL_DOMAIN, "%s", ask_text(vm, "domain"));
	table_text(table, COL_REASON, "%s", ask_text(vm, "reason"));
	if (!json_object_get(vm, "size"))
		return CLI_OK;
	for (c = 0; c < COL_END; c++) {
		uint64_t size = sizes[c] ? ask_number(vm, sizes[c]) : 0;

		if (c == COL_OVHD)
			size = overhead(vm);
		sum->size[c] += size;
		if (sizes[c] || c == COL_OVHD)
			table_size(table, (unsigned int)c, size, bytes);
	}
	table_text(table, COL_CPU, "%.1f", ask_real(vm, "cpu_s"));
	sum->cpu_s += ask_real(vm, "cpu_s");
	return CLI_OK;
}

static int add_total(struct table *table, const struct sum *sum, bool bytes)
{
	int c;

	if (table_row(table))
		return say_error(CLI_FAILED, "out of memory");
	table_text(table, COL_NAME, "TOTAL");
	for (c = COL_SIZE; c < COL_CPU; c++)
		table_size(table, (unsigned int)c, sum->size[c], bytes);
	table_text(table, COL_CPU, "%.1f", sum->cpu_s);
	return CLI_OK;
}

/* "PSHARE/MiB: 1 shared, 2 common: 3 saving" and what goes with it, without a newline. */
static void print_pshare(FILE *out, const json_t *host, bool bytes)
{
	static const char *const keys[] = {"shared", "common", "saving", "zero"};
	const json_t *pshare = json_object_get(host, "pshare");
	char text[4][CELL_MAX], metadata[CELL_MAX];
	int i;

	for (i = 0; i < 4; i++)
		size_text(text[i], ask_number(pshare, keys[i]), bytes);
	size_text(metadata, ask_number(host, "metadata_bytes"), bytes);
	fprintf(out, "PSHARE/%s: %s shared, %s common: %s saving, %s zero, %s metadata",
		size_unit(bytes), text[0], text[1], text[2], text[3], metadata);
}

/* What the names in the column REASON mean, each once, and what would do. */
static void print_reasons(FILE *out, const json_t *vms)
{
	static const char *const lists[] = {"vms", "unmanaged"};
	bool said[PS_CAUSE_END + 1] = {false};
	const json_t *vm;
	size_t i;

	for (unsigned int list = 0; list < 2; list++) {
		json_array_foreach(json_object_get(vms, lists[list]), i, vm)
		{
			const char *reason = ask_text(vm, "reason"), *mend = ask_text(vm, "mend");
			unsigned int cause = reason_find(reason);

			if (!*reason || said[cause])
				continue;
			said[cause] = true;
			fprintf(out, "\n%s: %s%s%s%s", reason, ask_text(vm, "why"),
				*mend ? " (" : "", mend, *mend ? ")" : "");
		}
	}
	if (memchr(said, true, sizeof(said)))
		fputc('\n', out);
}

/* "P: forked into P-1, P-2", a line for each parent. */
static void print_families(FILE *out, const json_t *vms)
{
	const json_t *list = json_object_get(vms, "vms"), *vm, *other;
	size_t i, k;

	json_array_foreach((json_t *)(uintptr_t)list, i, vm)
	{
		const char *parent = ask_text(json_object_get(vm, "family"), "parent");
		bool first = *parent;
		const char *comma = "";

		json_array_foreach((json_t *)(uintptr_t)list, k, other) if (k < i) first &=
			strcmp(ask_text(json_object_get(other, "family"), "parent"), parent) != 0;
		if (!first)
			continue;
		fprintf(out, "\n%s: forked into ", parent);
		json_array_foreach((json_t *)(uintptr_t)list, k, other)
		{
			if (strcmp(ask_text(json_object_get(other, "family"), "parent"), parent) !=
			    0)
				continue;
			fprintf(out, "%s%s", comma, ask_text(other, "name"));
			comma = ", ";
		}
		fputc('\n', out);
	}
}

static int print_table(FILE *out, const struct look *look, const struct args *args)
{
	bool bytes = args->bytes, mem = args->mem;
	_cleanup_(cleanup_table) struct table *table = table_new(columns, COL_END);
	const json_t *vms = json_object_get(look->vms, "vms");
	struct sum sum = {0};
	char line[OUTLOOK_MAX];
	uint64_t count, domains;
	const json_t *vm;
	size_t i;

	if (!table)
		return say_error(CLI_FAILED, "out of memory");
	json_array_foreach((json_t *)(uintptr_t)vms, i, vm)
	{
		if (add_vm(table, vm, &sum, bytes))
			return CLI_FAILED;
	}
	json_array_foreach(json_object_get(look->vms, "unmanaged"), i, vm)
	{
		if (add_vm(table, vm, &sum, bytes))
			return CLI_FAILED;
	}
	if (add_total(table, &sum, bytes))
		return CLI_FAILED;
	count = ask_number(look->host, "vms");
	domains = ask_number(look->host, "domains");
	fprintf(out, "pshared %s: %llu VM%s in %llu domain%s, %s state\n",
		ask_text(look->host, "version"), (unsigned long long)count, count == 1 ? "" : "s",
		(unsigned long long)domains, domains == 1 ? "" : "s",
		ask_text(look->host, "state"));
	list_mem_line(out, look->host, bytes);
	fputc('\n', out);
	print_pshare(out, look->host, bytes);
	fputc('\n', out);
	list_mem_notes(out, vms);
	if (mem) {
		fputc('\n', out);
		return list_mem_table(out, vms, bytes);
	}
	if (outlook_large(look->host, vms, bytes, line))
		fprintf(out, "%s\n", line);
	if (outlook_pass(look->host, bytes, line))
		fprintf(out, "%s\n", line);
	fputc('\n', out);
	table_print(table, out);
	print_reasons(out, look->vms);
	print_families(out, look->vms);
	return CLI_OK;
}

/* ---- watching ------------------------------------------------------------------------------ */

static int draw(const struct look *look, bool there, const struct args *args)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	unsigned int rows, width;
	FILE *out = open_memstream(&text, &length);
	int r = CLI_OK;

	if (!out)
		return say_error(CLI_FAILED, "out of memory");
	if (there)
		r = print_table(out, look, args);
	else
		fputs("no daemon answers; waiting for one\n", out);
	fputs("\nq or Ctrl-C ends\n", out);
	if (fclose(out) || r)
		return say_error(CLI_FAILED, "out of memory");
	term_size(&rows, &width);
	print_screen(stdout, text, rows, width);
	return CLI_OK;
}

static int watch_terminal(struct client *client, struct look *look, const struct args *args)
{
	enum term_event event = TERM_TIMEOUT;
	bool there = true;
	char key = 0;
	int r = 0;

	if (term_begin())
		return say_error(CLI_FAILED, "cannot set up the terminal");
	fputs("\033[2J", stdout);
	while (!r && event != TERM_END && !(event == TERM_KEY && (key == 'q' || key == 'Q'))) {
		if (event == TERM_TIMEOUT)
			there = look_again(client, look);
		r = draw(look, there, args);
		event = term_wait((int)(args->watch_s * 1000), &key);
	}
	term_restore();
	return r;
}

static void print_line(const struct look *look, bool there, const struct args *args)
{
	time_t now = sys_wall_time();
	char clock[16] = "";
	struct tm parts;

	if (args->json && there) {
		json_dumpf(look->vms, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
	} else if (!args->json) {
		if (localtime_r(&now, &parts))
			strftime(clock, sizeof(clock), "%H:%M:%S ", &parts);
		fputs(clock, stdout);
		if (there) {
			printf("%llu VMs  ", (unsigned long long)ask_number(look->host, "vms"));
			print_pshare(stdout, look->host, args->bytes);
		} else {
			fputs("no daemon answers", stdout);
		}
	}
	putchar('\n');
}

/* Until somebody ends it, or the reader of a pipe has gone. */
static int watch_lines(struct client *client, struct look *look, const struct args *args)
{
	bool there = true;

	for (;;) {
		print_line(look, there, args);
		if (fflush(stdout))
			return say_error(CLI_FAILED, "cannot write to standard output");
		sys_sleep_ms((unsigned int)(args->watch_s * 1000));
		there = look_again(client, look);
	}
}

int cmd_list(struct args *args)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_(look_free) struct look look = {0};
	int r = client_open(&client, args);

	if (r)
		return r;
	if (args->wait_settled)
		r = wait_settled(client, args->settled_s);
	if (r)
		return r;
	r = look_at(client, &look);
	if (r)
		return r;
	if (args->watch_s > 0 && term_is_terminal(1) && !args->json)
		return watch_terminal(client, &look, args);
	if (args->watch_s > 0)
		return watch_lines(client, &look, args);
	if (args->json)
		return print_json(look.vms);
	return print_table(stdout, &look, args);
}
