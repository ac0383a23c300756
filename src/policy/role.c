/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may connect to api.sock is the file's mode and access list: the first gate. Whoever is past
 * it may look. More comes from being a member of a group, as the kernel noted it when the
 * connection was made; so a member who is taken out of a group keeps his role as long as his
 * connection, which ends with each command.
 *
 * Rejected: a socket for each role. Three sockets would be three things to find, to pass through
 * containers and to guard, and a client would have to know its own role.
 */
#include "policy/role.h"

static bool is_member(uint32_t group, const uint32_t *gids, size_t n)
{
	if (group == ROLE_NO_GROUP)
		return false;
	for (size_t i = 0; i < n; i++)
		if (gids[i] == group)
			return true;
	return false;
}

enum role role_of(const struct role_groups *groups, uint32_t uid, const uint32_t *gids, size_t n)
{
	if (uid == 0 || uid == groups->self || is_member(groups->administer, gids, n))
		return ROLE_ADMINISTER;
	return is_member(groups->operate, gids, n) ? ROLE_OPERATE : ROLE_LOOK;
}

const char *role_name(enum role role)
{
	switch (role) {
	case ROLE_LOOK:
		return "look";
	case ROLE_OPERATE:
		return "operate";
	case ROLE_ADMINISTER:
	case ROLE_UNSAID:
		break;
	}
	return "administer";
}
