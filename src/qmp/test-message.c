/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects found in a stream, and what a message may be. */
#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "qmp/frame.h"
#include "qmp/message.h"

static int scan(const char *text, size_t *used)
{
	struct frame frame = {0};

	return frame_scan(&frame, text, strlen(text), used);
}

TEST("an object ends where its last brace is, and braces in strings are none")
{
	static const char text[] = " \r\n{\"a\": \"}\\\"}\", \"b\": [1, {}]}{\"next\": 1}";
	size_t used;

	REQUIRE_EQ(scan(text, &used), 1);
	CHECK_EQ(used, strlen(text) - strlen("{\"next\": 1}"));
}

TEST("an object may come in pieces of any size")
{
	static const char text[] = "{\"a\": \"x\\\\\", \"b\": {\"c\": [\"]\"]}}";
	struct frame frame = {0};
	size_t used;

	for (size_t i = 0; i + 1 < strlen(text); i++)
		REQUIRE_EQ(frame_scan(&frame, text + i, 1, &used), 0);
	CHECK_EQ(frame_scan(&frame, "}", 1, &used), 1);
	CHECK_EQ(frame.depth, 0);
}

TEST("what is no object is refused at its first byte, what is nested too deeply at the one too many")
{
	char deep[QMP_DEPTH_MAX + 2];
	size_t used;

	CHECK_EQ(scan("[1]", &used), -EPROTO);
	CHECK_EQ(scan("HTTP/1.1 200", &used), -EPROTO);
	CHECK_EQ(scan("}", &used), -EPROTO);
	memset(deep, '[', sizeof(deep));
	deep[0] = '{';
	deep[QMP_DEPTH_MAX] = '\0';
	CHECK_EQ(scan(deep, &used), 0);
	deep[QMP_DEPTH_MAX] = '[';
	deep[QMP_DEPTH_MAX + 1] = '\0';
	CHECK_EQ(scan(deep, &used), -E2BIG);
	CHECK_EQ(used, QMP_DEPTH_MAX + 1);
}

static int read_message(const char *text, struct qmp_message *message)
{
	return qmp_message_read(text, strlen(text), message);
}

TEST("each kind of message is known by its member")
{
	struct qmp_message m;

	REQUIRE_OK(read_message("{\"QMP\": {\"version\": {}, \"capabilities\": []}}", &m));
	CHECK_EQ(m.kind, QMP_GREETING);
	qmp_message_clear(&m);
	REQUIRE_OK(read_message("{\"return\": {\"actual\": 536870912}, \"id\": 7}", &m));
	CHECK_EQ(m.kind, QMP_RETURN);
	CHECK(m.has_id);
	CHECK_EQ(m.id, 7);
	qmp_message_clear(&m);
	REQUIRE_OK(read_message("{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1}}", &m));
	CHECK_EQ(m.kind, QMP_EVENT);
	CHECK_STR(m.name, "STOP");
	qmp_message_clear(&m);
	REQUIRE_OK(read_message("{\"error\": {\"class\": \"DeviceNotActive\", "
				"\"desc\": \"No balloon\\ndevice\\u0007\"}, \"id\": 1}",
				&m));
	CHECK_EQ(m.kind, QMP_ERROR);
	CHECK_STR(m.name, "DeviceNotActive");
	CHECK_STR(m.text, "No balloon?device?");
}

TEST("a message of no kind, of two, or of the wrong shape is refused")
{
	static const char *const bad[] = {
		"{}",
		"{\"return\": 1, \"event\": \"STOP\"}",
		"{\"error\": \"x\"}",
		"{\"error\": {\"class\": \"GenericError\"}}",
		"{\"event\": 5}",
		"{\"event\": \"STOP\", \"data\": [1]}",
		"{\"QMP\": 1}",
		"{\"return\": 1, \"id\": \"one\"}",
		"{\"return\": 1, \"id\": -5}",
		"{\"return\": 1, \"id\": 1.5}",
		"{\"return\": 1, \"return\": 2}",
		"{\"return\": 1} x",
		"{\"return\": \"\xff\xfe\"}",
		"[{\"return\": 1}]",
		"{\"return\": 1",
	};
	struct qmp_message m;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		printf("%s\n", bad[i]);
		CHECK_EQ(read_message(bad[i], &m), -EPROTO);
	}
}

TEST("a figure that QEMU does not know is unknown, however it is written")
{
	struct qmp_message m;
	uint64_t n = 0;

	REQUIRE_OK(read_message("{\"return\": {\"a\": 18446744073709551615, \"b\": -1, \"c\": 0, "
				"\"d\": 274877906944, \"e\": -2, \"f\": 0.5, \"g\": \"7\", "
				"\"h\": 1e300}, \"id\": 0}",
				&m));
	CHECK_OK(qmp_number(m.data, "a", &n));
	CHECK_EQ(n, QMP_UNKNOWN);
	n = 0;
	CHECK_OK(qmp_number(m.data, "b", &n));
	CHECK_EQ(n, QMP_UNKNOWN);
	CHECK_OK(qmp_number(m.data, "c", &n));
	CHECK_EQ(n, 0);
	CHECK_OK(qmp_number(m.data, "d", &n));
	CHECK_EQ(n, 1ull << 38);
	CHECK_OK(qmp_number(m.data, "h", &n));
	CHECK_EQ(n, QMP_UNKNOWN);
	CHECK_EQ(qmp_number(m.data, "e", &n), -ENOENT);
	CHECK_EQ(qmp_number(m.data, "f", &n), -ENOENT);
	CHECK_EQ(qmp_number(m.data, "g", &n), -ENOENT);
	CHECK_EQ(qmp_number(m.data, "none", &n), -ENOENT);
	CHECK_EQ(qmp_number(NULL, "a", &n), -ENOENT);
	qmp_message_clear(&m);
}

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

TEST("whatever the bytes are, they are read or refused, and nothing is lost")
{
	static const char seed[] =
		"{\"return\": [{\"name\": \"balloon0\", \"type\": \"child<virtio-balloon-pci>\"}, "
		"{\"stats\": {\"stat-free-memory\": 18446744073709551615}}], \"id\": 12}";
	uint64_t state = test_seed();
	char text[sizeof(seed)];

	for (int i = 0; i < 20000; i++) {
		struct frame frame = {0};
		struct qmp_message m;
		size_t used;

		memcpy(text, seed, sizeof(seed));
		for (unsigned int k = 0; k < 1 + next_random(&state) % 4; k++)
			text[next_random(&state) % (sizeof(seed) - 1)] = (char)next_random(&state);
		if (frame_scan(&frame, text, sizeof(seed) - 1, &used) == 1 &&
		    qmp_message_read(text, used, &m) == 0)
			qmp_message_clear(&m);
	}
}
