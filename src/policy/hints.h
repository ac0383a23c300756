/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hints: of one VM in one domain: which of its pages have a hint in the index. A page has one at
 * most, a VM has no more than its quota, and the oldest go first.
 */
#ifndef PSHARE_POLICY_HINTS_H
#define PSHARE_POLICY_HINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/index.h"
#include "policy/vmmap.h"

#define HINTS_ERAS 64u

struct hints {
	struct vmmap *map; /* of the VM: the caller's */
	uint32_t vm;	   /* its slot in the index */
	uint64_t quota;	   /* hints that it may have */
	uint64_t evicted;  /* hints that made room, ever */
	uint64_t lost;	   /* since hints_restart(): evicted, or refused for want of room */
	uint32_t era;	   /* of the hints that are put now */
	uint64_t era_puts;
	uint64_t count[HINTS_ERAS]; /* hints by era */
	uint32_t hand;		    /* page: where the search for the oldest goes on */
};

void hints_init(struct hints *hints, struct vmmap *map, uint32_t vm);

/* The page has that hash now: its older hint goes, this one is put, in place of another page's
 * (*had: whose owner is to be told, hints_taken()) or of nothing. At the quota the oldest makes
 * room. 0; -EEXIST: the index has a frame for that hash, or the page has one; -ENOSPC: the quota
 * is 0; -ENOMEM. But for -EEXIST, what could not be put counts as lost. */
int hints_put(struct hints *hints, struct page_index *index, uint32_t page, uint64_t hash,
	      struct index_entry *had);
/* The page has not that hash any more, or gets a frame. False: it had no hint. */
bool hints_forget(struct hints *hints, struct page_index *index, uint32_t page);
/* Another page's hint, or a frame, took the place of this page's hint. */
void hints_taken(struct hints *hints, uint32_t page);
/* A hint was lost elsewhere, before it came here. */
void hints_lose(struct hints *hints);
/* One that was lost came after all. */
void hints_found(struct hints *hints);

/* Were hints lost, and is there room for more now? Then every hint should be asked for again, after
 * hints_restart(). */
bool hints_may_return(const struct hints *hints);
/* All notes of hints go, in steps: *page is 0 at first, each call looks at about budget entries;
 * true when done. What is in the index is the caller's to sweep. */
bool hints_restart(struct hints *hints, uint32_t *page, uint32_t budget);

/* Walks everything: true if all invariants hold. For tests. */
bool hints_check(const struct hints *hints);

#endif
