/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* domain: the VMs with one key, their store and their index. */
#ifndef PSHARE_DAEMON_DOMAIN_H
#define PSHARE_DAEMON_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/daemon.h"
#include "policy/frames.h"
#include "policy/index.h"
#include "policy/salt.h"

struct member; /* member.h */

#define WANT_BUCKETS 1024u

struct domain {
	struct list link;
	struct daemon *daemon;
	struct domain_key key;
	uint32_t fingerprint; /* shown; a salt's own where it has one */
	uint64_t generation;
	uint64_t seed;
	bool closed; /* a VM was made to leave it: the others do too, and nobody joins any more */
	int store;   /* the only descriptor that can write */
	uint32_t window;
	struct frames *frames;
	struct page_index *index;
	uint64_t index_for;   /* entries that it was made for */
	struct member **slot; /* by VM slot of the index; NULL: free */
	uint32_t nslots;
	uint32_t members;    /* those being dropped included */
	uint64_t full_until; /* no memory for a frame: not tried before */
	uint32_t hole_next;  /* frame from which holes are looked for; 0: not under way */
	uint64_t punch_at;   /* holes that could not be punched are tried again; 0: none */
	struct list want[WANT_BUCKETS];
};

/* Where a frame is wanted: its page is that of a VM's slot, near the frame of the page before. */
struct frame_place {
	uint32_t vm, page, near; /* near: PS_FRAME_NONE if there is none */
};

/* The domain with that key that may be joined, or NULL. */
struct domain *domain_find(struct daemon *d, const struct domain_key *key);
/* A domain without members: whoever makes it joins it, or ends it. 0 or -errno. */
int domain_new(struct daemon *d, const struct domain_key *key, struct domain **out);
/* The last member has gone. */
void domain_end(struct domain *domain);
/* A free slot for a member, or -errno. */
int domain_take_slot(struct domain *domain);

/* A descriptor of the store, for reading only: the caller's. Or -errno. */
int domain_store_fd(const struct domain *domain);

/* A live frame with that content, in no VM yet, and in the index; *had: what stood there before.
 * -ENOSPC: the host has no memory for it, or the window is full; -EEXIST: the index has another
 * frame there; -ENOMEM. */
int domain_make_frame(struct domain *domain, const struct frame_place *place, const void *content,
		      uint64_t hash, uint32_t *frame, struct index_entry *had);
/* The same, in no index: nobody finds it by its content. */
int domain_make_plain_frame(struct domain *domain, const struct frame_place *place,
			    const void *content, uint64_t hash, uint32_t *frame);
/* Gives back a frame without references. */
void domain_free_frame(struct domain *domain, uint32_t frame);

/* What is due by time: holes that could not be punched. */
void domains_tick(struct daemon *d);

#endif
