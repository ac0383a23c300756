// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who may do what: roles by group. */
#include "harness/harness.h"
#include "policy/role.h"

static const struct role_groups groups = {.operate = 50, .administer = 60, .self = 999};

static enum role of(uint32_t uid, uint32_t first, uint32_t second)
{
	const uint32_t gids[] = {first, second};

	return role_of(&groups, uid, gids, 2);
}

TEST("whoever could connect may look, and no more")
{
	CHECK_EQ(of(1000, 1000, 100), ROLE_LOOK);
	CHECK_EQ(role_of(&groups, 1000, NULL, 0), ROLE_LOOK);
}

TEST("a group gives its role, as the first or as another one; the higher of two counts")
{
	CHECK_EQ(of(1000, 50, 1), ROLE_OPERATE);
	CHECK_EQ(of(1000, 1, 50), ROLE_OPERATE);
	CHECK_EQ(of(1000, 60, 1), ROLE_ADMINISTER);
	CHECK_EQ(of(1000, 50, 60), ROLE_ADMINISTER);
}

TEST("root and the daemon's own user administer without a group")
{
	CHECK_EQ(of(0, 0, 0), ROLE_ADMINISTER);
	CHECK_EQ(of(999, 1, 1), ROLE_ADMINISTER);
}

TEST("where there is no group, no number is taken for it")
{
	const struct role_groups none = {ROLE_NO_GROUP, ROLE_NO_GROUP, 999};
	const uint32_t gid = ROLE_NO_GROUP;

	CHECK_EQ(role_of(&none, 1000, &gid, 1), ROLE_LOOK);
}

TEST("a route that names no role needs the highest")
{
	CHECK_EQ(role_needed(ROLE_UNSAID), ROLE_ADMINISTER);
	CHECK_EQ(role_needed(ROLE_LOOK), ROLE_LOOK);
	CHECK_STR(role_name(ROLE_LOOK), "look");
	CHECK_STR(role_name(ROLE_OPERATE), "operate");
	CHECK_STR(role_name(ROLE_ADMINISTER), "administer");
}
