/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/peer.h"

#include "sys/sock.h"

int peer_of_socket(int fd, const struct role_groups *groups, struct view_peer *peer)
{
	uint32_t gids[SYS_PEER_GROUPS_MAX + 1];
	int r, n;

	*peer = (struct view_peer){.login_uid = VIEW_NO_UID};
	r = sys_peer_cred(fd, &peer->pid, &peer->uid, &peer->gid);
	if (r < 0)
		return r;
	/* who is in more groups than fit has the role of his first group */
	n = sys_peer_groups(fd, gids + 1);
	gids[0] = peer->gid;
	peer->role = role_of(groups, peer->uid, gids, n < 0 ? 1 : (size_t)n + 1);
	return 0;
}

void peer_look(struct view_peer *peer)
{
	uid_t login;

	if (peer->pid <= 0 || peer->comm[0])
		return;
	(void)sys_comm(peer->pid, peer->comm);
	(void)sys_process_group(peer->pid, peer->group);
	if (sys_login_uid(peer->pid, &login) == 0)
		peer->login_uid = login;
}
