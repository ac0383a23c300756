/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A domain key says everything that two VMs must have in common to share: how they were brought
 * together (kind), by what (id), and that their users may meet at all (uid_group). Equal keys,
 * one store; different keys, different stores: no check at the time of sharing can be forgotten.
 *
 * ESX's rule, as VMware's KB2097593 has it:
 *
 *	salting  salt		key
 *	0	 ignored	COMMON		"salt 0": every VM of the host
 *	1	 none		COMMON		the old, unsafe behaviour, not isolation
 *	1, 2	 present	SALT digest
 *	1, 2	 empty		OWN uuid	"gets its own unique salt"
 *	2	 none		OWN uuid	vc.uuid, or random: a VM here always has one
 *
 * On top of it, at every value: VMs of different uid groups never meet. ESX has one
 * administrator; a Linux host has users who do not trust each other.
 *
 * The kind is part of the key, so no digest that somebody finds can be another VM's uuid.
 */
#include "policy/salt.h"

#include <string.h>

static enum domain_kind kind_of(const struct salt_input *in)
{
	if (in->salting == SALTING_OFF)
		return DOMAIN_COMMON;
	if (in->has_salt)
		return in->salt_empty ? DOMAIN_OWN : DOMAIN_SALT;
	return in->salting == SALTING_COMMON ? DOMAIN_COMMON : DOMAIN_OWN;
}

struct domain_key domain_key_make(const struct salt_input *in)
{
	struct domain_key key = {.kind = kind_of(in), .uid_group = in->uid_group};

	if (key.kind == DOMAIN_SALT)
		memcpy(key.id, in->digest, sizeof(in->digest));
	else if (key.kind == DOMAIN_OWN)
		memcpy(key.id, in->uuid, sizeof(in->uuid));
	return key;
}

bool domain_key_equal(const struct domain_key *a, const struct domain_key *b)
{
	return a->kind == b->kind && a->uid_group == b->uid_group &&
	       !memcmp(a->id, b->id, sizeof(a->id));
}

/* For a table of domains: the ids are digests and random numbers, so a few rounds will do. */
uint64_t domain_key_hash(const struct domain_key *key)
{
	uint64_t hash = key->kind + 0x9e3779b97f4a7c15ull * (key->uid_group + 1);

	for (size_t i = 0; i < sizeof(key->id); i += sizeof(uint64_t)) {
		uint64_t part;

		memcpy(&part, key->id + i, sizeof(part));
		hash = (hash ^ part) * 0xbf58476d1ce4e5b9ull;
		hash ^= hash >> 29;
	}
	return hash;
}
