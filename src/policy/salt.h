/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * salt: which VMs may share. Two pages may be shared only by VMs whose domain keys are equal.
 *
 * ESX's rule (KB2097593) with one thing on top: VMs of different uid groups (access.h) never meet.
 */
#ifndef PSHARE_POLICY_SALT_H
#define PSHARE_POLICY_SALT_H

#include <stdbool.h>
#include <stdint.h>

#define DOMAIN_ID_SIZE 32u
#define VM_UUID_SIZE 16u

enum force_salting {			 /* Mem.ShareForceSalting */
		     SALTING_OFF = 0,	 /* all VMs of the host */
		     SALTING_COMMON = 1, /* VMs without a salt meet in the common domain */
		     SALTING_OWN = 2,	 /* VMs without a salt are alone */
};

enum domain_kind {
	DOMAIN_COMMON = 1, /* salt 0: all VMs (salting 0) or all without a salt (salting 1) */
	DOMAIN_SALT,	   /* VMs that named the same salt */
	DOMAIN_OWN,	   /* one VM */
};

struct domain_key {
	uint32_t kind; /* enum domain_kind; 0 is no domain */
	uint32_t pad;  /* 0 */
	uint64_t uid_group;
	uint8_t id[DOMAIN_ID_SIZE]; /* COMMON: zeros. SALT: the digest. OWN: the uuid, then zeros */
};

/* What is known of a VM. The salt itself stays with the caller; only its digest comes here. */
struct salt_input {
	enum force_salting salting;
	bool has_salt;
	bool salt_empty;		/* has_salt, of no byte: a domain of its own */
	uint8_t digest[DOMAIN_ID_SIZE]; /* of the salt; equal exactly for equal salts */
	uint8_t uuid[VM_UUID_SIZE];	/* no two live VMs have the same: the caller sees to it,
					     for a uuid is only what an agent says */
	uint64_t uid_group;		/* access_uid_group() */
};

/* The key of the VM's domain. An unknown value of salting is read as SALTING_OWN. */
struct domain_key domain_key_make(const struct salt_input *in);

bool domain_key_equal(const struct domain_key *a, const struct domain_key *b);
uint64_t domain_key_hash(const struct domain_key *key);

#endif
