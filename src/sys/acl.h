/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One user's, or one group's, entry in the access control list of a file. 0 or -errno; -EOPNOTSUPP
 * where the file system has none. Needs libacl, which not every program is linked with. */
#ifndef PSHARE_SYS_ACL_H
#define PSHARE_SYS_ACL_H

#include <sys/types.h>

/* What the entry of this user gives: bits 4 (read), 2, 1. -ENOENT: he has none. */
int sys_acl_user(const char *path, uid_t uid, unsigned int *bits);

/* Gives this user an entry, or changes his. What others have does not change. */
int sys_acl_set_user(const char *path, uid_t uid, unsigned int bits);

/* The same for a group. */
int sys_acl_set_group(const char *path, gid_t gid, unsigned int bits);

/* Takes the entry away; the mode is what it was before the first one. */
int sys_acl_drop_user(const char *path, uid_t uid);

#endif
