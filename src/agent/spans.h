/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * spans: where the regions lie, readable without a lock.
 *
 * Most calls that the library interposes have nothing to do with guest memory: a VMM maps and
 * unmaps all day, in signal handlers too. They must pay nothing, and wait for nobody; so they ask
 * here first, and only who is told "perhaps" takes the locks and looks again.
 *
 * A span is written under both locks: emptied first, then its start, then its end. A reader that
 * sees a start and an end of two different spans asked while neither was there, and "no" was true
 * at that moment.
 */
#ifndef PSHARE_AGENT_SPANS_H
#define PSHARE_AGENT_SPANS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

#define SPAN_LEFTOVER PS_REGIONS_MAX /* the hull of what leftover.c knows */

struct spans {
	struct {
		_Atomic uintptr_t start, end; /* end 0: none */
	} of[PS_REGIONS_MAX + 1];
};

static inline void spans_clear(struct spans *s, size_t slot)
{
	atomic_store(&s->of[slot].end, 0);
}

static inline void spans_set(struct spans *s, size_t slot, uintptr_t start, uintptr_t end)
{
	spans_clear(s, slot);
	atomic_store(&s->of[slot].start, start);
	atomic_store(&s->of[slot].end, end);
}

/* Does the range touch one of them? Of a range that goes round the end of the address space, the
 * part before it is meant. */
static inline bool spans_touch(struct spans *s, uintptr_t addr, size_t len)
{
	uintptr_t to = addr + len < addr ? UINTPTR_MAX : addr + len;

	for (size_t i = 0; i <= PS_REGIONS_MAX; i++) {
		uintptr_t end = atomic_load(&s->of[i].end);

		if (end > addr && atomic_load(&s->of[i].start) < to)
			return true;
	}
	return false;
}

#endif
