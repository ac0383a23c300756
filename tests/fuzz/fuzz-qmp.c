// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a QEMU sends: cut into objects and read, in pieces of any size, with the members that we ask
 * for. A frame that is whole in one piece is whole in many, at the same byte.
 */
#include "fuzz/fuzz.h"
#include "qmp/frame.h"
#include "qmp/message.h"

static void read_members(const json_t *object)
{
	static const char *const keys[] = {
		"actual",  "stats",  "last-update", "stat-free-memory", "stat-available-memory",
		"running", "status", "size"};
	const char *key;
	json_t *value;
	uint64_t number;
	bool is;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		(void)qmp_number(object, keys[i], &number);
		(void)qmp_bool(object, keys[i], &is);
		(void)qmp_text(object, keys[i]);
	}
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		number = 0;
		if (qmp_number_of(value, &number) == 0)
			fuzz_check(number == QMP_UNKNOWN || number <= INT64_MAX);
		if (json_is_object(value))
			read_members(value);
	}
}

static void read_object(const char *bytes, size_t len)
{
	struct qmp_message message = {0};

	if (qmp_message_read(bytes, len, &message) < 0)
		return;
	fuzz_check(memchr(message.name, 0, sizeof(message.name)));
	fuzz_check(memchr(message.text, 0, sizeof(message.text)));
	for (const char *c = message.text; *c; c++)
		fuzz_check((unsigned char)*c >= ' ' && *c != 0x7f);
	if (json_is_object(message.data))
		read_members(message.data);
	qmp_message_clear(&message);
}

/* The length of the first object, in steps of at most so many bytes; 0: none, or an error. */
static size_t scan(const char *bytes, size_t len, size_t step)
{
	struct frame frame = {0};
	size_t at = 0;

	while (at < len) {
		size_t n = len - at < step ? len - at : step, used = 0;
		int r = frame_scan(&frame, bytes + at, n, &used);

		fuzz_check(used <= n);
		at += used;
		if (r != 0)
			return r > 0 ? at : 0;
		fuzz_check(used == n);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;

	while (size) {
		size_t whole = scan(bytes, size, size);

		fuzz_check(whole == scan(bytes, size, 1));
		fuzz_check(whole == scan(bytes, size, 7));
		read_object(bytes, whole ? whole : size);
		if (!whole)
			break;
		bytes += whole;
		size -= whole;
	}
	return 0;
}
