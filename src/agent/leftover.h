/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * leftover: pages of a region that was given up and that still lie in a frame's mapping.
 */
#ifndef PSHARE_AGENT_LEFTOVER_H
#define PSHARE_AGENT_LEFTOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEFTOVERS_MAX 1024u

struct agent;
struct region;

struct leftover {
	uintptr_t start, end;
	int prot;
	bool dontfork, dontdump;
};

struct leftovers {
	struct leftover of[LEFTOVERS_MAX]; /* by address; they do not overlap */
	uint32_t n;
};

/* The region is given up: notes its pages that are broken still. Under both locks, as all of this.
 */
void leftover_note(struct agent *a, const struct region *r);
/* The first of them in [from, end), cut to it; false: none is. */
bool leftover_first(struct agent *a, uintptr_t from, uintptr_t end, struct leftover *out);
/* The mappings in [start, end) have gone. */
void leftover_drop(struct agent *a, uintptr_t start, uintptr_t end);
/* They have moved to `to` and on. */
void leftover_move(struct agent *a, uintptr_t start, uintptr_t end, uintptr_t to);
/* They were given that protection. */
void leftover_protect(struct agent *a, uintptr_t start, uintptr_t end, int prot);
/* The VMM discards what leftover_first() gave: zeros come in its place. 0 or -errno. */
int leftover_discard(struct agent *a, const struct leftover *l);

#endif
