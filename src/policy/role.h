/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * role: what somebody may do over the API. Each role may do what those before it may.
 *
 *   look        read everything but the audit log
 *   operate     change a VM (not its salt), push it out and bring it back; read the audit log
 *   administer  change settings of the host, and any VM's salt: who shares with whom
 */
#ifndef PSHARE_POLICY_ROLE_H
#define PSHARE_POLICY_ROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0 is in no table of routes by mistake: what names no role needs the highest (role_needed()). */
enum role { ROLE_UNSAID, ROLE_LOOK, ROLE_OPERATE, ROLE_ADMINISTER };

#define ROLE_NO_GROUP UINT32_MAX

/* Whom a daemon takes for whom. Numbers of groups; ROLE_NO_GROUP: none gives that role. */
struct role_groups {
	uint32_t operate, administer;
	uint32_t self; /* the daemon's own user */
};

/* Somebody with those groups, who could connect. Root and the daemon's own user administer. */
enum role role_of(const struct role_groups *groups, uint32_t uid, const uint32_t *gids, size_t n);

/* What a route needs that says so, or says nothing. */
static inline enum role role_needed(enum role said)
{
	return said == ROLE_UNSAID ? ROLE_ADMINISTER : said;
}

/* "look", "operate", "administer". */
const char *role_name(enum role role);

#endif
