/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cold: what is known of a VM's pages that are out, and what the worker does about them.
 */
#ifndef PSHARE_AGENT_COLD_H
#define PSHARE_AGENT_COLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/page.h"
#include "agent/times.h"
#include "policy/promote.h"
#include "wire/wire.h"

#define COLD_AGAIN 8192u /* pages that came in for who reads all memory; a power of two */
#define COLD_BATCH 64u	 /* pages of a batch that is being written (SWAPFILE_BATCH) */
#define COLD_BATCHES 4u	 /* and how many (SWAPFILE_BATCHES) */
#define COLD_ROOM 64u	 /* pages of room for contents */
#define COLD_WHOLES 128u /* blocks that are staged in one piece */

struct agent;
struct region;
struct swapfile;
struct zip;

/* A batch on its way to the disk. A page of it that is touched meanwhile comes back from where it
 * is; its slot is dropped when the batch has ended. */
struct cold_batch {
	uint32_t number; /* 0: none */
	uint32_t n;
	uint32_t page[COLD_BATCH]; /* in the VM */
	uint32_t slot[COLD_BATCH];
	uint32_t tag[COLD_BATCH]; /* what the frame table still has if nothing happened to it */
	uint8_t was[COLD_BATCH];  /* STAGED or ZIPPED */
};

struct cold {
	/* of any thread: pages by where they are, and events */
	_Atomic uint64_t staged, twin, zipped, swapped;
	_Atomic uint64_t staged_back, twinins, unzips, swapins;
	_Atomic uint64_t promotions, scanned_in, discards, wait_ns;
	struct times page_in[PS_TIERS]; /* how long who touched one waited */
	/* Counts readers that found a page in somebody's hands: who lets a page go without having
	 * put it into the guest wakes those who wait for it if the count has moved. */
	_Atomic uint32_t wanted;
	_Atomic uint32_t rest_ms; /* Mem.ShareQuarantineMs: for so long a late write is minded */
	_Atomic uint32_t slow;	  /* PS_TARGET_SLOW: the VM is held back, see reader.c */
	/* Who reads all memory reads faster than goes out again what came in for him. */
	_Atomic bool pace;
	/* Pages in the VM, + 1, that came in for who reads all memory; by readers, in a ring. */
	_Atomic uint32_t again[COLD_AGAIN], again_tail;

	/* made by the worker before the first page goes there, for good */
	struct zip *zip;
	struct swapfile *swap;
	int swap_fd; /* its descriptor, and inode */
	uint64_t swap_inode;
	char *room;	/* COLD_ROOM pages, the worker's */
	char *act_room; /* PAGEIN_ROOM pages, of who holds act */

	/* the worker's */
	struct cold_batch batch[COLD_BATCHES];
	uint32_t evicting;		  /* zipped pages that are in batches */
	uint32_t rest[COLD_BATCH], nrest; /* pages in the VM that are for the next one */
	uint32_t again_head;
	uint64_t again_at; /* ns: such pages were last put out again */
	struct promote promote;
	uint32_t stage_region, stage_block; /* the hand that stages, and what came of its round */
	uint64_t stage_found, stage_wanted;
	uint64_t stage_next; /* ns: not before then */
	uint32_t large_left;
	uint32_t idle;	/* rounds in a row that found nothing, however greedy */
	uint32_t greed; /* how recently a page may have been written to be staged */
	uint32_t ripe_region, ripe_block;
	uint64_t ripe_next;  /* ns: of the next round over what is staged */
	uint64_t unheard;    /* ns: since then there is no room for hints; 0: there is */
	bool hints_wait;     /* a block waited for it in this round */
	uint64_t choked;     /* ns: since then no batch for the disk was free; 0: one is */
	uint64_t quiet_next; /* ns: when the zip cache is next seen to */
	uint32_t moving;     /* PS_TARGET_SUSPEND or RESUME, as far as it is under way */
	uint32_t move_region, move_block;
	uint64_t moving_total;
	uint32_t suspended; /* rounds of SUSPEND in a row that found nothing more */

	/* of blocks that are staged in one piece, the parts that were known to have twins */
	uint64_t whole_twin[COLD_WHOLES][PS_BLOCK_PAGES / 64];
	bool whole_used[COLD_WHOLES]; /* under act */
};

/* Where pages in that state are counted. */
static inline _Atomic uint64_t *cold_count(struct cold *c, enum page_state state)
{
	switch (state) {
	case PAGE_STAGED:
		return &c->staged;
	case PAGE_COLD_TWIN:
		return &c->twin;
	case PAGE_ZIPPED:
		return &c->zipped;
	default:
		return &c->swapped;
	}
}

/* Pages that need no memory of their own, or less: what TARGET counts. */
static inline uint64_t cold_out(struct cold *c)
{
	return c->twin + c->zipped + c->swapped;
}

#endif
