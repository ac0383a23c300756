/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * books: which parts lie where, and so how many pages a set of VMs needs that share. A set is a
 * host and a domain on it. What is asked is how much a VM adds to one.
 */
#ifndef PSHARE_PLAN_BOOKS_H
#define PSHARE_PLAN_BOOKS_H

#include "plan/model.h"

struct plan_entry {
	uint64_t domain;
	uint32_t host, part; /* part 0: free */
	uint32_t members;
	float pages; /* of the part, that the set needs */
	float sum;   /* what its members would need alone */
};

struct plan_books {
	struct plan_entry *slots; /* a power of two of them */
	size_t room, used;
};

/* expected: so many entries, or so; they grow. 0 or -ENOMEM. */
int plan_books_init(struct plan_books *books, size_t expected);
void plan_books_free(struct plan_books *books);
void plan_books_clear(struct plan_books *books);

/* How many pages of the VM's parts the set saves if it joins: 0 where nobody is like it. Below 0
 * is possible where a finer sketch corrects a coarser one. */
double plan_books_likeness(const struct plan_books *books, uint32_t host, uint64_t domain,
			   const struct plan_part *parts, uint32_t n);
/* It joins. *saved: as above. 0 or -ENOMEM, then nothing has changed. */
int plan_books_join(struct plan_books *books, uint32_t host, uint64_t domain,
		    const struct plan_part *parts, uint32_t n, double *saved);
/* It leaves: one part of it. rest: the pages that the others need of that part (0 if members was
 * 1). Returns how many pages of saving go. */
struct plan_entry *plan_books_find(const struct plan_books *books, uint32_t host, uint64_t domain,
				   uint32_t part);
double plan_books_leave(struct plan_entry *entry, float pages, float rest);

/* What a part is to two VMs together that have a and b of it. */
static inline float plan_together(uint32_t part, float a, float b)
{
	if (part & PLAN_SAMPLE)
		return a < b ? a : b;
	return a > b ? a : b;
}

#endif
