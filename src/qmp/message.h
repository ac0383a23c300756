/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * message: one object that QEMU (or whoever pretends to be it) sent, checked. Pure: bytes in, a
 * verdict out. What it lets through has the shape of its kind, no more: whether the numbers in it
 * make sense is for who asked.
 */
#ifndef PSHARE_QMP_MESSAGE_H
#define PSHARE_QMP_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QMP_NAME_MAX 64u  /* of an event, an error's class, with its NUL */
#define QMP_TEXT_MAX 160u /* of an error's text */
#define QMP_UNKNOWN UINT64_MAX

enum qmp_kind { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

struct qmp_message {
	enum qmp_kind kind;
	bool has_id; /* RETURN, ERROR */
	uint64_t id;
	char name[QMP_NAME_MAX]; /* EVENT: its name; ERROR: its class */
	char text[QMP_TEXT_MAX]; /* ERROR: what QEMU says, fit to print: one line, printable */
	json_t *data; /* RETURN, EVENT (or NULL): the caller's, see qmp_message_clear() */
};

/* 0; -EPROTO: that is no message of QMP; -ENOMEM. */
int qmp_message_read(const char *bytes, size_t len, struct qmp_message *out);
void qmp_message_clear(struct qmp_message *message);

/* Members of an object, of any age of QEMU: -ENOENT where there is none of that name and type.
 * Numbers are whole and not negative; above 2^53 they are rounded; what does not fit 63 bits reads
 * as QMP_UNKNOWN, which QEMU itself writes for "unknown" (2^64-1, or -1). */
int qmp_number(const json_t *object, const char *key, uint64_t *number);
int qmp_bool(const json_t *object, const char *key, bool *value);
const char *qmp_text(const json_t *object, const char *key); /* NULL: none */
/* A value that is a number by itself (an answer of qom-get). */
int qmp_number_of(const json_t *value, uint64_t *number);

#endif
