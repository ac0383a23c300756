/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layout: what a page of a synthetic VM holds, as a function of a few numbers, so that every run
 * has the same memory and its content can be checked without a copy of it.
 *
 * Memory is cut into slots of `run` pages. A part of the slots, `equal` of 1000, lies in every VM,
 * the others in one alone; each VM has them in an order of its own. A part of all slots, `change`
 * of 1000, other ones in each VM, is written anew all the time.
 */
#ifndef PSHARE_BENCH_LAYOUT_H
#define PSHARE_BENCH_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

struct layout {
	uint64_t seed;
	uint32_t vm;	 /* which one: 0, 1, ... */
	uint32_t pages;	 /* of the VM, a multiple of run */
	uint32_t run;	 /* pages of a slot */
	uint32_t equal;	 /* permille of the slots */
	uint32_t change; /* permille of the slots */
	uint32_t *slot;	 /* what lies where; NULL before layout_init() */
};

/* Fills in the order of the slots. 0 or -ENOMEM. */
int layout_init(struct layout *l);
void layout_deinit(struct layout *l);

/* The page's number in an order that all VMs agree on. */
uint32_t layout_number(const struct layout *l, uint32_t page);
/* Numbers below it are the pages that every VM has. */
uint32_t layout_equal_end(const struct layout *l);
/* Every VM has a page like this. */
bool layout_equal(const struct layout *l, uint32_t page);
/* It is one of those that are written all the time. */
bool layout_changes(const struct layout *l, uint32_t page);

/* Writes the content of the page in its generation to `at`; generation 0 is what it starts with. */
void layout_fill(const struct layout *l, uint32_t page, uint32_t generation, void *at);
/* Its first word, which tells it from all others. */
uint64_t layout_word(const struct layout *l, uint32_t page, uint32_t generation);
/* The content of page `number` of VM `vm`, of those that this VM alone has. */
void layout_fill_other(const struct layout *l, uint32_t vm, uint32_t number, void *at);

#endif
