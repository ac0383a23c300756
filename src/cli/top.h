/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * top: what the parts of `pshare top` share. All of them but cmd-top.c and screen.c are pure: from
 * what a daemon said and what keys were pressed to a grid of characters, or to a line of CSV.
 */
#ifndef PSHARE_CLI_TOP_H
#define PSHARE_CLI_TOP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "wire/wire.h"

/* ---- fields (top-fields.c) ------------------------------------------------------------------ */

enum top_kind {
	TOP_TEXT,
	TOP_SIZE,    /* bytes, shown in MiB */
	TOP_COUNT,   /* as it is; -1: no limit */
	TOP_PERCENT, /* 0 to 100 */
};

/* Titles are those of `pshare list` and `list --mem`, which are esxtop's. */
struct top_field {
	const char *title;
	enum top_kind kind;
	const char *part; /* object of the VM that has it; NULL: the VM itself */
	const char *key;
	const char *text; /* what it is, in half a line */
	char letter;	  /* of the screen that chooses fields */
	bool shown;	  /* at first */
};

enum { TOP_NAME, TOP_STATE, TOP_FIELDS = 32 };
extern const struct top_field top_fields[TOP_FIELDS];
/* By its title; TOP_FIELDS: there is none. */
unsigned int top_field_find(const char *title);

/* ---- a look (top-sample.c) ------------------------------------------------------------------ */

#define TOP_STATE_MAX 12

struct top_vm {
	char name[PS_NAME_MAX];
	char state[TOP_STATE_MAX]; /* "sharing", "held", "reclaim", ... */
	long pid;
	double value[TOP_FIELDS];
	double active_slow, active_fast, active_now;
};

struct top_host {
	char state[TOP_STATE_MAX];
	double vms, domains, uptime_s;
	/* bytes */
	double machine, machine_free;  /* of the host, whatever a budget says */
	double managed, free, minfree; /* of what counts */
	double consumed, reserved, unreserved;
	double shared, common, saving, zero, metadata;
	double balloon, balloon_target, balloon_max;
	double staged, twin, zipped, zip_bytes, swapped, out_target;
	double swap_read, swap_written, zip, unzip; /* a second */
	double size;				    /* of all VMs */
	double done;				    /* 0 to 1: how far sharing has come */
	bool stalled, budget;
};

struct top_sample {
	struct top_host host;
	struct top_vm *vm;
	size_t n;
};

/* From GET /v1/status and GET /v1/vms. 0 or -ENOMEM; what an answer lacks is 0. */
int top_sample_read(struct top_sample *out, const json_t *status, const json_t *vms);
void top_sample_free(struct top_sample *sample);
/* Number of a state, high to low 0 to 4; -1: none of them. */
int top_state_number(const char *state);

/* ---- history (top-history.c) ---------------------------------------------------------------- */

#define TOP_HISTORY 512u

/* The last TOP_HISTORY looks, oldest first. */
struct top_history {
	uint32_t n;
	double at[TOP_HISTORY]; /* seconds, of a clock that only goes forward */
	float value[TOP_HISTORY];
	uint8_t state[TOP_HISTORY];
	double overcommit[TOP_HISTORY];
};

void top_history_note(struct top_history *h, double at, double value, int state, double overcommit);
/* The saving of the host. */
void top_history_add(struct top_history *h, double at, const struct top_host *host);
/* Sizes of VMs over what is managed, less one; not below 0. */
double top_overcommit(const struct top_host *host);
/* The mean of the last so many seconds, each look weighted by how long it was true. */
double top_history_overcommit(const struct top_history *h, double seconds);
/* The last width values as levels 0 to 8, of the largest of them; *most: that. Returns how many. */
uint32_t top_history_levels(const struct top_history *h, uint32_t width, uint8_t *level,
			    double *most);

/* One VM's SHRDSVD, kept while it is there. */
struct top_trace {
	char name[PS_NAME_MAX];
	struct top_history history;
};

/* ---- the grid (top-grid.c) ------------------------------------------------------------------ */

enum top_style {
	STYLE_PLAIN,
	STYLE_HEAD, /* of columns */
	STYLE_STRONG,
	STYLE_FAINT,
	STYLE_CHOSEN,  /* the row that keys go to */
	STYLE_GOOD,    /* states of memory: high, clear */
	STYLE_WARN,    /* soft */
	STYLE_BAD,     /* hard, low */
	STYLE_PICTURE, /* + enum ps_picture_state */
	STYLE_END = STYLE_PICTURE + PS_PICTURE_STATES
};

struct top_cell {
	uint32_t c; /* Unicode */
	uint8_t style;
};

struct top_grid {
	unsigned int rows, columns;
	bool wide; /* the terminal shows Unicode; else all is ASCII */
	struct top_cell *cell;
};

/* Blank. 0 or -ENOMEM; then there is none of it. */
int top_grid_resize(struct top_grid *g, unsigned int rows, unsigned int columns);
void top_grid_free(struct top_grid *g);
void top_grid_clear(struct top_grid *g);
/* What does not fit is cut. Returns the column behind it. */
unsigned int top_put(struct top_grid *g, unsigned int row, unsigned int column,
		     enum top_style style, const char *text);
unsigned int top_print(struct top_grid *g, unsigned int row, unsigned int column,
		       enum top_style style, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void top_put_cell(struct top_grid *g, unsigned int row, unsigned int column, enum top_style style,
		  uint32_t c);
/* The whole row, what stands there too. */
void top_paint_row(struct top_grid *g, unsigned int row, enum top_style style);
/* A level of 0 to 8 as a character. */
uint32_t top_bar(const struct top_grid *g, unsigned int level);

/* ---- what is on the screen (top-state.c) ---------------------------------------------------- */

enum top_screen { TOP_LIST, TOP_CHOOSE, TOP_HELP, TOP_PICTURE };

/* Keys that are no character. */
enum top_key {
	KEY_OF_UP = 0x110000,
	KEY_OF_DOWN,
	KEY_OF_LEFT,
	KEY_OF_RIGHT,
	KEY_OF_PAGE_UP,
	KEY_OF_PAGE_DOWN,
	KEY_OF_HOME,
	KEY_OF_END,
	KEY_OF_ENTER,
	KEY_OF_ESCAPE,
	KEY_OF_BACKSPACE,
	KEY_OF_RESIZE,
};

#define TOP_DELAY_MIN 1.0
#define TOP_DELAY_MAX 86400.0
#define TOP_PROMPT_MAX 16

struct top_state {
	enum top_screen screen;
	uint32_t shown; /* a bit for each field */
	unsigned int sort;
	bool reverse;
	double delay;
	char chosen[PS_NAME_MAX]; /* the VM that keys go to */
	size_t first;		  /* row of the list at its top */
	unsigned int left;	  /* fields that are scrolled out to the left */
	bool asking;		  /* for a delay */
	char prompt[TOP_PROMPT_MAX];
	char message[80]; /* until the next key */
	bool refresh, redraw, quit;
};

void top_state_init(struct top_state *s, double delay);
/* Sorts the sample as the state says; equal ones by name. */
void top_sort(const struct top_state *s, struct top_sample *sample);
/* The place of the chosen VM in the sample; the first where it is gone. 0 if there is none. */
size_t top_chosen(const struct top_state *s, const struct top_sample *sample);
/* rows: that the list has room for. */
void top_key(struct top_state *s, uint32_t key, const struct top_sample *sample, size_t rows);

/* ---- drawing (top-draw.c, top-picture.c) ---------------------------------------------------- */

#define TOP_HEAD_ROWS 10u

struct top_scene {
	const struct top_state *state;
	const struct top_sample *sample;   /* sorted */
	const struct top_history *history; /* of the host */
	const struct top_history *trace;   /* of the chosen VM, or NULL */
	const json_t *picture;		   /* of it: GET /v1/vms/NAME/picture; NULL: none */
	struct tm clock;
	bool there; /* a daemon answers */
};

/* Rows of VMs that a screen of so many rows has room for. */
size_t top_list_rows(unsigned int rows);
void top_draw(struct top_grid *g, const struct top_scene *scene);
void top_draw_picture(struct top_grid *g, const struct top_scene *scene);
void top_draw_history(struct top_grid *g, unsigned int row, const struct top_history *h,
		      const char *what, bool states);
const char *top_state_letter(unsigned int state); /* "h", "c", "s", "H", "L" */

/* ---- batch (top-csv.c) ---------------------------------------------------------------------- */

/* The header: columns for the VMs of this sample, which stay the columns. */
void top_csv_head(FILE *out, const char *host, const struct top_sample *sample);
/* A line. The columns are those of begun: a VM that has gone has empty ones, a new one none. */
void top_csv_line(FILE *out, const struct tm *utc, const struct top_sample *begun,
		  const struct top_sample *now, const struct top_history *history);

#endif
