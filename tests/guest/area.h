/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * area: stretches of guest memory whose every byte is known.
 *
 * An area is anonymous memory or a file on a tmpfs. Each page has a generation; its content is
 * the model's for (seed, number, generation). Writing a page raises its generation, so a lost
 * write, a write that came back, and a page of a stranger are all seen, and told apart.
 */
#ifndef PSHARE_GUEST_AREA_H
#define PSHARE_GUEST_AREA_H

#include <stddef.h>
#include <stdint.h>

enum area_kind {
	AREA_SAME, /* equal in every guest: shared between guests of one domain */
	AREA_OWN,  /* unlike any other guest: never shared */
	AREA_TWIN, /* few contents, many times in this guest: shared inside it */
	AREA_ZERO, /* written once, then zeroed */
	AREA_BUSY, /* turns from equal to different and back while the guest idles */
};

struct area {
	const char *name;
	const char *path; /* on a tmpfs; NULL: anonymous memory */
	enum area_kind kind;
	unsigned int permille; /* of the guest's memory */
	uint8_t *memory;
	size_t pages;
	uint64_t seed;
	uint32_t *generation; /* of each page */
	uint64_t sum;	      /* checksum when it was last written */
};

/* Maps and fills the area. own_seed: the seed of this guest. 0 or -errno. */
int area_start(struct area *area, uint64_t memory_bytes, uint64_t own_seed);
/* Writes pages anew: every page that round selects (half of them, the same in every guest). */
void area_work(struct area *area, uint32_t round);
/* Writes up to `pages` pages, from a place that moves on with tick. For AREA_BUSY. */
void area_touch(struct area *area, uint32_t tick, size_t pages);
/* Counts pages that do not hold what the model says, and reports the first on stderr.
 * *sum is the checksum of what is there now: equal to area->sum when nothing is wrong. */
size_t area_check(const struct area *area, uint64_t *sum);

#endif
