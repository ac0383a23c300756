// SPDX-License-Identifier: LGPL-2.1-or-later
#include "harness/harness.h"
#include "wire/wire.h"

#include <stddef.h>
#include <stdlib.h>

static void head_set(void *buf, uint32_t magic, uint16_t type, uint16_t size)
{
	struct ps_msg_head head = {.magic = magic, .type = type, .size = size};

	memcpy(buf, &head, sizeof(head));
}

static void version_set(void *buf, uint32_t version)
{
	memcpy((char *)buf + sizeof(struct ps_msg_head), &version, sizeof(version));
}

/* A heap copy of exactly len bytes, so that ASan sees a read behind the end. */
static int check_exact(const void *buf, uint32_t len)
{
	void *copy = malloc(len ? len : 1);
	int result;

	REQUIRE(copy);
	if (len)
		memcpy(copy, buf, len);
	result = ps_msg_check(copy, len);
	free(copy);
	return result;
}

static int check_message(uint32_t magic, unsigned int type, uint32_t size, uint32_t len)
{
	static char buf[4096];

	memset(buf, 0, sizeof(buf));
	head_set(buf, magic, (uint16_t)type, (uint16_t)size);
	version_set(buf, PS_WIRE_VERSION);
	return check_exact(buf, len);
}

TEST("each message type has a size and passes with exactly that size")
{
	for (unsigned int type = 1; type < PS_MSG_TYPE_END; type++) {
		uint32_t size = ps_msg_size(type);

		REQUIRE_GE(size, sizeof(struct ps_msg_head));
		CHECK_EQ(check_message(PS_WIRE_MAGIC, type, size, size), type);
	}
}

TEST("a message one byte longer or shorter than its type is refused, whatever it claims")
{
	for (unsigned int type = 1; type < PS_MSG_TYPE_END; type++) {
		uint32_t size = ps_msg_size(type);

		CHECK_EQ(check_message(PS_WIRE_MAGIC, type, size, size - 1), -EPROTO);
		CHECK_EQ(check_message(PS_WIRE_MAGIC, type, size, size + 1), -EPROTO);
		CHECK_EQ(check_message(PS_WIRE_MAGIC, type, size - 1, size - 1), -EPROTO);
		CHECK_EQ(check_message(PS_WIRE_MAGIC, type, size + 1, size + 1), -EPROTO);
		CHECK_EQ(check_message(PS_WIRE_MAGIC, type, 0, size), -EPROTO);
		CHECK_EQ(check_message(PS_WIRE_MAGIC, type, UINT16_MAX, size), -EPROTO);
	}
}

TEST("a message shorter than a head is refused and nothing behind its end is read")
{
	for (uint32_t len = 0; len < sizeof(struct ps_msg_head); len++)
		CHECK_EQ(check_message(PS_WIRE_MAGIC, PS_MSG_HELLO, len, len), -EPROTO);
}

TEST("an unknown type is refused and has no size")
{
	static const unsigned int unknown[] = {0, PS_MSG_TYPE_END, PS_MSG_TYPE_END + 1, UINT16_MAX};

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		CHECK_EQ(ps_msg_size(unknown[i]), 0);
		CHECK_EQ(check_message(PS_WIRE_MAGIC, unknown[i], 8, 8), -EPROTO);
	}
	CHECK_EQ(ps_msg_size(UINT32_MAX), 0);
}

TEST("a wrong magic is refused")
{
	uint32_t size = ps_msg_size(PS_MSG_OLD_GONE);

	CHECK_EQ(check_message(0, PS_MSG_OLD_GONE, size, size), -EPROTO);
	CHECK_EQ(check_message(PS_WIRE_MAGIC ^ 1, PS_MSG_OLD_GONE, size, size), -EPROTO);
	CHECK_EQ(check_message(__builtin_bswap32(PS_WIRE_MAGIC), PS_MSG_OLD_GONE, size, size),
		 -EPROTO);
}

TEST("a hello or welcome of another version is told so, even when its size differs too")
{
	static const unsigned int types[] = {PS_MSG_HELLO, PS_MSG_WELCOME};
	char buf[512];

	for (size_t i = 0; i < 2; i++) {
		uint32_t size = ps_msg_size(types[i]);

		memset(buf, 0, sizeof(buf));
		head_set(buf, PS_WIRE_MAGIC, (uint16_t)types[i], (uint16_t)size);
		version_set(buf, PS_WIRE_VERSION + 1);
		CHECK_EQ(check_exact(buf, size), -EPROTONOSUPPORT);
		CHECK_EQ(check_exact(buf, size + 8), -EPROTONOSUPPORT);
		CHECK_EQ(check_exact(buf, sizeof(struct ps_msg_head) + 4), -EPROTONOSUPPORT);
		CHECK_EQ(check_exact(buf, sizeof(struct ps_msg_head) + 3), -EPROTO);
	}
}

TEST("a message that is not aligned is read all the same")
{
	char buf[64] = {0};

	for (size_t at = 0; at < 8; at++) {
		head_set(buf + at, PS_WIRE_MAGIC, PS_MSG_OLD_GONE, sizeof(struct ps_msg_plain));
		CHECK_EQ(ps_msg_check(buf + at, sizeof(struct ps_msg_plain)), PS_MSG_OLD_GONE);
	}
}

TEST("a million random messages are refused or have exactly their type's size")
{
	uint64_t random = test_seed();
	char buf[256];

	for (int i = 0; i < 1000000; i++) {
		uint32_t len;
		int type;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		len = (random >> 33) % sizeof(buf);
		memset(buf, (int)(random >> 56), sizeof(buf));
		head_set(buf, random & 1 ? PS_WIRE_MAGIC : (uint32_t)random,
			 (random >> 40) % (PS_MSG_TYPE_END + 2),
			 random & 2 ? (uint16_t)len : (uint16_t)(random >> 24));
		type = ps_msg_check(buf, len);
		if (type >= 0)
			REQUIRE_EQ(ps_msg_size((unsigned int)type), len);
		else
			REQUIRE(type == -EPROTO || type == -EPROTONOSUPPORT);
	}
}

TEST("each cause has a name of its own in lower case, and an unknown one is called so")
{
	for (unsigned int i = 0; i < PS_CAUSE_END; i++) {
		const char *name = ps_cause_name(i);

		REQUIRE(name && *name);
		CHECK_EQ(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
		for (unsigned int j = 0; j < i; j++)
			CHECK(strcmp(name, ps_cause_name(j)) != 0);
	}
	CHECK_STR(ps_cause_name(PS_CAUSE_PINNED), "pinned");
	CHECK_STR(ps_cause_name(PS_CAUSE_END), "unknown");
	CHECK_STR(ps_cause_name(UINT32_MAX), "unknown");
}

static int name_check(const char *text)
{
	char name[PS_NAME_MAX] = {0};

	REQUIRE_LT(strlen(text), sizeof(name));
	memcpy(name, text, strlen(text));
	return ps_name_check(name);
}

TEST("a name is empty or made of letters, digits and . _ : @ - alone")
{
	CHECK_EQ(name_check(""), 0);
	CHECK_EQ(name_check("web-1.example:a@B_9"), 0);
	for (int c = 1; c < 256; c++) {
		char text[4] = {'a', (char)c, 'b', '\0'};
		bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || strchr("._:@-", c);

		CHECK_EQ(name_check(text), fine ? 0 : -EINVAL);
	}
}

TEST("a name that a path would swallow is refused")
{
	CHECK_EQ(name_check("."), -EINVAL);
	CHECK_EQ(name_check(".."), -EINVAL);
	CHECK_EQ(name_check("..."), 0);
}

TEST("a name without its NUL, or with bytes behind it, is refused")
{
	char name[PS_NAME_MAX];

	memset(name, 'a', sizeof(name));
	CHECK_EQ(ps_name_check(name), -EINVAL);
	name[PS_NAME_MAX - 1] = '\0';
	CHECK_EQ(ps_name_check(name), 0);
	name[3] = '\0';
	CHECK_EQ(ps_name_check(name), -EINVAL);
	memset(name, 0, sizeof(name));
	name[PS_NAME_MAX - 1] = 'a';
	CHECK_EQ(ps_name_check(name), -EINVAL);
}

#define AT(type, field) offsetof(struct type, field)

TEST("the layout is that of the version that it goes by: who moves a field changes the version")
{
	CHECK_EQ(PS_WIRE_VERSION, 4u);
	CHECK_EQ(PS_MSG_REHINT, 12);
	CHECK_EQ(sizeof(struct ps_msg_hello), 104u);
	CHECK_EQ(PS_MSG_SWAP, 19);
	CHECK_EQ(sizeof(struct ps_msg_config), 48u);
	CHECK_EQ(sizeof(struct ps_msg_target), 36u);
	CHECK_EQ(AT(ps_ring_map, down), 65728u);
	CHECK_EQ(AT(ps_ring_map, stats), 135168u);
	CHECK_EQ(AT(ps_ring_map, content), 139264u);
	CHECK_EQ(AT(ps_ring_map, picture), 139264u + (1u << 20));
	CHECK_EQ(AT(ps_picture, cell), 24u + PS_REGIONS_MAX * 16);
	CHECK_EQ(AT(ps_agent_stats, cpu_ns), 10u * 8);
	CHECK_EQ(AT(ps_agent_stats, faults), 20u * 8);
	CHECK_EQ(AT(ps_agent_stats, unseen), 21u * 8);
	CHECK_EQ(AT(ps_agent_stats, error), 23u * 8);
	CHECK_EQ(AT(ps_agent_stats, active), 33u * 8);
	CHECK_EQ(AT(ps_agent_stats, refused), 151u * 8);
}

TEST("causes are last in the figures, with room: a new one moves nothing")
{
	const struct ps_agent_stats *stats = NULL;

	CHECK_EQ(AT(ps_agent_stats, refused) + sizeof(stats->refused), sizeof(*stats));
	CHECK_GE(sizeof(stats->refused) / sizeof(stats->refused[0]), PS_CAUSE_END);
	CHECK_EQ(PS_CAUSE_ERROR, 14);
}
