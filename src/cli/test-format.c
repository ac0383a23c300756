/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/format.h"

#include <stdlib.h>

#include "harness/harness.h"

static char *printed;
static size_t length;

static FILE *begin(void)
{
	FILE *out = open_memstream(&printed, &length);

	REQUIRE(out != NULL);
	return out;
}

TEST("a size is MiB with one digit, or bytes to the last one")
{
	char text[CELL_MAX];

	size_text(text, 0, false);
	CHECK_STR(text, "0.0");
	size_text(text, 512ull << 20, false);
	CHECK_STR(text, "512.0");
	size_text(text, UINT64_MAX, true);
	CHECK_STR(text, "18446744073709551615");
}

static const struct column columns[] = {{"NAME", false}, {"SIZE", true}, {"WHY", false}};

TEST("a column is as wide as its widest cell, numbers to the right, no blanks at the end")
{
	struct table *table = table_new(columns, 3);
	FILE *out = begin();

	REQUIRE(table != NULL);
	REQUIRE_OK(table_row(table));
	table_text(table, 0, "%s", "web-server");
	table_size(table, 1, 1 << 20, false);
	table_text(table, 2, "x");
	REQUIRE_OK(table_row(table));
	table_text(table, 0, "db");
	table_size(table, 1, 1234ull << 20, false);
	table_print(table, out);
	fclose(out);
	CHECK_STR(printed, "NAME          SIZE  WHY\n"
			   "web-server     1.0  x\n"
			   "db          1234.0  \n");
	free(printed);
	CHECK(table_free(table) == NULL);
}

TEST("a table takes many rows, and a text longer than a cell is cut")
{
	struct table *table = table_new(columns, 3);
	char text[2 * CELL_MAX];
	FILE *out = begin();
	int i;

	memset(text, 'n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (i = 0; i < 1000; i++) {
		REQUIRE_OK(table_row(table));
		table_text(table, 0, "%s", text);
	}
	table_print(table, out);
	fclose(out);
	CHECK_LT(1000 * (CELL_MAX - 1), length);
	CHECK_EQ(strspn(strchr(printed, '\n') + 1, "n"), CELL_MAX - 1);
	free(printed);
	table_free(table);
}

TEST("a screen is never scrolled and never wrapped, and what was below is cleared")
{
	FILE *out = begin();

	print_screen(out, "one\ntwo is long\nthree\nfour\n", 3, 5);
	fclose(out);
	CHECK_STR(printed, "\033[Hone\033[K\r\ntwo i\033[K\r\nthree\033[K\033[J");
	free(printed);
}
