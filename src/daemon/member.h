/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* member: the stake of one VM in one domain: its references, its hints, its orders. */
#ifndef PSHARE_DAEMON_MEMBER_H
#define PSHARE_DAEMON_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/domain.h"
#include "daemon/user.h"
#include "policy/hints.h"
#include "policy/vmmap.h"

struct vm;

#define RETRY_MIN (2 * MSEC) /* between two tries of hints that wait, at first */
#define REHINT_MIN (3 * SEC) /* before lost hints are asked for again, at first */

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
	uint64_t charged; /* bytes of it that its user has on its account */
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
void member_hint_taken(struct domain *domain, const struct index_entry *had);

/* Hints that wait. True if it was kept. */
bool member_park(struct member *m, uint32_t page, uint64_t hash);
bool member_unpark(struct member *m, struct parked *out);
/* The one that n others wait before, or NULL. Until the next call. */
const struct parked *member_parked(const struct member *m, uint32_t n);

/* Takes the page's entry out and gives its reference back. Of a hint only the note goes: who calls
 * it for pages that may have one sweeps the index. */
void member_drop_page(struct member *m, uint32_t page);

/* The active member in a VM slot of the index, or NULL. */
struct member *member_at(const struct domain *domain, uint32_t slot);

/* Members being retired, a slice at a time. True: there is more to do now. */
bool members_work(struct daemon *d);

#endif
