/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers are decoded as floating ones: QEMU writes 2^64-1 for a figure that it does not know, and
 * Jansson refuses a whole message for an integer beyond 63 bits. Sizes of memory are whole
 * multiples of something large, and exact.
 */
#include "qmp/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define INT63 9223372036854775808.0

static void take_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
	for (char *c = to; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
}

int qmp_number_of(const json_t *value, uint64_t *number)
{
	double real;

	if (!json_is_number(value))
		return -ENOENT;
	real = json_number_value(value);
	if (real == -1.0 || real >= INT63) {
		*number = QMP_UNKNOWN;
		return 0;
	}
	if (!(real >= 0) || real != (double)(uint64_t)real)
		return -ENOENT;
	*number = (uint64_t)real;
	return 0;
}

int qmp_number(const json_t *object, const char *key, uint64_t *number)
{
	return qmp_number_of(json_object_get(object, key), number);
}

int qmp_bool(const json_t *object, const char *key, bool *value)
{
	const json_t *found = json_object_get(object, key);

	if (!json_is_boolean(found))
		return -ENOENT;
	*value = json_is_true(found);
	return 0;
}

const char *qmp_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int read_error(const json_t *error, struct qmp_message *out)
{
	const char *class = qmp_text(error, "class"), *text = qmp_text(error, "desc");

	if (!class || !text)
		return -EPROTO;
	out->kind = QMP_ERROR;
	take_text(out->name, sizeof(out->name), class);
	take_text(out->text, sizeof(out->text), text);
	return 0;
}

static int read_event(const json_t *root, struct qmp_message *out)
{
	const char *name = qmp_text(root, "event");
	json_t *data = json_object_get(root, "data");

	if (!name || strlen(name) >= sizeof(out->name) || (data && !json_is_object(data)))
		return -EPROTO;
	out->kind = QMP_EVENT;
	take_text(out->name, sizeof(out->name), name);
	out->data = json_incref(data);
	return 0;
}

/* QEMU names every object by one member that is there in no other kind. */
static int read_kind(const json_t *root, struct qmp_message *out)
{
	json_t *answer = json_object_get(root, "return");
	const json_t *error = json_object_get(root, "error");
	const json_t *event = json_object_get(root, "event");
	const json_t *greeting = json_object_get(root, "QMP");

	if (!!answer + !!error + !!event + !!greeting != 1)
		return -EPROTO;
	if (error)
		return read_error(error, out);
	if (event)
		return read_event(root, out);
	out->kind = greeting ? QMP_GREETING : QMP_RETURN;
	out->data = json_incref(answer);
	return greeting && !json_is_object(greeting) ? -EPROTO : 0;
}

int qmp_message_read(const char *bytes, size_t len, struct qmp_message *out)
{
	struct qmp_message read = {.data = NULL};
	json_error_t error;
	json_t *root =
		json_loadb(bytes, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
	int r;

	if (!root)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EPROTO;
	r = json_is_object(root) ? read_kind(root, &read) : -EPROTO;
	if (r == 0 && json_object_get(root, "id")) {
		read.has_id = true;
		r = qmp_number(root, "id", &read.id) < 0 ? -EPROTO : 0;
	}
	json_decref(root);
	if (r < 0)
		qmp_message_clear(&read);
	else
		*out = read;
	return r;
}

void qmp_message_clear(struct qmp_message *message)
{
	json_decref(message->data);
	message->data = NULL;
}
