/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * page: the states of a page of guest RAM, as this agent knows them. One byte a page.
 *
 * Who may change a state: the worker and a thread of the VMM inside an interposed call, holding
 * `act`, change any but COMING; the settler, holding `settle` alone, changes SHARED, OLD and
 * OLD_HINTED to NEW, and only where frames are guarded (guard.h). So whoever holds `act` and needs
 * one of those three to stay claims the page first (page_claim, under `settle`).
 *
 * A reader (reader.h) holds no lock. It claims a page that is out, or a hole of the guest's own
 * memory, by making it COMING, in one compare-and-swap, and is alone with it until it has made it
 * something else. So does whoever holds `act` and wants a page that is out for himself. page_set()
 * leaves such pages alone, whoever calls it: they change by page_claim() and page_force() only.
 */
#ifndef PSHARE_AGENT_PAGE_H
#define PSHARE_AGENT_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

enum page_state {
	/* ---- the guest's own page, in anonymous memory ---- */

	/* Nothing is known. The guest reads and writes freely, in the kernel alone.
	 * May: be armed. Leaves to: ARMED, HINTED (found armed and not written). */
	PAGE_NEW,
	/* Write-protected asynchronously at the last look: a write lifts that in the kernel, and
	 * the next look sees it. Leaves to: NEW (written), HINTED (not written, hashed), OUT
	 * (zero). */
	PAGE_ARMED,
	/* Stable and hashed; the daemon has the hint. Still the guest's own page.
	 * Leaves to: NEW (written), TWIN, OUT (an order to share). */
	PAGE_HINTED,
	/* Part of a huge page and known to have a twin: what breaking would give.
	 * Leaves to: NEW (written, or huge pages are no longer kept). */
	PAGE_TWIN,

	/* ---- on its way ---- */

	/* Taken out, or closed and being replaced, by whoever holds `act`; microseconds to
	 * milliseconds. An access (where it is taken out) or a write (where it is closed) waits for
	 * a wake; the settler leaves it alone. Leaves to: SHARED, BROKEN, NEW. */
	PAGE_OUT,

	/* ---- in a mapping of a store ---- */

	/* A frame of the present store, mapped privately. Reads are free; a write is the kernel's
	 * own copy on write, found by the next look, or, where frames are guarded, wakes the
	 * settler. Leaves to: BROKEN (found written), NEW (brought back, discarded), OLD (daemon
	 * lost). */
	PAGE_SHARED,
	/* A frame of a store whose daemon is gone; like SHARED, but nobody counts references.
	 * Leaves to: BROKEN, NEW, OLD_HINTED. */
	PAGE_OLD,
	/* OLD, and hinted to the present daemon. Leaves to: OUT (an order: mapped over), NEW. */
	PAGE_OLD_HINTED,
	/* Copied by the kernel when it was written: the guest's own page, inside the frame's
	 * mapping. Reads and writes are free. The region's frame table has the low half of its hash
	 * of the last look. Leaves to: BROKEN_HINTED (the same at two looks), OUT (a batch:
	 * shared again or brought back), NEW (discarded). */
	PAGE_BROKEN,
	/* BROKEN, the same at two looks; the daemon has the hint.
	 * Leaves to: BROKEN (written, refused), OUT (a batch), NEW (discarded). */
	PAGE_BROKEN_HINTED,
	/* Zeros that were taken out: the kernel's zero page is mapped in their place. Like NEW, but
	 * its memory was given back. (Where the guest only ever read, the kernel maps the same
	 * page, and nothing was given back.) Leaves to: NEW (written, discarded). */
	PAGE_ZERO,

	/* ---- out: nothing is mapped, behind a gate that stays; an access brings it back ---- */

	/* Taken out, whole: in the region's holding area (stage.h). The region's frame table has
	 * the slot that it is being written to, if it is.
	 * Leaves to: COMING, COLD_TWIN, ZIPPED, SWAPPED, NEW (discarded, found to be zeros). */
	PAGE_STAGED,
	/* Equal to a frame, which is not mapped; the daemon counts a reference. The frame table has
	 * the frame and its store (FRAME_TWIN). Leaves to: COMING, ZIPPED (the store is left), NEW
	 * (discarded). */
	PAGE_COLD_TWIN,
	/* Compressed; the frame table has its handle (zip.h).
	 * Leaves to: COMING, COLD_TWIN, SWAPPED, NEW (discarded). */
	PAGE_ZIPPED,
	/* In the swap file; the frame table has its slot (swapfile.h).
	 * Leaves to: COMING, NEW (discarded). */
	PAGE_SWAPPED,
	/* Somebody is alone with it: he reads it and puts it into the guest, or fills a hole. What
	 * it was is known to him only; the frame table still says where it is.
	 * Leaves to: NEW, or back to what it was. */
	PAGE_COMING,
};

#define PAGE_STATE 0x0fu
/* How often it was found written, 0-3: looked at in every 2^n th pass. Of a staged page: how often
 * it was found there still, half of the time that it is to be staged for having gone by. */
#define PAGE_VOLATILE 0x30u
#define PAGE_VOLATILE_SHIFT 4
/* A reference of this page is still to be given back to the daemon (UNSHARED). */
#define PAGE_UNREF 0x40u
/* The page it was is in quarantine. Not to be taken out again, nor its reference given back. */
#define PAGE_QUARANTINED 0x80u

/* In a region's frame table: the guest discarded what is in quarantine for this page, which maps no
 * frame any more. */
#define FRAME_DISCARDED (PS_FRAME_NONE - 1)

/* Of a broken page: its mapping is of a store that nothing new is shared in (its daemon is gone, or
 * the domain was left). It is to be brought back, so that the store can go. */
#define FRAME_BROKEN_OLD (PS_FRAME_NONE - 2)

/* In a region's frame table, of a page that is a cold twin: the store's index above the frame. */
#define FRAME_TWIN_SHIFT 28
#define FRAME_TWIN_STORES 15u /* of an index below that */
#define FRAME_TWIN(store, frame) ((uint32_t)(store) << FRAME_TWIN_SHIFT | (frame))
_Static_assert(PS_FRAMES_MAX <= 1u << FRAME_TWIN_SHIFT, "a frame has its place beside its store");

static inline enum page_state page_state(const uint8_t *byte)
{
	return __atomic_load_n(byte, __ATOMIC_ACQUIRE) & PAGE_STATE;
}

static inline bool page_is(const uint8_t *byte, uint8_t flag)
{
	return __atomic_load_n(byte, __ATOMIC_ACQUIRE) & flag;
}

static inline void page_mark(uint8_t *byte, uint8_t flag)
{
	__atomic_fetch_or(byte, flag, __ATOMIC_ACQ_REL);
}

static inline void page_clear(uint8_t *byte, uint8_t flag)
{
	__atomic_fetch_and(byte, (uint8_t)~flag, __ATOMIC_ACQ_REL);
}

/* New state, flags kept, whatever it was. For who is alone with the page. */
static inline void page_force(uint8_t *byte, enum page_state to)
{
	uint8_t was = __atomic_load_n(byte, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(byte, &was, (uint8_t)((was & ~PAGE_STATE) | to), true,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

/* New state, flags kept; a page that is out, or coming, stays what it is, and false is returned. */
static inline bool page_set(uint8_t *byte, enum page_state to)
{
	uint8_t was = __atomic_load_n(byte, __ATOMIC_RELAXED);

	do {
		if ((was & PAGE_STATE) >= PAGE_STAGED)
			return false;
	} while (!__atomic_compare_exchange_n(byte, &was, (uint8_t)((was & ~PAGE_STATE) | to), true,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return true;
}

/* From one state to another, flags kept; false if it was not (any more) in the first. */
static inline bool page_claim(uint8_t *byte, enum page_state from, enum page_state to)
{
	uint8_t was = __atomic_load_n(byte, __ATOMIC_RELAXED);

	do {
		if ((was & PAGE_STATE) != from)
			return false;
	} while (!__atomic_compare_exchange_n(byte, &was, (uint8_t)((was & ~PAGE_STATE) | to), true,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return true;
}

/* Found written, or refused, once more: looked at half as often. */
static inline void page_found_written(uint8_t *byte)
{
	uint8_t v = __atomic_load_n(byte, __ATOMIC_RELAXED) & PAGE_VOLATILE;

	if (v != PAGE_VOLATILE)
		__atomic_fetch_add(byte, 1u << PAGE_VOLATILE_SHIFT, __ATOMIC_ACQ_REL);
}

/* Found stable: looked at twice as often. */
static inline void page_found_stable(uint8_t *byte)
{
	uint8_t v = __atomic_load_n(byte, __ATOMIC_RELAXED) & PAGE_VOLATILE;

	if (v)
		__atomic_fetch_sub(byte, 1u << PAGE_VOLATILE_SHIFT, __ATOMIC_ACQ_REL);
}

/* A staged page: how often it was found so. */
#define PAGE_AGE_RIPE 3u

static inline uint32_t page_age(const uint8_t *byte)
{
	return (__atomic_load_n(byte, __ATOMIC_ACQUIRE) & PAGE_VOLATILE) >> PAGE_VOLATILE_SHIFT;
}

/* Is its content elsewhere than in the guest's mappings? */
static inline bool page_is_out(enum page_state state)
{
	return state >= PAGE_STAGED && state <= PAGE_SWAPPED;
}

/* Makes a page that is out COMING: the caller is alone with it then, and *was is what it was. False
 * if it is not out; *was is what it is. */
static inline bool page_claim_out(uint8_t *byte, enum page_state *was)
{
	uint8_t now = __atomic_load_n(byte, __ATOMIC_ACQUIRE);

	do {
		*was = (enum page_state)(now & PAGE_STATE);
		if (!page_is_out(*was))
			return false;
	} while (!__atomic_compare_exchange_n(byte, &now,
					      (uint8_t)((now & ~PAGE_STATE) | PAGE_COMING), true,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return true;
}

/* Is a frame mapped at a page in this state? */
static inline bool page_has_frame(enum page_state state)
{
	return state == PAGE_SHARED || state == PAGE_OLD || state == PAGE_OLD_HINTED;
}

static inline bool page_is_broken(enum page_state state)
{
	return state == PAGE_BROKEN || state == PAGE_BROKEN_HINTED;
}

/* Does it lie in a mapping of a store? Its discard by the kernel alone would show the frame. */
static inline bool page_in_store(enum page_state state)
{
	return page_has_frame(state) || page_is_broken(state);
}

#endif
