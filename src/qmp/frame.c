/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU ends each object with a new line, but for a monitor with pretty=on, whose objects span many.
 * So objects are found by their braces. A brace within a string is none. Whether what is between
 * the braces is JSON is the parser's to say; here it is only seen that it ends, and that it is not
 * nested so deeply that a parser would need much stack.
 */
#include "qmp/frame.h"

#include <errno.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void scan_string(struct frame *frame, char c)
{
	if (frame->escaped)
		frame->escaped = false;
	else if (c == '\\')
		frame->escaped = true;
	else if (c == '"')
		frame->in_string = false;
}

/* One byte outside of strings. As frame_scan(). */
static int scan_plain(struct frame *frame, char c)
{
	if (!frame->depth && c != '{')
		return is_space(c) ? 0 : -EPROTO;
	switch (c) {
	case '"':
		frame->in_string = true;
		return 0;
	case '{':
	case '[':
		return ++frame->depth > QMP_DEPTH_MAX ? -E2BIG : 0;
	case '}':
	case ']':
		return --frame->depth == 0;
	default:
		return 0;
	}
}

int frame_scan(struct frame *frame, const char *bytes, size_t len, size_t *used)
{
	for (size_t i = 0; i < len; i++) {
		int r = 0;

		if (frame->in_string)
			scan_string(frame, bytes[i]);
		else
			r = scan_plain(frame, bytes[i]);
		if (r) {
			*used = i + 1;
			return r;
		}
	}
	*used = len;
	return 0;
}
