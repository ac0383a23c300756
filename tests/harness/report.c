// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a test says of itself: failures, with the values, and skips. Callable from any thread and
 * from any child of the test. */
#include "harness/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MEM_SHOWN 16 /* bytes shown around the first difference */

struct record *test_record;
bool test_debug;

__attribute__((format(printf, 3, 0))) static void failed_va(const char *file, int line,
							    const char *format, va_list args)
{
	unsigned int slot = atomic_fetch_add(&test_record->failures, 1);
	const char *name = strrchr(file, '/');

	if (slot < MESSAGES_MAX) {
		char *text = test_record->message[slot];
		int len = snprintf(text, MESSAGE_SIZE, "%s:%d: ", name ? name + 1 : file, line);

		vsnprintf(text + len, MESSAGE_SIZE - (size_t)len, format, args);
		if (test_debug)
			dprintf(STDERR_FILENO, "%s\n", text);
	}
}

void test_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	failed_va(file, line, format, args);
	va_end(args);
	_exit(EXIT_TEST_FAILED);
}

void test_note_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	failed_va(file, line, format, args);
	va_end(args);
}

void test_failed(bool end, const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	failed_va(file, line, format, args);
	va_end(args);
	if (end)
		_exit(EXIT_TEST_FAILED);
}

void test_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(test_record->skip_reason, REASON_SIZE, format, args);
	va_end(args);
	test_record->skipped = true;
	if (test_debug)
		dprintf(STDERR_FILENO, "skipped: %s\n", test_record->skip_reason);
	_exit(EXIT_TEST_SKIPPED);
}

static void value_text(char *text, size_t size, struct test_value v)
{
	if (v.kind == TEST_REAL)
		snprintf(text, size, "%.17g", v.real);
	else if (v.kind == TEST_SIGNED)
		snprintf(text, size, "%lld", v.s);
	else if (v.u < 4096)
		snprintf(text, size, "%llu", v.u);
	else
		snprintf(text, size, "%llu (0x%llx)", v.u, v.u);
}

static double value_real(struct test_value v)
{
	if (v.kind == TEST_REAL)
		return v.real;
	return v.kind == TEST_SIGNED ? (double)v.s : (double)v.u;
}

static __int128 value_whole(struct test_value v)
{
	return v.kind == TEST_SIGNED ? (__int128)v.s : (__int128)v.u;
}

/* -1, 0, 1; 2 if they cannot be ordered (NaN). */
static int value_order(struct test_value a, struct test_value b)
{
	if (a.kind == TEST_REAL || b.kind == TEST_REAL) {
		double x = value_real(a), y = value_real(b);

		if (x != x || y != y)
			return 2;
		return x < y ? -1 : x > y;
	}
	return value_whole(a) < value_whole(b) ? -1 : value_whole(a) > value_whole(b);
}

static bool holds(int order, enum test_op op)
{
	switch (op) {
	case TEST_EQ:
		return order == 0;
	case TEST_NE:
		return order != 0;
	case TEST_LT:
		return order == -1;
	case TEST_LE:
		return order == -1 || order == 0;
	case TEST_GT:
		return order == 1;
	case TEST_GE:
		return order == 0 || order == 1;
	}
	return false;
}

void test_compare(bool end, const char *file, int line, const char *a_text, struct test_value a,
		  enum test_op op, const char *b_text, struct test_value b)
{
	static const char *const sign[] = {"==", "!=", "<", "<=", ">", ">="};
	char a_shown[64], b_shown[64];

	if (holds(value_order(a, b), op))
		return;
	value_text(a_shown, sizeof(a_shown), a);
	value_text(b_shown, sizeof(b_shown), b);
	test_failed(end, file, line, "not so: %s %s %s: %s is not %s %s", a_text, sign[op], b_text,
		    a_shown, sign[op], b_shown);
}

void test_ok(bool end, const char *file, int line, const char *text, long long result)
{
	const char *name;

	if (result >= 0)
		return;
	name = result > -4096 ? strerrorname_np((int)-result) : NULL;
	test_failed(end, file, line, "%s failed: %lld (%s)", text, result, name ? name : "?");
}

void test_str(bool end, const char *file, int line, const char *a_text, const char *a,
	      const char *b_text, const char *b)
{
	if (a == b || (a && b && strcmp(a, b) == 0))
		return;
	test_failed(end, file, line, "not the same: %s is \"%s\", %s is \"%s\"", a_text,
		    a ? a : "(NULL)", b_text, b ? b : "(NULL)");
}

void test_in(bool end, const char *file, int line, const char *part, const char *text)
{
	if (part && text && strstr(text, part))
		return;
	test_failed(end, file, line, "\"%s\" is not in \"%s\"", part ? part : "(NULL)",
		    text ? text : "(NULL)");
}

static void hex(char *text, const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sprintf(text + 3 * i, "%02x ", bytes[i]);
	text[len ? 3 * len - 1 : 0] = '\0';
}

void test_mem(bool end, const char *file, int line, const char *a_text, const void *a,
	      const char *b_text, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;
	char x_hex[3 * MEM_SHOWN + 1], y_hex[3 * MEM_SHOWN + 1];
	size_t at = 0, shown;

	while (at < len && x[at] == y[at])
		at++;
	if (at == len)
		return;
	shown = len - at < MEM_SHOWN ? len - at : MEM_SHOWN;
	hex(x_hex, x + at, shown);
	hex(y_hex, y + at, shown);
	test_failed(end, file, line, "%s and %s differ from byte %zu of %zu: %s | %s", a_text,
		    b_text, at, len, x_hex, y_hex);
}
