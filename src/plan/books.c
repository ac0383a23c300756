/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A set's need is the sum, over the parts that any member has, of what the members need of that
 * part together: the longest of a content; of a sample, what it stands for in the finest sketch
 * that has it. The second is the Horvitz-Thompson estimate of a union of samples with different
 * rates: a page that is in VMs with the rates 1/100 and 1/200 is seen with a chance of 1/100, by
 * the first whenever by the second, and so stands for 100.
 *
 * One table of open addresses for all hosts and domains: nine million entries of 32 bytes in a
 * fleet of three million VMs. An entry that lost its last member stays, empty: sets are left only
 * where VMs are moved one by one, in fleets that are small enough for that.
 *
 * Sums are kept in single precision: a part is exact up to 2^24 pages (64 GiB); estimates are far
 * less exact than that.
 */
#include "plan/books.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int plan_books_init(struct plan_books *books, size_t expected)
{
	*books = (struct plan_books){.room = 256};
	while (books->room < expected * 2)
		books->room *= 2;
	books->slots = calloc(books->room, sizeof(*books->slots));
	return books->slots ? 0 : -ENOMEM;
}

void plan_books_free(struct plan_books *books)
{
	free(books->slots);
	*books = (struct plan_books){0};
}

void plan_books_clear(struct plan_books *books)
{
	if (books->used)
		memset(books->slots, 0, books->room * sizeof(*books->slots));
	books->used = 0;
}

static uint64_t mixed(uint32_t host, uint64_t domain, uint32_t part)
{
	uint64_t hash = domain * 0x9e3779b97f4a7c15ull ^ ((uint64_t)host << 32 | part);

	hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull;
	return hash ^ hash >> 32;
}

static struct plan_entry *slot_of(const struct plan_books *books, uint32_t host, uint64_t domain,
				  uint32_t part)
{
	uint64_t at = mixed(host, domain, part);

	for (;; at++) {
		struct plan_entry *slot = &books->slots[at & (books->room - 1)];

		if (!slot->part ||
		    (slot->part == part && slot->host == host && slot->domain == domain))
			return slot;
	}
}

struct plan_entry *plan_books_find(const struct plan_books *books, uint32_t host, uint64_t domain,
				   uint32_t part)
{
	struct plan_entry *slot = slot_of(books, host, domain, part);

	return slot->part ? slot : NULL;
}

static int make_room(struct plan_books *books, size_t n)
{
	struct plan_books more;

	if ((books->used + n) * 4 < books->room * 3)
		return 0;
	if (plan_books_init(&more, (books->used + n) * 2))
		return -ENOMEM;
	for (size_t i = 0; i < books->room; i++) {
		const struct plan_entry *old = &books->slots[i];

		if (!old->members)
			continue;
		*slot_of(&more, old->host, old->domain, old->part) = *old;
		more.used++;
	}
	free(books->slots);
	*books = more;
	return 0;
}

double plan_books_likeness(const struct plan_books *books, uint32_t host, uint64_t domain,
			   const struct plan_part *parts, uint32_t n)
{
	double saved = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct plan_entry *slot = slot_of(books, host, domain, parts[i].id);

		if (slot->members)
			saved += (double)slot->pages + (double)parts[i].pages -
				 (double)plan_together(parts[i].id, slot->pages, parts[i].pages);
	}
	return saved;
}

int plan_books_join(struct plan_books *books, uint32_t host, uint64_t domain,
		    const struct plan_part *parts, uint32_t n, double *saved)
{
	int r = make_room(books, n);

	if (r)
		return r;
	*saved = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct plan_entry *slot = slot_of(books, host, domain, parts[i].id);
		float before = slot->pages;

		if (!slot->part) {
			*slot = (struct plan_entry){
				.domain = domain, .host = host, .part = parts[i].id};
			books->used++;
		}
		slot->pages = slot->members++ ? plan_together(slot->part, before, parts[i].pages) :
						parts[i].pages;
		slot->sum += parts[i].pages;
		*saved += (double)before + (double)parts[i].pages - (double)slot->pages;
	}
	return 0;
}

double plan_books_leave(struct plan_entry *entry, float pages, float rest)
{
	double saved = (double)entry->pages;

	entry->sum -= pages;
	if (!--entry->members)
		entry->sum = rest = 0;
	entry->pages = rest;
	/* alone it takes its pages; the others take what they did, or less */
	return (double)pages + (double)rest - saved;
}
