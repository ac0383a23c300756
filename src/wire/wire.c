// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The decoder of control messages. It is pure: bytes in, a verdict out. It reads nothing beyond
 * the length that it was given, believes no length field before it was compared with what really
 * arrived, and needs no alignment. What it lets through has exactly the size of its type; whether
 * the fields make sense is for the receiver, who alone knows what was agreed.
 *
 * The version is looked at before the size, and stands at the same place in HELLO and WELCOME for
 * ever: a peer of another version, whose messages may be longer, is told so and not "broken".
 */
#include "wire/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const uint16_t msg_sizes[PS_MSG_TYPE_END] = {
	[PS_MSG_HELLO] = sizeof(struct ps_msg_hello),
	[PS_MSG_WELCOME] = sizeof(struct ps_msg_welcome),
	[PS_MSG_REFUSE] = sizeof(struct ps_msg_refuse),
	[PS_MSG_CONFIG] = sizeof(struct ps_msg_config),
	[PS_MSG_DOMAIN] = sizeof(struct ps_msg_domain),
	[PS_MSG_LEAVE] = sizeof(struct ps_msg_leave),
	[PS_MSG_LEFT] = sizeof(struct ps_msg_leave),
	[PS_MSG_REGION_ADD] = sizeof(struct ps_msg_region),
	[PS_MSG_REGION_DEL] = sizeof(struct ps_msg_region),
	[PS_MSG_REGION_REFUSED] = sizeof(struct ps_msg_region),
	[PS_MSG_OLD_GONE] = sizeof(struct ps_msg_plain),
	[PS_MSG_REHINT] = sizeof(struct ps_msg_plain),
	[PS_MSG_QMP_WANT] = sizeof(struct ps_msg_plain),
	[PS_MSG_QMP] = sizeof(struct ps_msg_qmp),
	[PS_MSG_HELD] = sizeof(struct ps_msg_qmp),
	[PS_MSG_FORK] = sizeof(struct ps_msg_fork),
	[PS_MSG_FROZEN] = sizeof(struct ps_msg_frozen),
	[PS_MSG_CHILD] = sizeof(struct ps_msg_child),
	[PS_MSG_IMAGE] = sizeof(struct ps_msg_child),
	[PS_MSG_BORN] = sizeof(struct ps_msg_child),
	[PS_MSG_TARGET] = sizeof(struct ps_msg_target),
	[PS_MSG_SWAP] = sizeof(struct ps_msg_swap),
};

static const char *const cause_names[PS_CAUSE_END] = {
	[PS_CAUSE_NONE] = "none",
	[PS_CAUSE_CHANGED] = "changed",
	[PS_CAUSE_GONE] = "gone",
	[PS_CAUSE_PINNED] = "pinned",
	[PS_CAUSE_LARGE] = "large",
	[PS_CAUSE_MAPPINGS] = "mappings",
	[PS_CAUSE_QUARANTINE] = "quarantine",
	[PS_CAUSE_FOREIGN] = "foreign",
	[PS_CAUSE_HUGETLB] = "hugetlb",
	[PS_CAUSE_SHARED] = "shared",
	[PS_CAUSE_LOCKED] = "locked",
	[PS_CAUSE_FILE] = "file",
	[PS_CAUSE_NO_MEMORY] = "no-memory",
	[PS_CAUSE_LIMIT] = "limit",
	[PS_CAUSE_ERROR] = "error",
	[PS_CAUSE_MEMFD] = "memfd",
	[PS_CAUSE_DEVICE] = "device",
	[PS_CAUSE_ACCESS] = "access",
	[PS_CAUSE_USERFAULTFD] = "userfaultfd",
	[PS_CAUSE_KERNEL] = "kernel",
	[PS_CAUSE_RLIMIT_AS] = "rlimit-as",
	[PS_CAUSE_RLIMIT_FSIZE] = "rlimit-fsize",
	[PS_CAUSE_NOT_OFFERED] = "not-offered",
	[PS_CAUSE_DISABLED] = "disabled",
	[PS_CAUSE_RATE] = "rate",
	[PS_CAUSE_SALT] = "salt",
	[PS_CAUSE_NO_SALT] = "no-salt",
	[PS_CAUSE_STOPPED] = "stopped",
};

/* What both sides lay over the same bytes must not depend on who compiled it. */
_Static_assert(sizeof(struct ps_msg_head) == 8, "head has no padding");
_Static_assert(offsetof(struct ps_msg_hello, version) == sizeof(struct ps_msg_head),
	       "the version follows the head");
_Static_assert(offsetof(struct ps_msg_welcome, version) == sizeof(struct ps_msg_head),
	       "the version follows the head");
_Static_assert((PS_RING_ENTRIES & (PS_RING_ENTRIES - 1)) == 0, "free-running counters wrap");
_Static_assert(offsetof(struct ps_ring_map, content) % PS_PAGE_SIZE == 0, "slots are pages");
_Static_assert(PS_RING_SIZE_PLAIN == 139264 + PS_CONTENT_SLOTS * PS_PAGE_SIZE,
	       "an agent that knows of no picture maps what it always did");

uint32_t ps_msg_size(unsigned int type)
{
	return type < PS_MSG_TYPE_END ? msg_sizes[type] : 0;
}

static bool carries_version(unsigned int type)
{
	return type == PS_MSG_HELLO || type == PS_MSG_WELCOME;
}

static bool version_differs(const void *buf, uint32_t len)
{
	uint32_t version;

	if (len < sizeof(struct ps_msg_head) + sizeof(version))
		return false; /* too short for any version: broken, not foreign */
	memcpy(&version, (const char *)buf + sizeof(struct ps_msg_head), sizeof(version));
	return version != PS_WIRE_VERSION;
}

int ps_msg_check(const void *buf, uint32_t len)
{
	struct ps_msg_head head;

	if (len < sizeof(head))
		return -EPROTO;
	memcpy(&head, buf, sizeof(head));
	if (head.magic != PS_WIRE_MAGIC || !ps_msg_size(head.type))
		return -EPROTO;
	if (carries_version(head.type) && version_differs(buf, len))
		return -EPROTONOSUPPORT;
	if (head.size != len || head.size != ps_msg_size(head.type))
		return -EPROTO;
	return head.type;
}

const char *ps_cause_name(unsigned int cause)
{
	return cause < PS_CAUSE_END ? cause_names[cause] : "unknown";
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == ':' || c == '@' || c == '-';
}

const char *ps_pins_name(unsigned int pins)
{
	static const char *const names[PS_PINS_END] = {
		[PS_PINS_UNKNOWN] = "unknown", [PS_PINS_DESCRIPTORS] = "descriptors",
		[PS_PINS_FORK] = "fork",       [PS_PINS_SWAP] = "swap",
		[PS_PINS_GUARDED] = "guarded",
	};

	return pins < PS_PINS_END ? names[pins] : "unknown";
}

static const struct {
	const char *name;
	char letter;
} picture_states[PS_PICTURE_STATES] = {
	[PS_PICTURE_OUTSIDE] = {"outside", ' '}, [PS_PICTURE_NONE] = {"none", '.'},
	[PS_PICTURE_PRIVATE] = {"private", 'p'}, [PS_PICTURE_LARGE] = {"large", 'L'},
	[PS_PICTURE_SHARED] = {"shared", 's'},	 [PS_PICTURE_BROKEN] = {"broken", 'b'},
	[PS_PICTURE_ZERO] = {"zero", '0'},	 [PS_PICTURE_STAGED] = {"staged", 'g'},
	[PS_PICTURE_TWIN] = {"twin", 't'},	 [PS_PICTURE_ZIPPED] = {"zipped", 'z'},
	[PS_PICTURE_SWAPPED] = {"swapped", 'w'},
};

const char *ps_picture_name(unsigned int state)
{
	return state < PS_PICTURE_STATES ? picture_states[state].name : "unknown";
}

char ps_picture_letter(unsigned int state)
{
	return state < PS_PICTURE_STATES ? picture_states[state].letter : '?';
}

int ps_name_check(const char name[PS_NAME_MAX])
{
	uint32_t i = 0;

	while (i < PS_NAME_MAX && name_char(name[i]))
		i++;
	if (i == PS_NAME_MAX)
		return -EINVAL; /* no room for its NUL */
	for (; i < PS_NAME_MAX; i++)
		if (name[i] != '\0')
			return -EINVAL;
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? -EINVAL : 0;
}
