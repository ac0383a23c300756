/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* likeness: a sample of the VM's pages by content, from which its sketch is made. */
#ifndef PSHARE_AGENT_LIKENESS_H
#define PSHARE_AGENT_LIKENESS_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

#define LIKENESS_SLOTS 4096u	  /* a power of two, more than twice PS_LIKENESS_MAX */
#define LIKENESS_WHOLE (1u << 29) /* no value is that high */
#define LIKENESS_NS 10000000000ull

struct agent;

struct likeness {
	uint64_t below; /* of LIKENESS_WHOLE: pages with a value below it are in; 0: not begun */
	uint32_t n;
	uint32_t look;	   /* slot that was looked at last */
	uint64_t due;	   /* ns: to be shown again */
	bool born;	   /* frames that came with an image wait to be sampled: likeness-born.c */
	uint64_t born_due; /* ns: the next part of them */
	struct likeness_slot {
		uint32_t page; /* in the VM, and 1; 0: free */
		uint32_t value : 29, level : 3;
		uint64_t hash;
	} slot[LIKENESS_SLOTS];
	uint8_t doubles[LIKENESS_SLOTS]; /* slots by the low bits of their hash */
};

/* By what a page is sampled: the same for equal pages, of any VM. */
uint32_t likeness_value(const void *page);
/* A page was hashed for the walk, and is not zero; it is in the CPU's cache now. Worker, under
 * act. page: its number in the VM. */
void likeness_note(struct likeness *l, uint32_t page, const void *content);
/* A page was found to be zero. */
void likeness_forget(struct likeness *l, uint32_t page);
/* Drops what is in a slot; what was behind it may be in its place now. */
void likeness_drop(struct likeness *l, uint32_t at);
/* Samples frames that came with an image, a part of them. Returns ns until the next part;
 * UINT64_MAX: there are none. Worker, no lock held. */
uint64_t likeness_step_born(struct agent *a, uint64_t now);
/* Shows the sample to the daemon, if it is time. Returns ns until it is. Worker, no lock held. */
uint64_t likeness_step(struct agent *a, uint64_t now);

#endif
