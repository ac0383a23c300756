/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list: head lines as on esxtop's memory screen, history, a row a VM; and the screens of help
 * and of fields. Sizes are MiB, which esxtop calls MB.
 */
#include <string.h>

#include "cli/top.h"

#define MIB (1024.0 * 1024.0)
#define CELL_WIDTH 32
#define NAME_WIDTH_MAX 24u

/* ---- head ----------------------------------------------------------------------------------- */

static enum top_style style_of(const char *state)
{
	static const enum top_style styles[] = {STYLE_GOOD, STYLE_GOOD, STYLE_WARN, STYLE_BAD,
						STYLE_BAD};
	int number = top_state_number(state);

	return number < 0 ? STYLE_PLAIN : styles[number];
}

const char *top_state_letter(unsigned int state)
{
	static const char *const letters[] = {"h", "c", "s", "H", "L"};

	return state < 5 ? letters[state] : "?";
}

static void draw_first(struct top_grid *g, const struct top_scene *scene)
{
	const struct top_host *h = &scene->sample->host;
	char clock[16] = "";
	long up = (long)h->uptime_s;

	strftime(clock, sizeof(clock), "%H:%M:%S", &scene->clock);
	if (!scene->there) {
		top_print(g, 0, 0, STYLE_BAD, "%s no daemon answers; waiting for one", clock);
		return;
	}
	top_print(
		g, 0, 0, STYLE_PLAIN,
		"%s up %ld:%02ld, %.0f VM%s in %.0f domain%s; MEM overcommit avg: %.2f, %.2f, %.2f",
		clock, up / 3600, up / 60 % 60, h->vms, h->vms == 1 ? "" : "s", h->domains,
		h->domains == 1 ? "" : "s", top_history_overcommit(scene->history, 60),
		top_history_overcommit(scene->history, 300),
		top_history_overcommit(scene->history, 900));
}

static void draw_head(struct top_grid *g, const struct top_scene *scene)
{
	const struct top_host *h = &scene->sample->host;
	double other = h->machine - h->machine_free - h->consumed;
	unsigned int column;

	draw_first(g, scene);
	top_print(g, 1, 0, STYLE_PLAIN, "PMEM  /MiB: %.0f total: %.0f VMs, %.0f other, %.0f free",
		  h->machine / MIB, h->consumed / MIB, other > 0 ? other / MIB : 0,
		  h->machine_free / MIB);
	column = top_print(g, 2, 0, STYLE_PLAIN,
			   "MEM   /MiB: %.0f managed: %.0f minfree, %.0f rsvd, %.0f ursvd, ",
			   h->managed / MIB, h->minfree / MIB, h->reserved / MIB,
			   h->unreserved / MIB);
	column = top_print(g, 2, column, style_of(h->state), "%s state", h->state);
	top_put(g, 2, column, STYLE_BAD, h->stalled ? ", stalled" : "");
	top_print(g, 3, 0, STYLE_PLAIN,
		  "PSHARE/MiB: %.1f shared, %.1f common: %.1f saving; %.1f zero, %.0f %% done",
		  h->shared / MIB, h->common / MIB, h->saving / MIB, h->zero / MIB, h->done * 100);
	top_print(g, 4, 0, STYLE_PLAIN, "MEMCTL/MiB: %.1f curr, %.1f target, %.1f max",
		  h->balloon / MIB, h->balloon_target / MIB, h->balloon_max / MIB);
	top_print(g, 5, 0, STYLE_PLAIN, "ZIP   /MiB: %.1f zipped, %.1f saved: %.2f z/s, %.2f u/s",
		  h->zipped / MIB, h->zipped > h->zip_bytes ? (h->zipped - h->zip_bytes) / MIB : 0,
		  h->zip / MIB, h->unzip / MIB);
	top_print(g, 6, 0, STYLE_PLAIN,
		  "SWAP  /MiB: %.1f curr, %.1f rclmtgt: %.2f r/s, %.2f w/s; %.1f staged, %.1f twin",
		  h->swapped / MIB, h->out_target / MIB, h->swap_read / MIB, h->swap_written / MIB,
		  h->staged / MIB, h->twin / MIB);
}

void top_draw_history(struct top_grid *g, unsigned int row, const struct top_history *h,
		      const char *what, bool states)
{
	static const enum top_style styles[] = {STYLE_GOOD, STYLE_GOOD, STYLE_WARN, STYLE_BAD,
						STYLE_BAD};
	unsigned int from = top_print(g, row, 0, STYLE_PLAIN, "%s ", what);
	unsigned int room = g->columns > from + 24 ? g->columns - from - 24 : 0;
	uint8_t level[TOP_HISTORY];
	double most, now = h->n ? (double)h->value[h->n - 1] : 0;
	uint32_t n = top_history_levels(h, room < TOP_HISTORY ? room : TOP_HISTORY, level, &most);

	for (uint32_t i = 0; i < n; i++) {
		unsigned int state = h->state[h->n - n + i];
		enum top_style style = state < 5 ? styles[state] : STYLE_PLAIN;

		top_put_cell(g, row, from + i, STYLE_STRONG, top_bar(g, level[i]));
		if (states)
			top_put(g, row + 1, from + i, style, top_state_letter(state));
	}
	top_print(g, row, from + n + 1, STYLE_PLAIN, "%.1f, most %.1f", now / MIB, most / MIB);
	if (states)
		top_print(g, row + 1, 0, STYLE_PLAIN, "STATE");
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void cell_text(char text[CELL_WIDTH], const struct top_vm *vm, unsigned int field)
{
	double value = vm->value[field];

	switch (top_fields[field].kind) {
	case TOP_TEXT:
		snprintf(text, CELL_WIDTH, "%.*s", (int)NAME_WIDTH_MAX,
			 field == TOP_NAME ? vm->name : vm->state);
		break;
	case TOP_SIZE:
		snprintf(text, CELL_WIDTH, "%.1f", value / MIB);
		break;
	case TOP_COUNT:
		snprintf(text, CELL_WIDTH, "%.0f", value);
		break;
	case TOP_PERCENT:
		snprintf(text, CELL_WIDTH, "%.1f", value);
		break;
	}
}

/* Columns are as wide as what is in them, in all rows: they stay when the list is scrolled. */
static unsigned int width_of(const struct top_sample *sample, unsigned int field)
{
	size_t width = strlen(top_fields[field].title);
	char text[CELL_WIDTH];

	for (size_t i = 0; i < sample->n; i++) {
		cell_text(text, &sample->vm[i], field);
		width = strlen(text) > width ? strlen(text) : width;
	}
	return (unsigned int)width;
}

struct layout {
	unsigned int field[TOP_FIELDS], at[TOP_FIELDS], width[TOP_FIELDS];
	unsigned int n;
	bool more; /* fields that do not fit */
};

/* NAME stays where it is; of the others those from the left-th on that fit whole. */
static void lay_out(struct layout *l, const struct top_grid *g, const struct top_state *s,
		    const struct top_sample *sample)
{
	unsigned int at = 0, hidden = s->left;

	*l = (struct layout){0};
	for (unsigned int i = 0; i < TOP_FIELDS; i++) {
		unsigned int width;

		if (i != TOP_NAME && !(s->shown >> i & 1))
			continue;
		if (i != TOP_NAME && hidden) {
			hidden--;
			continue;
		}
		width = width_of(sample, i);
		if (at + width > g->columns) {
			l->more = true;
			return;
		}
		l->field[l->n] = i;
		l->at[l->n] = at;
		l->width[l->n++] = width;
		at += width + 2;
	}
}

static void draw_title(struct top_grid *g, unsigned int row, const struct layout *l,
		       const struct top_state *s)
{
	top_paint_row(g, row, STYLE_HEAD);
	for (unsigned int c = 0; c < l->n; c++) {
		const struct top_field *field = &top_fields[l->field[c]];
		unsigned int len = (unsigned int)strlen(field->title);
		bool text = field->kind == TOP_TEXT;
		unsigned int at = l->at[c] + (text ? 0 : l->width[c] - len);
		unsigned int end = top_put(g, row, at, STYLE_HEAD, field->title);

		if (l->field[c] == s->sort)
			top_put_cell(g, row, text ? end : at - (at > 0), STYLE_HEAD,
				     s->reverse ? '^' : 'v');
	}
	if (l->more && g->columns)
		top_put_cell(g, row, g->columns - 1, STYLE_HEAD, '>');
}

static void draw_vm(struct top_grid *g, unsigned int row, const struct layout *l,
		    const struct top_vm *vm, bool chosen)
{
	enum top_style style = chosen ? STYLE_CHOSEN : STYLE_PLAIN;

	if (chosen)
		top_paint_row(g, row, style);
	for (unsigned int c = 0; c < l->n; c++) {
		char text[CELL_WIDTH];
		unsigned int at = l->at[c];

		cell_text(text, vm, l->field[c]);
		if (top_fields[l->field[c]].kind != TOP_TEXT)
			at += l->width[c] - (unsigned int)strlen(text);
		top_put(g, row, at, style, text);
	}
}

static void draw_list(struct top_grid *g, const struct top_scene *scene)
{
	const struct top_sample *sample = scene->sample;
	const struct top_state *s = scene->state;
	size_t rows = top_list_rows(g->rows);
	struct layout l;

	lay_out(&l, g, s, sample);
	draw_title(g, TOP_HEAD_ROWS, &l, s);
	if (!sample->n && scene->there)
		top_put(g, TOP_HEAD_ROWS + 1, 0, STYLE_FAINT,
			"no VM is here; start one: pshare run -- qemu-system-x86_64 ...");
	for (size_t i = 0; i < rows && s->first + i < sample->n; i++) {
		const struct top_vm *vm = &sample->vm[s->first + i];

		draw_vm(g, TOP_HEAD_ROWS + 1 + (unsigned int)i, &l, vm,
			*s->chosen && !strcmp(vm->name, s->chosen));
	}
}

/* ---- the other screens ---------------------------------------------------------------------- */

static void draw_choose(struct top_grid *g, const struct top_state *s)
{
	unsigned int half = g->columns / 2, rows = TOP_FIELDS / 2;

	top_put(g, 0, 0, STYLE_STRONG,
		"Fields: a letter shows or hides one, any other key goes back");
	for (unsigned int i = 0; i < TOP_FIELDS; i++) {
		const struct top_field *field = &top_fields[i];
		unsigned int column = i <= rows ? 0 : half;
		bool shown = s->shown >> i & 1;

		if (!field->letter)
			continue;
		top_print(g, 2 + (i - 1) % rows, column, shown ? STYLE_STRONG : STYLE_FAINT,
			  "%c %c %-8s %.*s", shown ? '*' : ' ', field->letter, field->title,
			  half > 15 ? (int)half - 15 : 0, field->text);
	}
}

static void draw_help(struct top_grid *g)
{
	static const char *const lines[] = {
		"pshare top: memory of the host and of its VMs. Sizes are MiB.",
		"",
		"space     look again now          s  seconds between looks",
		"f         choose fields           left, right  scroll fields",
		"up, down  choose a VM             PgUp, PgDn, Home, End",
		"p, Enter  what its memory is in, as a picture",
		"M B S N   sort by SIZE, MCTLSZ, SHRDSVD, NAME; again: the other way",
		"< >       sort by the field beside      r  the other way",
		"h, ?      this                    Ctrl-L  draw anew",
		"q         end",
		"",
		"PMEM    the host's memory: what VMs take, others, free",
		"MEM     what VMs may have: to be kept free, reserved, state",
		"PSHARE  shared guest memory, the frames behind it, what that saves",
		"MEMCTL  balloons    ZIP  compressed    SWAP  swapped, what is to be out",
		"SAVING  what was saved since this began; below it the state of memory:",
		"        h high, c clear, s soft, H hard, L low",
		"",
		"any key goes back",
	};

	for (unsigned int i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		top_put(g, i, 0, i ? STYLE_PLAIN : STYLE_STRONG, lines[i]);
}

static void draw_foot(struct top_grid *g, const struct top_state *s)
{
	unsigned int row = g->rows - 1;

	if (s->asking)
		top_print(g, row, 0, STYLE_STRONG, "Seconds between looks (now %g): %s_", s->delay,
			  s->prompt);
	else if (*s->message)
		top_put(g, row, 0, STYLE_STRONG, s->message);
	else if (s->screen == TOP_LIST)
		top_print(g, row, 0, STYLE_FAINT,
			  "every %g s  h help  f fields  p picture  s delay  q end", s->delay);
}

size_t top_list_rows(unsigned int rows)
{
	return rows > TOP_HEAD_ROWS + 2 ? rows - TOP_HEAD_ROWS - 2 : 0;
}

void top_draw(struct top_grid *g, const struct top_scene *scene)
{
	top_grid_clear(g);
	if (!g->rows || !g->columns)
		return;
	switch (scene->state->screen) {
	case TOP_CHOOSE:
		draw_choose(g, scene->state);
		break;
	case TOP_HELP:
		draw_help(g);
		break;
	case TOP_PICTURE:
		top_draw_picture(g, scene);
		break;
	case TOP_LIST:
		draw_head(g, scene);
		top_draw_history(g, 7, scene->history, "SAVING/MiB:", true);
		draw_list(g, scene);
		break;
	}
	draw_foot(g, scene->state);
}
