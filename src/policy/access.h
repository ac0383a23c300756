/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * access: which uids may meet, and who may use which salt. The administrator's policy file.
 *
 *	# VMs of these uids may share wherever their salts allow it
 *	[meet web]
 *	uid = 1000, 1001
 *
 *	# only these may name the salt of this fingerprint; those who do, meet
 *	[salt 1f2e3d4c]
 *	uid = 1000, libvirt-qemu
 *
 * Without a file, or for a uid and a salt that it does not name: each uid is a group of its own and
 * may use any salt inside it.
 */
#ifndef PSHARE_POLICY_ACCESS_H
#define PSHARE_POLICY_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/error.h"

#define ACCESS_FILE_MAX (1u << 20) /* bytes of a policy file */
#define ACCESS_SECTIONS_MAX 4096u
#define ACCESS_NAME_MAX 64u /* characters of a [meet NAME]: [A-Za-z0-9._-] */

struct access_policy;

/* The number of a user by his name: 0 or -ENOENT. (This folder asks no system.) */
typedef int (*access_user)(const char *name, uint32_t *uid);

/* Parses a policy file of len bytes. NULL text: the policy without a file. 0 and *policy (free it
 * with access_free()), or -EINVAL, -ENOMEM, with one line in err that names the line number;
 * *policy is then untouched, so the caller keeps what it had. */
int access_parse_names(const char *text, size_t len, access_user find,
		       struct access_policy **policy, char *err);
/* The same, where a user has no name. */
int access_parse(const char *text, size_t len, struct access_policy **policy, char *err);
struct access_policy *access_free(struct access_policy *policy); /* takes NULL, returns NULL */

/* The group whose members may meet under that salt; fingerprint NULL: without a salt. A number
 * that stays the same over a reload as long as its section keeps its name. policy NULL: none. */
uint64_t access_uid_group(const struct access_policy *policy, uint32_t uid,
			  const uint32_t *fingerprint);

/* May VMs of uid name the salt with that fingerprint? */
bool access_may_use(const struct access_policy *policy, uint32_t uid, uint32_t fingerprint);

/* 8 hex digits, either case, exactly -> number. 0 or -EINVAL. */
int access_fingerprint_parse(const char *text, size_t len, uint32_t *fingerprint);

#endif
