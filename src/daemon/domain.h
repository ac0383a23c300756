/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* domain: the VMs with one key, their store and their index. member: the stake of one VM in it. */
#ifndef PSHARE_DAEMON_DOMAIN_H
#define PSHARE_DAEMON_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/daemon.h"
#include "daemon/user.h"
#include "policy/frames.h"
#include "policy/hints.h"
#include "policy/index.h"
#include "policy/salt.h"
#include "policy/vmmap.h"

struct vm;
struct member;

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
	uint64_t punch_at;   /* holes that could not be punched are tried again; 0: none */
	struct list want[WANT_BUCKETS];
};

/*		may				may not			leaves to
 * ACTIVE	hint, be ordered to share	-			LEAVING, OLD, DROPPING
 * LEAVING	confirm, refuse, unshare	hint, get orders	OLD, DROPPING
 * OLD		keep its references		anything else		DROPPING
 *		(session gone, process alive)
 * DROPPING	be emptied, in slices		anything else		freed
 */
enum member_state { MEMBER_ACTIVE, MEMBER_LEAVING, MEMBER_OLD, MEMBER_DROPPING };

enum want_state { WANT_FREE, WANT_OPEN, WANT_LATE };

/* An order for content that is on its way; one for each content slot of the session. */
struct want {
	struct list link; /* domain->want[], by hash; OPEN only */
	enum want_state state;
	struct member *publisher;
	uint32_t page; /* of the publisher */
	uint64_t hash;
	uint64_t deadline;
	uint64_t asker; /* member id: it may have left meanwhile */
	uint32_t asker_slot, asker_page;
};

/* A hint that could not be dealt with at once. */
struct parked {
	uint32_t page;
	uint64_t hash;
};

struct member {
	struct list link;    /* vm->old, or daemon->dropping */
	struct list waiting; /* daemon->waiting */
	struct domain *domain;
	struct vm *vm; /* NULL once DROPPING */
	struct user *user;
	uint64_t id;
	uint32_t slot;
	enum member_state state;
	struct vmmap *map;
	struct hints hints;
	uint64_t charged; /* bytes of it that its user has on his account */
	struct want want[PS_CONTENT_SLOTS];
	uint32_t free_slots;	/* wants that are FREE */
	uint32_t next_slot;	/* where to look for one */
	uint64_t want_deadline; /* earliest of the OPEN ones; 0: none */

	struct parked *parked; /* ring of parked_cap (a power of two) */
	uint32_t parked_head, parked_count, parked_cap;
	bool crowded; /* so many wait that its agent is to hint no more for now */
	uint64_t retry_at, retry_ns;

	/* hints that were lost are asked for again: rehint.h */
	uint64_t looks_before; /* whole looks that its agent had made when it joined */
	bool restarting;
	uint32_t restart_page;
	uint64_t restart_cursor;
	uint64_t rehint_at, rehint_ns; /* when, and how long it waits the next time */

	/* SHRDSVD: as it was last counted, and how far it is counted anew (saved.h) */
	uint64_t saved, saved_at;
	uint32_t saved_page;
	double saved_sum;

	uint32_t drop_page; /* DROPPING: how far */
	uint64_t sweep_cursor;
	bool dropped;
};

/* Makes vm a member of the domain with that key, which is made if there is none that may be
 * joined. 0 and *member (vm->member is the caller's to set), or -errno. */
int member_join(struct daemon *d, struct vm *vm, const struct domain_key *key,
		struct member **member);
/* Nothing it refers to is mapped any more: its references are given back in slices, its slot
 * then, and the domain after the last member. The member is the daemon's from here on. */
void member_retire(struct member *m);
/* Its session ended or it is leaving: no order of or to it is in flight any more. */
void member_silence(struct member *m);

/* What it holds for that member has changed: its user's account follows. */
void member_charge(struct member *m);
/* A hint, or a frame, took the place of that hint in the index: its owner's note of it goes. */
void domain_hint_taken(struct domain *domain, const struct index_entry *had);

/* Hints that wait. True if it was kept. */
bool member_park(struct member *m, uint32_t page, uint64_t hash);
bool member_unpark(struct member *m, struct parked *out);
/* The one that n others wait before, or NULL. Until the next call. */
const struct parked *member_parked(const struct member *m, uint32_t n);

/* Takes the page's entry out and gives its reference back. Of a hint only the note goes: who calls
 * it for pages that may have one sweeps the index. */
void member_drop_page(struct member *m, uint32_t page);

/* The active member in a VM slot of the index, or NULL. */
struct member *domain_member(const struct domain *domain, uint32_t slot);

/* A descriptor of the store, for reading only: the caller's. Or -errno. */
int domain_store_fd(const struct domain *domain);

/* A live frame with that content, in no VM yet, and in the index. -ENOSPC: the host has no memory
 * for it, or the window is full; -EEXIST: the index has another frame there; -ENOMEM. */
int domain_make_frame(struct domain *domain, struct member *m, uint32_t page, const void *content,
		      uint64_t hash, uint32_t *frame);
/* Gives back a frame without references. */
void domain_free_frame(struct domain *domain, uint32_t frame);

/* Work in slices: members being dropped, holes to be punched. True: there is more to do now. */
bool domains_work(struct daemon *d);
/* What is due by time. */
void domains_tick(struct daemon *d);
/* An index that has nothing in it yet is made anew for what its members may put there. */
void domain_fit_index(struct domain *domain);

#endif
