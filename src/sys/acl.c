/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/acl.h"

#include <acl/libacl.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/acl.h> // NOLINT(readability-duplicate-include): libacl's, not ours

#include "sys/cleanup.h"
#include "sys/inject.h"

DEFINE_CLEANUP(acl_t, acl, acl_free);
#define _cleanup_acl_ _cleanup_(cleanup_acl)

static int load(const char *path, acl_t *out)
{
	acl_t acl = acl_get_file(path, ACL_TYPE_ACCESS);

	if (!acl)
		return -errno;
	*out = acl;
	return 0;
}

static bool is_of(acl_entry_t entry, id_t id)
{
	id_t *of;
	bool is;

	of = acl_get_qualifier(entry); /* NULL for an entry that is not of one user or group */
	is = of && *of == id;
	acl_free(of);
	return is;
}

/* 1: found; 0: not. */
static int find(acl_t acl, acl_tag_t want, id_t id, acl_entry_t *entry)
{
	int which = ACL_FIRST_ENTRY;
	acl_tag_t tag;

	for (; acl_get_entry(acl, which, entry) == 1; which = ACL_NEXT_ENTRY) {
		if (acl_get_tag_type(*entry, &tag) == 0 && tag == want && is_of(*entry, id))
			return 1;
	}
	return 0;
}

/* The list of that file, and its entry of that user. */
static int load_entry(const char *path, uid_t uid, acl_t *acl, acl_entry_t *entry)
{
	int r = load(path, acl);

	if (r)
		return r;
	return find(*acl, ACL_USER, uid, entry) ? 0 : -ENOENT;
}

int sys_acl_user(const char *path, uid_t uid, unsigned int *bits)
{
	_cleanup_acl_ acl_t acl = NULL;
	acl_permset_t set;
	acl_entry_t entry;
	int r;

	SYS_INJECT();
	r = load_entry(path, uid, &acl, &entry);
	if (r)
		return r;
	if (acl_get_permset(entry, &set) < 0)
		return -errno;
	*bits = (acl_get_perm(set, ACL_READ) == 1 ? 4u : 0) |
		(acl_get_perm(set, ACL_WRITE) == 1 ? 2u : 0) |
		(acl_get_perm(set, ACL_EXECUTE) == 1 ? 1u : 0);
	return 0;
}

static int fill(acl_entry_t entry, acl_tag_t tag, id_t id, unsigned int bits)
{
	acl_permset_t set;

	if (acl_set_tag_type(entry, tag) < 0 || acl_set_qualifier(entry, &id) < 0 ||
	    acl_get_permset(entry, &set) < 0 || acl_clear_perms(set) < 0)
		return -errno;
	if (((bits & 4) && acl_add_perm(set, ACL_READ) < 0) ||
	    ((bits & 2) && acl_add_perm(set, ACL_WRITE) < 0) ||
	    ((bits & 1) && acl_add_perm(set, ACL_EXECUTE) < 0))
		return -errno;
	return 0;
}

static int store(const char *path, acl_t *acl)
{
	if (acl_calc_mask(acl) < 0 || acl_set_file(path, ACL_TYPE_ACCESS, *acl) < 0)
		return -errno;
	return 0;
}

static int set_entry(const char *path, acl_tag_t tag, id_t id, unsigned int bits)
{
	_cleanup_acl_ acl_t acl = NULL;
	acl_entry_t entry;
	int r;

	r = load(path, &acl);
	if (r)
		return r;
	if (!find(acl, tag, id, &entry) && acl_create_entry(&acl, &entry) < 0)
		return -errno;
	r = fill(entry, tag, id, bits);
	return r ? r : store(path, &acl);
}

int sys_acl_set_user(const char *path, uid_t uid, unsigned int bits)
{
	SYS_INJECT();
	return set_entry(path, ACL_USER, uid, bits);
}

int sys_acl_set_group(const char *path, gid_t gid, unsigned int bits)
{
	SYS_INJECT();
	return set_entry(path, ACL_GROUP, gid, bits);
}

/* With no user or group of its own left, an ACL needs no mask, and the mode is the whole truth. */
static int drop_mask(acl_t acl)
{
	int which = ACL_FIRST_ENTRY;
	acl_entry_t entry, mask = NULL;
	acl_tag_t tag;

	for (; acl_get_entry(acl, which, &entry) == 1; which = ACL_NEXT_ENTRY) {
		if (acl_get_tag_type(entry, &tag) < 0)
			return -errno;
		if (tag == ACL_USER || tag == ACL_GROUP)
			return 0;
		if (tag == ACL_MASK)
			mask = entry;
	}
	return mask && acl_delete_entry(acl, mask) < 0 ? -errno : mask ? 1 : 0;
}

int sys_acl_drop_user(const char *path, uid_t uid)
{
	_cleanup_acl_ acl_t acl = NULL;
	acl_entry_t entry;
	int r;

	SYS_INJECT();
	r = load_entry(path, uid, &acl, &entry);
	if (r)
		return r;
	if (acl_delete_entry(acl, entry) < 0)
		return -errno;
	r = drop_mask(acl);
	if (r < 0)
		return r;
	if (r == 0)
		return store(path, &acl);
	return acl_set_file(path, ACL_TYPE_ACCESS, acl) < 0 ? -errno : 0;
}
