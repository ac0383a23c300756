/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * slab: pages cut into slots of 512, 1024 or 2048 bytes, each slot with an owner's number. Plain
 * data: whoever uses it has a lock around it.
 */
#ifndef PSHARE_AGENT_SLAB_H
#define PSHARE_AGENT_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

#define SLAB_CLASSES 3u	   /* slots of 512, 1024 and 2048 bytes */
#define SLAB_SLOT_MIN 512u /* of class 0; each class has slots twice as large */
#define SLAB_SLOT_MAX 2048u
#define SLAB_SLOTS (PS_PAGE_SIZE / SLAB_SLOT_MIN) /* of the smallest, in a page */
#define SLAB_NONE UINT32_MAX

struct slab {
	uint32_t owner[SLAB_SLOTS];
	uint32_t next, prev; /* in its list */
	uint8_t taken;	     /* a bit a slot */
	uint8_t used;	     /* how many */
	uint8_t class;
};

/* A slot is named by its page's number * SLAB_SLOTS + its place in the page. */
struct slab_set {
	char *memory;				   /* page i of slots */
	struct slab *slab;			   /* its description */
	uint32_t max;				   /* pages that there may ever be */
	uint32_t fresh;				   /* the first that was never used */
	uint32_t inside;			   /* pages with a slot in use */
	uint32_t spare;				   /* pages without, whose memory is still held */
	uint32_t spares;			   /* list of them */
	uint32_t bare;				   /* list of pages whose memory was given back */
	uint32_t partly[SLAB_CLASSES][SLAB_SLOTS]; /* by slots in use: lists of pages with room */
};

/* Reserves address space for so many pages of slots. 0 or -ENOMEM. */
int slab_init(struct slab_set *s, uint32_t max);
void slab_deinit(struct slab_set *s);

/* The class that length bytes need (1 to SLAB_SLOT_MAX). */
uint32_t slab_class(uint32_t length);
/* Does a slot of that class need another page to be held? */
bool slab_grows(const struct slab_set *s, uint32_t class);
/* A slot for that owner, in the fullest page that has room; SLAB_NONE: no address space is left. */
uint32_t slab_take(struct slab_set *s, uint32_t class, uint32_t owner);
void slab_give(struct slab_set *s, uint32_t slot);
char *slab_at(const struct slab_set *s, uint32_t slot);
/* Moves a content from the emptiest page of that class, where its others have room elsewhere: its
 * new slot, the old one is free. SLAB_NONE: moving would free no page. */
uint32_t slab_move(struct slab_set *s, uint32_t class);
uint32_t slab_owner(const struct slab_set *s, uint32_t slot);
/* Gives back the memory of at most n spare pages. Returns how many. */
uint32_t slab_trim(struct slab_set *s, uint32_t n);
/* Pages of memory that slots take, and that their descriptions take. */
uint32_t slab_held(const struct slab_set *s);
uint32_t slab_table_held(const struct slab_set *s);

#endif
