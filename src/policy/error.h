/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * error: one clear line for whoever typed the value: what is wrong, which value, what would do.
 *
 * Every parser of this folder takes a buffer of POLICY_ERROR_MAX bytes for it. The line is always
 * NUL terminated, has no newline, no control character, and never holds a secret.
 */
#ifndef PSHARE_POLICY_ERROR_H
#define PSHARE_POLICY_ERROR_H

#include <stddef.h>

#define POLICY_ERROR_MAX 256u
#define POLICY_SHOWN_MAX 40u /* characters of a bad value that a line repeats */

/* printf into err (POLICY_ERROR_MAX bytes; NULL is allowed); returns -EINVAL to return at once. */
int policy_error(char *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Copies at most POLICY_SHOWN_MAX characters of text into out, control characters and bytes above
 * 126 as '?', "..." at the end if text was longer. Returns out. */
char *policy_shown(char out[POLICY_SHOWN_MAX + 4], const char *text, size_t len);

#endif
