// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/balloon.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const uint16_t sizes[] = {
	[PS_BALLOON_START] = sizeof(struct ps_balloon_start),
	[PS_BALLOON_ORDER] = sizeof(struct ps_balloon_order),
	[PS_BALLOON_REPORT] = sizeof(struct ps_balloon_report),
};

static const char *const names[PS_BALLOON_STATE_END] = {
	[PS_BALLOON_NONE] = "none",	      [PS_BALLOON_CONNECTING] = "connecting",
	[PS_BALLOON_NO_SOCKET] = "no-socket", [PS_BALLOON_LOST] = "lost",
	[PS_BALLOON_STALLED] = "stalled",     [PS_BALLOON_LIES] = "lies",
	[PS_BALLOON_NO_DEVICE] = "no-device", [PS_BALLOON_NO_DRIVER] = "no-driver",
	[PS_BALLOON_STALE] = "stale",	      [PS_BALLOON_NO_FIGURES] = "no-figures",
	[PS_BALLOON_EARLY] = "early",	      [PS_BALLOON_LOCKED] = "locked",
	[PS_BALLOON_NOT_FREED] = "not-freed", [PS_BALLOON_REFUSED] = "refused",
	[PS_BALLOON_SLOW] = "slow",	      [PS_BALLOON_READY] = "ready",
	[PS_BALLOON_INFLATING] = "inflating", [PS_BALLOON_DEFLATING] = "deflating",
	[PS_BALLOON_AT_TARGET] = "at-target", [PS_BALLOON_AT_FLOOR] = "at-floor",
	[PS_BALLOON_AT_MAX] = "at-max",	      [PS_BALLOON_SHORT] = "guest-short",
};

_Static_assert(sizeof(struct ps_balloon_head) == 8, "head has no padding");
_Static_assert(sizeof(struct ps_balloon_order) == 48, "no padding");

struct ps_balloon_head ps_balloon_head(enum ps_balloon_msg type)
{
	return (struct ps_balloon_head){PS_BALLOON_MAGIC, (uint16_t)type, sizes[type]};
}

int ps_balloon_check(const void *buf, uint32_t len, enum ps_balloon_msg type)
{
	struct ps_balloon_head head;

	if (len < sizeof(head))
		return -EPROTO;
	memcpy(&head, buf, sizeof(head));
	if (head.magic != PS_BALLOON_MAGIC || head.type != type || head.size != sizes[type] ||
	    len != sizes[type])
		return -EPROTO;
	return 0;
}

int ps_balloon_report_check(const struct ps_balloon_report *report)
{
	bool ended = false;

	if (report->state >= PS_BALLOON_STATE_END || report->flags >= PS_BALLOON_GUEST_SHORT << 1)
		return -EPROTO;
	for (unsigned int i = 0; i < PS_BALLOON_TEXT; i++) {
		unsigned char c = (unsigned char)report->text[i];

		if (ended ? c != '\0' : c && (c < ' ' || c > '~'))
			return -EPROTO;
		ended |= !c;
	}
	return ended ? 0 : -EPROTO;
}

const char *ps_balloon_state_name(unsigned int state)
{
	return state < PS_BALLOON_STATE_END ? names[state] : "unknown";
}
