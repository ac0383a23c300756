/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* user: a uid with a session or a VM, and what the daemon holds for it. */
#ifndef PSHARE_DAEMON_USER_H
#define PSHARE_DAEMON_USER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/daemon.h"
#include "daemon/list.h"
#include "daemon/log.h"

struct user {
	struct list link;
	uid_t uid;
	uint32_t holders;   /* sessions and VMs that point here */
	uint32_t sessions;  /* connections */
	uint32_t half_open; /* of them, before HELLO */
	uint32_t vms;	    /* ghosts too: each costs a descriptor and what it holds */
	uint64_t entries;   /* pages of its VMs with a frame, and hints that wait */
	uint64_t bytes;	    /* that the daemon holds for its VMs: limited by user_bytes_max() */
	uint64_t granted;   /* pages that its VMs verifiably have (grant.c) */
	uint64_t wanted;    /* hints that they would be given if there was memory for all */
	uint64_t idle_at;   /* nobody has pointed here since; 0: somebody does */
	uint64_t salt_tokens_at, salt_tokens; /* new salts it may have digested: see secret.h */
	struct log_gate gate;
};

/* The user of a uid, made if there is none; NULL: no memory. */
struct user *user_hold(struct daemon *d, uid_t uid);
/* It is remembered for a while after the last one has released it. */
void user_release(struct daemon *d, struct user *user);
void users_tick(struct daemon *d);

/* How many of what all share (connections, VMs) a user may have who has `own` of `all` now. */
uint32_t user_part(const struct daemon *d, uint32_t all, uint32_t own);
/* The most that the daemon may hold for the VMs of a user, bytes. */
uint64_t user_bytes_max(const struct daemon *d, const struct user *user);
/* May the daemon hold more for this user's VMs: another page with a frame, another hint? */
bool user_has_room(struct daemon *d, const struct user *user);
/* The same for so many bytes at once. */
bool user_has_room_for(struct daemon *d, const struct user *user, uint64_t bytes);

#endif
