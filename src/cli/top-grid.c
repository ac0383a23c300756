/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A screen before it is one: cells of a character and a style. Whatever is put beyond it is cut. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top.h"

#define LINE_MAX_ 512

int top_grid_resize(struct top_grid *g, unsigned int rows, unsigned int columns)
{
	struct top_cell *cell = calloc((size_t)rows * columns + 1, sizeof(*cell));

	free(g->cell);
	g->cell = cell;
	g->rows = cell ? rows : 0;
	g->columns = cell ? columns : 0;
	top_grid_clear(g);
	return cell ? 0 : -ENOMEM;
}

void top_grid_free(struct top_grid *g)
{
	free(g->cell);
	*g = (struct top_grid){0};
}

void top_grid_clear(struct top_grid *g)
{
	for (size_t i = 0; i < (size_t)g->rows * g->columns; i++)
		g->cell[i] = (struct top_cell){' ', STYLE_PLAIN};
}

void top_put_cell(struct top_grid *g, unsigned int row, unsigned int column, enum top_style style,
		  uint32_t c)
{
	if (row < g->rows && column < g->columns)
		g->cell[(size_t)row * g->columns + column] = (struct top_cell){c, (uint8_t)style};
}

/* ASCII alone: names are, and all words of ours. What is none is no danger to a terminal. */
unsigned int top_put(struct top_grid *g, unsigned int row, unsigned int column,
		     enum top_style style, const char *text)
{
	for (; *text; text++, column++)
		top_put_cell(g, row, column, style,
			     *text >= ' ' && *text < 0x7f ? (uint32_t)*text : '?');
	return column;
}

unsigned int top_print(struct top_grid *g, unsigned int row, unsigned int column,
		       enum top_style style, const char *format, ...)
{
	char line[LINE_MAX_];
	va_list list;

	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	return top_put(g, row, column, style, line);
}

void top_paint_row(struct top_grid *g, unsigned int row, enum top_style style)
{
	for (unsigned int c = 0; row < g->rows && c < g->columns; c++)
		g->cell[(size_t)row * g->columns + c].style = (uint8_t)style;
}

uint32_t top_bar(const struct top_grid *g, unsigned int level)
{
	static const char ascii[] = " .:-=+*#@";

	level = level < 8 ? level : 8;
	if (!g->wide)
		return (uint32_t)ascii[level];
	return level ? 0x2580 + level : ' '; /* lower blocks of an eighth to a whole */
}
