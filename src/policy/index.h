/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * index: of one domain: 64-bit hash -> a hint (this page of this VM had that hash) or a frame.
 *
 * An answer may be false (a hash is kept shortened): verify a hint by its content, a frame by
 * frames_hash(). At most one entry for each shortened hash.
 */
#ifndef PSHARE_POLICY_INDEX_H
#define PSHARE_POLICY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_VMS 4094u /* VM slots are 0 .. INDEX_VMS - 1 */

enum index_kind { INDEX_NONE, INDEX_HINT, INDEX_FRAME };

struct index_entry {
	enum index_kind kind;
	uint32_t vm;	/* HINT */
	uint32_t page;	/* HINT */
	uint32_t frame; /* FRAME */
};

struct page_index;

/* expected: pages the domain's VMs have now, a guess that only makes false answers rarer.
 * secret: a random number no agent knows: spreads the hashes that a hostile agent chooses.
 * NULL: no memory. How many hints there may be is not its business: see hints.h. */
struct page_index *index_new(uint64_t expected, uint64_t secret);
struct page_index *index_free(struct page_index *index); /* takes NULL, returns NULL */

/* Where a hash's entry is, in few bits: what the owner of a hint keeps to find it again. */
#define INDEX_PLACE_BITS 24u
uint32_t index_place(const struct page_index *index, uint64_t hash);
/* A hash as no agent can foresee it: for other tables that are keyed by hashes. */
uint64_t index_mix(const struct page_index *index, uint64_t hash);

/* For who has many hashes to look up: what the processor will need for this one is on its way to
 * its cache, first of its bucket, then (some lookups later) of the entry. Both change nothing. */
void index_fetch_bucket(const struct page_index *index, uint64_t hash);
void index_fetch_entry(const struct page_index *index, uint64_t hash);
struct index_entry index_lookup(const struct page_index *index, uint64_t hash);

/* Puts a hint, in place of any hint there was for that hash. *had: that one, or of kind NONE.
 * 0; -EEXIST: a frame is there, nothing changed; -ENOMEM. */
int index_put_hint(struct page_index *index, uint64_t hash, uint32_t vm, uint32_t page,
		   struct index_entry *had);

/* Puts a frame in place of the hint (*had), or of nothing. 0; -EEXIST: another frame is there;
 * -ENOMEM. */
int index_put_frame(struct page_index *index, uint64_t hash, uint32_t frame,
		    struct index_entry *had);

/* Removes that very frame; that very hint. False if something else, or nothing, is there. */
bool index_remove_frame(struct page_index *index, uint64_t hash, uint32_t frame);
bool index_remove_hint(struct page_index *index, uint64_t hash, uint32_t vm, uint32_t page);
/* Removes the one hint of that page, which index_place() said is there. It looks at a bucket. */
bool index_remove_page(struct page_index *index, uint32_t place, uint32_t vm, uint32_t page);

/* Drops hints of pages first .. last of a VM, in steps. *cursor is 0 at first; each call looks at
 * about budget entries; true when done. No hint of those pages may be put in between (a VM that
 * left: do not give its slot to another before this is true). */
bool index_sweep(struct page_index *index, uint32_t vm, uint32_t first, uint32_t last,
		 uint64_t *cursor, uint32_t budget);

struct index_stats {
	uint64_t hints;
	uint64_t frames;
	uint64_t bytes; /* of memory, allocator's rounding included */
};
struct index_stats index_stats(const struct page_index *index);

/* Walks everything, returns true if all invariants hold. For tests and debug builds. */
bool index_check(const struct page_index *index);

#endif
