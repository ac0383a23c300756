/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* format: sizes as text, and tables whose columns fit. Pure but for the stream that is given. */
#ifndef PSHARE_CLI_FORMAT_H
#define PSHARE_CLI_FORMAT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CELL_MAX 128 /* bytes of a cell with its NUL; a longer text is cut */
#define COLUMNS_MAX 26

/* "512.0" MiB, or "536870912" bytes. */
void size_text(char text[CELL_MAX], uint64_t bytes, bool in_bytes);
/* "256", "256M", "1G" in bytes; a number alone is MiB, as QEMU's -m has it. 0 or -EINVAL. */
int size_parse(const char *text, uint64_t *bytes);
const char *size_unit(bool in_bytes); /* "MiB" or "bytes" */

struct column {
	const char *title;
	bool right; /* aligned; numbers are */
};

struct table;

/* columns: of a static lifetime, n <= COLUMNS_MAX. NULL: no memory. */
struct table *table_new(const struct column *columns, unsigned int n);
struct table *table_free(struct table *table); /* takes NULL, returns NULL */
/* A row of empty cells; 0 or -ENOMEM. Then its cells, by column. */
int table_row(struct table *table);
void table_text(struct table *table, unsigned int column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void table_size(struct table *table, unsigned int column, uint64_t bytes, bool in_bytes);
void table_print(const struct table *table, FILE *out);

/* Prints text to out so that it fills a terminal of this size from its top: at most rows lines,
 * each cut at columns bytes, the rest of the screen cleared. */
void print_screen(FILE *out, const char *text, unsigned int rows, unsigned int columns);

#endif
