/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A terminal takes U+009B for ESC [, as UTF-8 or, if it is no UTF-8 terminal, as a byte; JSON takes
 * no byte that is no UTF-8. So what is let through is what is well formed by table 3-7 of the
 * Unicode standard and stands for something to be seen. Direction marks are let through: a name may
 * have them, and a line ends theirs.
 */
#include "policy/plain.h"

#include <stdbool.h>
#include <string.h>

/* Is it the second byte of such a sequence? Some first bytes allow fewer: no code point has two
 * encodings, none is a surrogate or beyond U+10FFFF. For C2 that leaves out U+0080 to U+009F. */
static bool may_be_second(unsigned char first, unsigned char second)
{
	unsigned char low = 0x80, high = 0xbf;

	if (first == 0xc2 || first == 0xe0)
		low = 0xa0;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf4)
		high = 0x8f;
	return second >= low && second <= high;
}

/* The bytes of the character at text that may be shown; 0: it is none. */
static size_t shown(const unsigned char *text, size_t n)
{
	size_t length = *text < 0x80 ? 1 :
			*text < 0xc2 ? 0 :
			*text < 0xe0 ? 2 :
			*text < 0xf0 ? 3 :
				       4;

	if (length == 1)
		return *text >= ' ' && *text != 0x7f;
	if (!length || *text > 0xf4 || length > n || !may_be_second(text[0], text[1]))
		return 0;
	for (size_t i = 2; i < length; i++)
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	return length;
}

void plain_bytes(char *text, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t length = shown((const unsigned char *)text + i, n - i);

		if (!length)
			text[i] = '?';
		i += length ? length : 1;
	}
}

void plain_text(char *text)
{
	plain_bytes(text, strlen(text));
}

bool plain_is(const char *text)
{
	size_t n = strlen(text), length;

	for (size_t i = 0; i < n; i += length) {
		length = shown((const unsigned char *)text + i, n - i);
		if (!length)
			return false;
	}
	return true;
}
