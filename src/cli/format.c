/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)
#define SIZE_LARGEST (1ull << 50)
#define GAP 2 /* spaces between columns */

#define TO_TOP "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"

void size_text(char text[CELL_MAX], uint64_t bytes, bool in_bytes)
{
	if (in_bytes)
		snprintf(text, CELL_MAX, "%" PRIu64, bytes);
	else
		snprintf(text, CELL_MAX, "%.1f", (double)bytes / MIB);
}

int size_parse(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	unsigned int shift = 20;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end) {
		const char *unit = strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end);

		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	if (errno || n > SIZE_LARGEST >> shift)
		return -EINVAL;
	*bytes = (uint64_t)n << shift;
	return 0;
}

const char *size_unit(bool in_bytes)
{
	return in_bytes ? "bytes" : "MiB";
}

/* ---- tables -------------------------------------------------------------------------------- */

struct row {
	char cell[COLUMNS_MAX][CELL_MAX];
};

struct table {
	const struct column *columns;
	unsigned int ncolumns;
	size_t nrows, room;
	struct row *rows;
};

struct table *table_new(const struct column *columns, unsigned int n)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->columns = columns;
	table->ncolumns = n;
	return table;
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;
	free(table->rows);
	free(table);
	return NULL;
}

int table_row(struct table *table)
{
	if (table->nrows == table->room) {
		size_t room = table->room ? table->room * 2 : 8;
		struct row *bigger = reallocarray(table->rows, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		table->rows = bigger;
		table->room = room;
	}
	memset(&table->rows[table->nrows++], 0, sizeof(struct row));
	return 0;
}

static char *cell_of(struct table *table, unsigned int column)
{
	return table->rows[table->nrows - 1].cell[column];
}

void table_text(struct table *table, unsigned int column, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(cell_of(table, column), CELL_MAX, format, list);
	va_end(list);
}

void table_size(struct table *table, unsigned int column, uint64_t bytes, bool in_bytes)
{
	size_text(cell_of(table, column), bytes, in_bytes);
}

static int width_of(const struct table *table, unsigned int column)
{
	size_t width = strlen(table->columns[column].title);
	size_t i;

	for (i = 0; i < table->nrows; i++) {
		size_t length = strlen(table->rows[i].cell[column]);

		width = length > width ? length : width;
	}
	return (int)width;
}

static void print_cell(const struct table *table, unsigned int column, int width, const char *text,
		       FILE *out)
{
	bool last = column == table->ncolumns - 1;

	if (table->columns[column].right)
		fprintf(out, "%*s", width, text);
	else
		fprintf(out, "%-*s", last ? 0 : width, text);
	if (last)
		fputc('\n', out);
	else
		fprintf(out, "%*s", GAP, "");
}

void table_print(const struct table *table, FILE *out)
{
	int width[COLUMNS_MAX];
	unsigned int c;
	size_t i;

	for (c = 0; c < table->ncolumns; c++)
		width[c] = width_of(table, c);
	for (c = 0; c < table->ncolumns; c++)
		print_cell(table, c, width[c], table->columns[c].title, out);
	for (i = 0; i < table->nrows; i++) {
		for (c = 0; c < table->ncolumns; c++)
			print_cell(table, c, width[c], table->rows[i].cell[c], out);
	}
}

void print_screen(FILE *out, const char *text, unsigned int rows, unsigned int columns)
{
	unsigned int row;

	fputs(TO_TOP, out);
	for (row = 0; *text && row < rows; row++) {
		size_t length = strcspn(text, "\n");
		size_t shown = length < columns ? length : columns;

		/* no newline after the last row: it would scroll */
		fprintf(out, "%.*s" CLEAR_LINE "%s", (int)shown, text,
			row + 1 < rows ? "\r\n" : "");
		text += length + (text[length] == '\n');
	}
	fputs(CLEAR_BELOW, out);
	fflush(out);
}
