/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* screen: a grid on a terminal, and its keys. The only part of pshare that knows ncurses. */
#ifndef PSHARE_CLI_SCREEN_H
#define PSHARE_CLI_SCREEN_H

#include <stdint.h>

#include "cli/top.h"

/* 0, or an exit code, said: this terminal cannot do it. Then *g has its size. screen_end() sets the
 * terminal back, also where the process is ended by a signal. */
int screen_begin(struct top_grid *g);
void screen_end(void);
/* What changed of it is drawn; all: everything. */
void screen_show(const struct top_grid *g, bool all);
/* A key (enum top_key for what is no character), or 0 after so many ms. KEY_OF_RESIZE: *g has
 * another size, and is blank. False: the terminal has gone. */
bool screen_key(struct top_grid *g, int ms, uint32_t *key);

#endif
