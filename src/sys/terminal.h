/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The terminal: its size, keys without Enter, and setting it back as it was. */
#ifndef PSHARE_SYS_TERMINAL_H
#define PSHARE_SYS_TERMINAL_H

#include <stdbool.h>

bool term_is_terminal(int fd);

/* Rows and columns of standard output's terminal; 24 and 80 where it does not say. */
void term_size(unsigned int *rows, unsigned int *columns);

/* From now on keys come one by one and unseen, the cursor is hidden, and SIGINT, SIGTERM, SIGHUP
 * and SIGWINCH are reported by term_wait() instead of ending the process. 0 or -errno.
 * term_restore() undoes it all. */
int term_begin(void);
void term_restore(void);

enum term_event { TERM_TIMEOUT, TERM_KEY, TERM_RESIZED, TERM_END };

/* Waits for at most ms. TERM_KEY: *key is the byte. TERM_END: a signal asks to end, or the
 * terminal has gone. */
enum term_event term_wait(int ms, char *key);

#endif
