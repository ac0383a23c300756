/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * move: UFFDIO_MOVE, and what it does not tell.
 *
 * Linux 6.18 moves small pages many at a time. If it has to try once more inside of a call (a page
 * table entry that changed, a folio that somebody locked), it keeps that in mind as an error: the
 * batch that it moves next is not counted, is tried again, is found to be there already, and the
 * call says -EEXIST, or a length that is less than it moved. Who takes such pages for not moved
 * gives up their only copy, or puts zeros in their place.
 *
 * So when the answer is -EEXIST, or a part, the page tables are asked: where nothing is left at the
 * source and something lies at the destination, the page has moved. It is counted then, and who
 * waits for it is woken, for the kernel has woken nobody. A source that is empty does not fill up
 * again: it is behind a gate, or our own.
 *
 * If the page tables cannot be read, nobody knows where the pages are, and the VMM is stopped.
 */
#include "agent/move.h"

#include <errno.h>
#include <stdbool.h>

#include "agent/agent.h"
#include "agent/say.h"
#include "sys/pagemap.h"
#include "sys/thread.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"

#define LOOK_PAGES 32u
#define LOOK_TRIES 1000u /* of what the kernel has no memory for at the moment */

static bool is_there(uint64_t entry)
{
	return entry & (PM_PRESENT | PM_SWAP);
}

static void look(struct agent *a, const char *at, uint64_t *entry, uint32_t n)
{
	for (unsigned int tries = 0; tries < LOOK_TRIES; tries++) {
		if (!pagemap_read(a->pagemap, (uintptr_t)at, entry, n))
			return;
		sys_yield();
	}
	agent_stop("it cannot be told whether pages were moved");
}

/* How many bytes from the beginning on have moved, though the kernel says that they have not. */
static size_t moved_untold(struct agent *a, const char *dst, const char *src, size_t len)
{
	uint64_t from[LOOK_PAGES], to[LOOK_PAGES];
	size_t done = 0;

	while (done < len) {
		size_t left = (len - done) / PS_PAGE_SIZE;
		uint32_t n = left < LOOK_PAGES ? (uint32_t)left : LOOK_PAGES;

		look(a, src + done, from, n);
		look(a, dst + done, to, n);
		for (uint32_t i = 0; i < n; i++, done += PS_PAGE_SIZE)
			if (is_there(from[i]) || !is_there(to[i]))
				return done;
	}
	return done;
}

/* As Linux 6.18 may: all has moved, and the answer is that a page has, or none. */
static long untell(long moved, size_t len)
{
	static _Atomic uint32_t turn;

	return moved == (long)len && len > PS_PAGE_SIZE && turn++ % 2 ? (long)PS_PAGE_SIZE :
									-EEXIST;
}

long move_pages(struct agent *a, void *dst, void *src, size_t len, uint64_t mode)
{
	long moved = uffd_move(a->tracker, dst, src, len, mode);
	size_t told, untold;

	if (moved > 0 && ps_hook(HOOK_MOVE_UNTOLD))
		moved = untell(moved, len);
	if (moved == (long)len || (moved < 0 && moved != -EEXIST) ||
	    ps_without(DEFENCE_MOVE_UNTOLD))
		return moved;
	told = moved > 0 ? (size_t)moved : 0;
	untold = moved_untold(a, (char *)dst + told, (char *)src + told, len - told);
	if (untold && !(mode & UFFDIO_MOVE_MODE_DONTWAKE))
		uffd_wake(a->tracker, (char *)dst + told, untold);
	return told + untold ? (long)(told + untold) : moved;
}
