/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM's memory as a picture in characters: from left to right and from top to bottom, each the
 * same stretch of its pages, with the letter of what most of its memory is in (GET
 * /v1/vms/NAME/picture). Cells are joined until they fit. A character is faint where less than
 * half of its pages are in that state.
 */
#include <string.h>

#include "cli/top.h"
#include "policy/picture.h"

#define MIB (1024.0 * 1024.0)
#define FAINT_BELOW (PS_PICTURE_PARTS / 2)
#define FIRST_ROW 3u

static unsigned int state_of(char letter)
{
	for (unsigned int s = 0; s < PS_PICTURE_STATES; s++)
		if (ps_picture_letter(s) == letter)
			return s;
	return PS_PICTURE_OUTSIDE;
}

static unsigned int part_of(char digit)
{
	const char *digits = "0123456789abcdef", *at = digit ? strchr(digits, digit) : NULL;

	return at ? (unsigned int)(at - digits) : 0;
}

/* All regions, one behind the other. Returns the cells. */
static uint32_t read_cells(const json_t *picture, uint8_t cell[PS_PICTURE_CELLS])
{
	const json_t *regions = json_object_get(picture, "regions");
	uint32_t n = 0;

	for (size_t r = 0; r < json_array_size(regions); r++) {
		const json_t *region = json_array_get(regions, r);
		const char *states = json_string_value(json_object_get(region, "states"));
		const char *parts = json_string_value(json_object_get(region, "parts"));

		for (size_t i = 0; states && parts && states[i] && parts[i]; i++)
			if (n < PS_PICTURE_CELLS)
				cell[n++] = PS_PICTURE_CELL(state_of(states[i]), part_of(parts[i]));
	}
	return n;
}

/* Percent of what is no hole, by state: cells weighted by their parts. */
static void count(const uint8_t *cell, uint32_t n, double percent[PS_PICTURE_STATES])
{
	double all = 0, of[PS_PICTURE_STATES] = {0};

	for (uint32_t i = 0; i < n; i++) {
		unsigned int state = cell[i] >> 4, part = cell[i] & 15;

		if (state == PS_PICTURE_OUTSIDE || state >= PS_PICTURE_STATES)
			continue;
		of[state] += part;
		of[PS_PICTURE_NONE] += state == PS_PICTURE_NONE ? 0 : PS_PICTURE_PARTS - part;
		all += PS_PICTURE_PARTS;
	}
	for (unsigned int s = 0; s < PS_PICTURE_STATES; s++)
		percent[s] = all > 0 ? of[s] * 100 / all : 0;
}

/* Returns the row behind it. */
static unsigned int draw_legend(struct top_grid *g, unsigned int row,
				const double percent[PS_PICTURE_STATES])
{
	unsigned int column = 0;

	for (unsigned int s = PS_PICTURE_NONE; s < PS_PICTURE_STATES; s++) {
		char text[48];

		snprintf(text, sizeof(text), " %s %.0f%%  ", ps_picture_name(s), percent[s]);
		if (column && column + 1 + strlen(text) > g->columns) {
			column = 0;
			row++;
		}
		top_put_cell(g, row, column, (enum top_style)(STYLE_PICTURE + s),
			     (uint32_t)ps_picture_letter(s));
		column = top_put(g, row, column + 1, STYLE_PLAIN, text);
	}
	return row + 1;
}

static void draw_cells(struct top_grid *g, unsigned int row, const uint8_t *cell, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		unsigned int state = cell[i] >> 4, part = cell[i] & 15;
		enum top_style style = (enum top_style)(STYLE_PICTURE + state);

		if (state >= PS_PICTURE_STATES)
			continue;
		if (part < FAINT_BELOW && state != PS_PICTURE_NONE)
			style = STYLE_FAINT;
		top_put_cell(g, row + i / g->columns, i % g->columns, style,
			     (uint32_t)ps_picture_letter(state));
	}
}

static void draw_title(struct top_grid *g, const struct top_scene *scene, double cell_bytes,
		       uint32_t joined)
{
	const struct top_sample *sample = scene->sample;
	const struct top_vm *vm = sample->n ? &sample->vm[top_chosen(scene->state, sample)] : NULL;
	const json_t *drawn = json_object_get(scene->picture, "age_s");
	char age[40] = "";

	/* nearly none is drawn while nobody looks, so the first may be of long ago */
	if (json_is_number(drawn))
		snprintf(age, sizeof(age), "; drawn %.0f s ago", json_number_value(drawn));
	if (!scene->there) {
		top_put(g, 0, 0, STYLE_BAD, "no daemon answers; waiting for one");
		return;
	}
	if (!vm) {
		top_put(g, 0, 0, STYLE_STRONG, "no VM is here");
		return;
	}
	top_print(g, 0, 0, STYLE_STRONG, "%s: %.0f MiB, %s; a character is %.0f KiB%s", vm->name,
		  vm->value[top_field_find("SIZE")] / MIB, vm->state, cell_bytes * joined / 1024,
		  age);
}

void top_draw_picture(struct top_grid *g, const struct top_scene *scene)
{
	uint8_t cell[PS_PICTURE_CELLS], fits[PS_PICTURE_CELLS];
	double percent[PS_PICTURE_STATES] = {0};
	double bytes = json_number_value(json_object_get(scene->picture, "cell_bytes"));
	uint32_t n = scene->picture ? read_cells(scene->picture, cell) : 0, room, joined = 1;
	unsigned int row;

	count(cell, n, percent);
	row = draw_legend(g, FIRST_ROW - 1, percent);
	room = g->rows > row + 1 ? (g->rows - row - 1) * g->columns : 0;
	room = room < PS_PICTURE_CELLS ? room : PS_PICTURE_CELLS;
	if (n && room) {
		n = picture_join(cell, n, fits, room, &joined);
		draw_cells(g, row, fits, n);
	} else if (!n) {
		top_put(g, row, 0, STYLE_FAINT, "there is no picture of it yet");
	}
	draw_title(g, scene, bytes, joined);
	if (scene->trace)
		top_draw_history(g, 1, scene->trace, "SHRDSVD/MiB:", false);
}
