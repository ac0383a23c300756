/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * page: the states of a page of guest RAM, as this agent knows them. One byte a page.
 *
 * Who may change a state: the worker and a thread of the VMM inside an interposed call, holding
 * `act`, change any; the settler, holding `settle` alone, changes SHARED, OLD and OLD_HINTED to
 * NEW. So whoever holds `act` and needs one of those three to stay holds `settle` too, or claims
 * the page first (page_claim).
 */
#ifndef PSHARE_AGENT_PAGE_H
#define PSHARE_AGENT_PAGE_H

#include <stdbool.h>
#include <stdint.h>

enum page_state {
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
	/* Taken out, or being replaced, by whoever holds `act`; microseconds. An access by the
	 * guest waits for a wake; the settler only wakes. Leaves to: SHARED, NEW. */
	PAGE_OUT,
	/* A frame of the present store, mapped privately, write-protected synchronously. Reads are
	 * free; a write wakes the settler. Leaves to: NEW (unshared, discarded), OLD (daemon
	 * lost). */
	PAGE_SHARED,
	/* A frame of a store whose daemon is gone; like SHARED, but nobody counts references.
	 * Leaves to: NEW, OLD_HINTED. */
	PAGE_OLD,
	/* OLD, and hinted to the present daemon. Leaves to: OUT (an order: mapped over), NEW. */
	PAGE_OLD_HINTED,
	/* Copied in place inside a frame's mapping when no new mapping could be had: right content,
	 * but never to be shared again. Leaves to: NEW (discarded). */
	PAGE_STUCK,
	/* Zeros that were taken out: the kernel's zero page is mapped in their place. Like NEW, but
	 * its memory was given back. (Where the guest only ever read, the kernel maps the same
	 * page, and nothing was given back.) Leaves to: NEW (written, discarded). */
	PAGE_ZERO,
};

#define PAGE_STATE 0x0fu
/* How often it was found written, 0-3: looked at in every 2^n th pass. */
#define PAGE_VOLATILE 0x30u
#define PAGE_VOLATILE_SHIFT 4
/* A reference of this page is still to be given back to the daemon (UNSHARED). */
#define PAGE_UNREF 0x40u
/* The page it was is in quarantine. Not to be taken out again, nor its reference given back. */
#define PAGE_QUARANTINED 0x80u

/* In a region's frame table: the guest discarded what is in quarantine for this page, which maps no
 * frame any more. */
#define FRAME_DISCARDED (PS_FRAME_NONE - 1)

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

/* New state, flags kept. */
static inline void page_set(uint8_t *byte, enum page_state to)
{
	uint8_t was = __atomic_load_n(byte, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(byte, &was, (uint8_t)((was & ~PAGE_STATE) | to), true,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
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
static inline void page_tire(uint8_t *byte)
{
	uint8_t v = __atomic_load_n(byte, __ATOMIC_RELAXED) & PAGE_VOLATILE;

	if (v != PAGE_VOLATILE)
		__atomic_fetch_add(byte, 1u << PAGE_VOLATILE_SHIFT, __ATOMIC_ACQ_REL);
}

/* Found stable: looked at twice as often. */
static inline void page_calm(uint8_t *byte)
{
	uint8_t v = __atomic_load_n(byte, __ATOMIC_RELAXED) & PAGE_VOLATILE;

	if (v)
		__atomic_fetch_sub(byte, 1u << PAGE_VOLATILE_SHIFT, __ATOMIC_ACQ_REL);
}

/* Is a frame mapped at a page in this state? */
static inline bool page_has_frame(enum page_state state)
{
	return state == PAGE_SHARED || state == PAGE_OLD || state == PAGE_OLD_HINTED;
}

#endif
