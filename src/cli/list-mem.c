/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/list-mem.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/format.h"

DEFINE_CLEANUP(struct table *, table, table_free);

enum kind { TEXT, SIZE, COUNT, LIMIT, PERCENT };

static const struct {
	struct column column;
	const char *key; /* in the VM's "memory"; NULL: of the VM itself */
	enum kind kind;
} columns_of[] = {
	{{"NAME", false}, NULL, TEXT},
	{{"SIZE", true}, NULL, SIZE},
	{{"CONS", true}, "consumed", SIZE},
	{{"SZTGT", true}, "SZTGT", SIZE},
	{{"ACTV", true}, "ACTV", SIZE},
	{{"ASHRS", true}, "ASHRS", COUNT},
	{{"AMIN", true}, "AMIN", LIMIT},
	{{"AMAX", true}, "AMAX", LIMIT},
	{{"MCTLSZ", true}, "MCTLSZ", SIZE},
	{{"MCTLTGT", true}, "MCTLTGT", SIZE},
	{{"MCTLMAX", true}, "MCTLMAX", SIZE},
	{{"STAGED", true}, "staged", SIZE},
	{{"TWIN", true}, "twin", SIZE},
	{{"ZIP", true}, "zipped", SIZE},
	{{"CACHESZ", true}, "CACHESZ", SIZE},
	{{"CACHEUSD", true}, "CACHEUSD", SIZE},
	{{"ZIP/s", true}, "ZIP/s", SIZE},
	{{"UNZIP/s", true}, "UNZIP/s", SIZE},
	{{"SWCUR", true}, "SWCUR", SIZE},
	{{"SWTGT", true}, "SWTGT", SIZE},
	{{"SWR/s", true}, "SWR/s", SIZE},
	{{"SWW/s", true}, "SWW/s", SIZE},
	{{"%LAT", true}, "latency_percent", PERCENT},
	{{"STATE", false}, NULL, TEXT},
};
#define NCOLUMNS (sizeof(columns_of) / sizeof(columns_of[0]))

static const char *state_of(const json_t *vm, const json_t *memory)
{
	if (ask_true(memory, "held"))
		return "held";
	if (!ask_true(json_object_get(memory, "action"), "over"))
		return ask_text(json_object_get(memory, "action"), "what");
	return ask_true(memory, "suspended") ? "suspended" : ask_text(vm, "state");
}

static void fill_cell(struct table *table, unsigned int c, const json_t *vm, bool bytes)
{
	const json_t *memory = json_object_get(vm, "memory");
	const char *key = columns_of[c].key;

	switch (columns_of[c].kind) {
	case TEXT:
		table_text(table, c, "%s", c ? state_of(vm, memory) : ask_text(vm, "name"));
		break;
	case SIZE:
		table_size(table, c, key ? ask_number(memory, key) : ask_number(vm, "size"), bytes);
		break;
	case COUNT:
		table_text(table, c, "%llu", (unsigned long long)ask_number(memory, key));
		break;
	case LIMIT: /* MB; -1: none */
		table_text(table, c, "%lld",
			   (long long)json_integer_value(json_object_get(memory, key)));
		break;
	case PERCENT:
		table_text(table, c, "%.1f", ask_real(memory, key));
		break;
	}
}

int list_mem_table(FILE *out, const json_t *vms, bool bytes)
{
	static struct column columns[NCOLUMNS];
	_cleanup_(cleanup_table) struct table *table = NULL;
	const json_t *vm;
	size_t i;

	for (i = 0; i < NCOLUMNS; i++)
		columns[i] = columns_of[i].column;
	table = table_new(columns, NCOLUMNS);
	if (!table)
		return say_error(CLI_FAILED, "out of memory");
	json_array_foreach((json_t *)(uintptr_t)vms, i, vm)
	{
		if (table_row(table))
			return say_error(CLI_FAILED, "out of memory");
		for (unsigned int c = 0; c < NCOLUMNS; c++)
			fill_cell(table, c, vm, bytes);
	}
	table_print(table, out);
	return CLI_OK;
}

void list_mem_line(FILE *out, const json_t *host, bool bytes)
{
	static const char *const keys[] = {"managed",  "minfree",  "free",
					   "consumed", "reserved", "unreserved"};
	const json_t *memory = json_object_get(host, "memory");
	char text[6][CELL_MAX];

	for (unsigned int i = 0; i < 6; i++)
		size_text(text[i], ask_number(memory, keys[i]), bytes);
	fprintf(out, "MEM/%s: %s managed, %s minfree, %s free, %s consumed, %s rsvd, %s ursvd%s",
		size_unit(bytes), text[0], text[1], text[2], text[3], text[4], text[5],
		ask_true(memory, "stalled") ? ", tasks wait for memory" : "");
}

void list_mem_notes(FILE *out, const json_t *vms)
{
	const json_t *vm;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)vms, i, vm)
	{
		if (ask_true(json_object_get(vm, "memory"), "held"))
			fprintf(out,
				"%s is held back: memory is in low state, and it is furthest "
				"above its target\n",
				ask_text(vm, "name"));
	}
}
