/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plain: text that somebody else chose (the name of a file or a program, what a guest, a monitor or
 * a peer says) as part of a line of ours, which goes to a terminal, a journal or into JSON.
 */
#ifndef PSHARE_POLICY_PLAIN_H
#define PSHARE_POLICY_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

/* Each byte of a control character (up to U+001F, U+007F to U+009F), and each that is no UTF-8,
 * becomes '?', in place. The length stays, and n may hold NULs, which become '?' too. */
void plain_bytes(char *text, size_t n);
/* The same, up to the NUL. */
void plain_text(char *text);
/* Would plain_text() leave it as it is? */
bool plain_is(const char *text);

#endif
