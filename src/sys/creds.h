/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What another user, or another process, may open: tried in his place, not inferred from modes. */
#ifndef PSHARE_SYS_CREDS_H
#define PSHARE_SYS_CREDS_H

#include <stddef.h>
#include <sys/types.h>

#define SYS_GROUPS_MAX 256
#define SYS_USER_MAX 64 /* for sys_user_name() of sys/look.h */

struct sys_creds {
	uid_t uid;
	gid_t gid;
	gid_t groups[SYS_GROUPS_MAX];
	size_t ngroups;
	pid_t root_of; /* paths are those of this process; 0: this process's own */
};

/* Of a process: effective ids, groups, root folder. -ESRCH: there is none. */
int sys_creds_of_process(pid_t pid, struct sys_creds *creds);
/* Of a user in this group, with all groups that he is a member of. */
int sys_creds_of_user(uid_t uid, gid_t gid, struct sys_creds *creds);

enum sys_try {
	SYS_TRY_READ,
	SYS_TRY_OPEN, /* read and write: a device */
	SYS_TRY_CONNECT,
};

/* Could they do this? 0 and *result (0 or -errno), or -errno: it cannot be tried, for which root is
 * needed unless the ids are this process's own. Nothing is changed, nothing is connected. */
int sys_try_as(const struct sys_creds *creds, const char *path, enum sys_try what, int *result);

#endif
