// SPDX-License-Identifier: LGPL-2.1-or-later
/* What pshared believes of a report, and what not. */
#include "harness/harness.h"

#include "wire/balloon.h"

static struct ps_balloon_report honest(void)
{
	return (struct ps_balloon_report){
		.head = ps_balloon_head(PS_BALLOON_REPORT),
		.state = PS_BALLOON_AT_TARGET,
		.flags = PS_BALLOON_DEVICE | PS_BALLOON_GUEST_SHORT,
		.text = "GenericError: no",
	};
}

TEST("a message is taken if magic, type and size are those of its type")
{
	struct ps_balloon_report r = honest();

	CHECK_OK(ps_balloon_check(&r, sizeof(r), PS_BALLOON_REPORT));
	CHECK_OK(ps_balloon_report_check(&r));
	CHECK_EQ(ps_balloon_check(&r, sizeof(r), PS_BALLOON_ORDER), -EPROTO);
	CHECK_EQ(ps_balloon_check(&r, sizeof(r) - 1, PS_BALLOON_REPORT), -EPROTO);
	CHECK_EQ(ps_balloon_check(&r, 7, PS_BALLOON_REPORT), -EPROTO);
	r.head.size--;
	CHECK_EQ(ps_balloon_check(&r, sizeof(r), PS_BALLOON_REPORT), -EPROTO);
	r = honest();
	r.head.magic++;
	CHECK_EQ(ps_balloon_check(&r, sizeof(r), PS_BALLOON_REPORT), -EPROTO);
}

TEST("a report with a state, a flag or a text that cannot be is refused")
{
	struct ps_balloon_report r = honest();

	r.state = PS_BALLOON_STATE_END;
	CHECK_EQ(ps_balloon_report_check(&r), -EPROTO);
	r = honest();
	r.flags = PS_BALLOON_GUEST_SHORT << 1;
	CHECK_EQ(ps_balloon_report_check(&r), -EPROTO);
	r = honest();
	r.text[3] = '\n';
	CHECK_EQ(ps_balloon_report_check(&r), -EPROTO);
	r = honest();
	r.text[PS_BALLOON_TEXT - 1] = 'x'; /* after its end */
	CHECK_EQ(ps_balloon_report_check(&r), -EPROTO);
	r = honest();
	memset(r.text, 'x', sizeof(r.text)); /* no end */
	CHECK_EQ(ps_balloon_report_check(&r), -EPROTO);
}

TEST("every state has a name of its own")
{
	for (unsigned int a = 0; a < PS_BALLOON_STATE_END; a++)
		for (unsigned int b = 0; b < a; b++)
			CHECK_NE(strcmp(ps_balloon_state_name(a), ps_balloon_state_name(b)), 0);
	CHECK_STR(ps_balloon_state_name(PS_BALLOON_STATE_END), "unknown");
}
