/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * screen: by ncurses, which knows terminals, draws only what changed, and sets the terminal back
 * when a signal ends the process.
 *
 * Colour only where the terminal has some and NO_COLOR is not set; elsewhere bold, faint and
 * reverse tell the same. Characters beyond ASCII only where the locale is UTF-8.
 *
 * Ctrl-C is a key here (raw()), so that it ends as q does.
 */
#include "cli/screen.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#define NCURSES_WIDECHAR 1
#include <curses.h>

#include "cli/cli.h"
#include "sys/terminal.h"

#define ESC_MS 50

struct look {
	attr_t attributes; /* with and without colour */
	short colour;	   /* of the letters; -1: the terminal's own */
};

static const struct look looks[STYLE_END] = {
	[STYLE_PLAIN] = {A_NORMAL, -1},
	[STYLE_HEAD] = {A_REVERSE, -1},
	[STYLE_STRONG] = {A_BOLD, -1},
	[STYLE_FAINT] = {A_DIM, -1},
	[STYLE_CHOSEN] = {A_REVERSE | A_BOLD, -1},
	[STYLE_GOOD] = {A_NORMAL, COLOR_GREEN},
	[STYLE_WARN] = {A_BOLD, COLOR_YELLOW},
	[STYLE_BAD] = {A_BOLD, COLOR_RED},
	[STYLE_PICTURE + PS_PICTURE_OUTSIDE] = {A_NORMAL, -1},
	[STYLE_PICTURE + PS_PICTURE_NONE] = {A_DIM, -1},
	[STYLE_PICTURE + PS_PICTURE_PRIVATE] = {A_NORMAL, COLOR_WHITE},
	[STYLE_PICTURE + PS_PICTURE_LARGE] = {A_BOLD, COLOR_WHITE},
	[STYLE_PICTURE + PS_PICTURE_SHARED] = {A_NORMAL, COLOR_GREEN},
	[STYLE_PICTURE + PS_PICTURE_BROKEN] = {A_BOLD, COLOR_YELLOW},
	[STYLE_PICTURE + PS_PICTURE_ZERO] = {A_NORMAL, COLOR_CYAN},
	[STYLE_PICTURE + PS_PICTURE_STAGED] = {A_NORMAL, COLOR_BLUE},
	[STYLE_PICTURE + PS_PICTURE_TWIN] = {A_BOLD, COLOR_BLUE},
	[STYLE_PICTURE + PS_PICTURE_ZIPPED] = {A_NORMAL, COLOR_MAGENTA},
	[STYLE_PICTURE + PS_PICTURE_SWAPPED] = {A_BOLD, COLOR_RED},
};

static SCREEN *screen;
static bool coloured;

static void begin_colours(void)
{
	const char *no_color = getenv("NO_COLOR");

	coloured = has_colors() && !(no_color && *no_color) && start_color() == OK;
	if (!coloured)
		return;
	(void)use_default_colors();
	for (int i = 0; i < STYLE_END; i++)
		init_pair((short)(i + 1), looks[i].colour, -1);
}

int screen_begin(struct top_grid *g)
{
	const char *name = getenv("TERM");
	const char *place;

	name = name ? name : "";
	if (!term_is_terminal(0) || !term_is_terminal(1))
		return say_error(CLI_FAILED, "top: this is no terminal; use 'pshare top -b'");
	setlocale(LC_CTYPE, "");
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return say_error(CLI_FAILED,
				 "top: TERM '%.40s' is not known; set it, or use 'pshare top -b'",
				 name);
	place = tigetstr("cup");
	if (!place || place == (char *)-1) {
		screen_end();
		return say_error(CLI_FAILED,
				 "top: TERM '%.40s' cannot place text; use 'pshare top -b'", name);
	}
	g->wide = !strcmp(nl_langinfo(CODESET), "UTF-8");
	begin_colours();
	raw();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	set_escdelay(ESC_MS);
	curs_set(0);
	if (top_grid_resize(g, (unsigned int)LINES, (unsigned int)COLS)) {
		screen_end();
		return say_error(CLI_FAILED, "out of memory");
	}
	return CLI_OK;
}

void screen_end(void)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
}

static void show_cell(const struct top_cell *cell)
{
	const struct look *look = &looks[cell->style < STYLE_END ? cell->style : STYLE_PLAIN];
	wchar_t text[2] = {(wchar_t)cell->c, 0};
	short pair = coloured && look->colour >= 0 ? (short)(cell->style + 1) : 0;
	cchar_t glyph;

	setcchar(&glyph, text, look->attributes, pair, NULL);
	add_wch(&glyph);
}

void screen_show(const struct top_grid *g, bool all)
{
	if (all)
		clearok(curscr, TRUE);
	for (unsigned int row = 0; row < g->rows; row++) {
		move((int)row, 0);
		for (unsigned int c = 0; c < g->columns; c++)
			show_cell(&g->cell[(size_t)row * g->columns + c]);
	}
	refresh();
}

static uint32_t key_of(int key)
{
	switch (key) {
	case KEY_UP:
		return KEY_OF_UP;
	case KEY_DOWN:
		return KEY_OF_DOWN;
	case KEY_LEFT:
		return KEY_OF_LEFT;
	case KEY_RIGHT:
		return KEY_OF_RIGHT;
	case KEY_PPAGE:
		return KEY_OF_PAGE_UP;
	case KEY_NPAGE:
		return KEY_OF_PAGE_DOWN;
	case KEY_HOME:
		return KEY_OF_HOME;
	case KEY_END:
		return KEY_OF_END;
	case KEY_ENTER:
	case '\r':
	case '\n':
		return KEY_OF_ENTER;
	case KEY_BACKSPACE:
	case '\b':
	case 0x7f:
		return KEY_OF_BACKSPACE;
	case 0x1b:
		return KEY_OF_ESCAPE;
	case KEY_RESIZE:
		return KEY_OF_RESIZE;
	default:
		return key > 0 && key < 0x80 ? (uint32_t)key : 0;
	}
}

bool screen_key(struct top_grid *g, int ms, uint32_t *key)
{
	int pressed;

	timeout(ms);
	pressed = getch();
	*key = pressed == ERR ? 0 : key_of(pressed);
	if (*key == KEY_OF_RESIZE)
		return !top_grid_resize(g, (unsigned int)LINES, (unsigned int)COLS);
	return pressed != ERR || (term_is_terminal(0) && term_is_terminal(1));
}
