/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vmmap: of one VM: which frame each of its pages is promised (pending) or has (mapped); such an
 * entry stands for one reference to the frame, which the caller takes and drops. Or the note of
 * a page's hint (hinted; hints.h).
 */
#ifndef PSHARE_POLICY_VMMAP_H
#define PSHARE_POLICY_VMMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

enum vmmap_state { VMMAP_NONE, VMMAP_PENDING, VMMAP_MAPPED, VMMAP_HINTED };

#define VMMAP_NOTE_BITS 30u

struct vmmap_entry {
	enum vmmap_state state;
	uint32_t frame; /* HINTED: the note; PS_FRAME_NONE if state is NONE */
};

struct frames;
struct vmmap;

struct vmmap *vmmap_new(void);		     /* NULL: no memory */
struct vmmap *vmmap_free(struct vmmap *map); /* takes NULL, returns NULL; drops no reference */

/* Any page number may be asked for; one >= PS_PAGES_MAX has no entry. */
struct vmmap_entry vmmap_get(const struct vmmap *map, uint32_t page);

/* Sets the entry of a page that has none, or turns PENDING into MAPPED for the same frame.
 * 0; -EEXIST: it has another entry; -EINVAL: page, frame or state out of range; -ENOMEM. */
int vmmap_set(struct vmmap *map, uint32_t page, enum vmmap_state state, uint32_t frame);

/* Notes a page's hint, in place of an older note. 0; -EEXIST: it is PENDING or MAPPED; -EINVAL;
 * -ENOMEM. */
int vmmap_hint(struct vmmap *map, uint32_t page, uint32_t note);

/* Takes the entry out and returns it (state NONE if there was none). */
struct vmmap_entry vmmap_clear(struct vmmap *map, uint32_t page);

/* The first page >= *page that has an entry: true, *page and *entry; or false. Entries may be
 * cleared while iterating: for (page = 0; vmmap_next(map, &page, &e); page++) ... */
bool vmmap_next(const struct vmmap *map, uint32_t *page, struct vmmap_entry *entry);

uint64_t vmmap_pending(const struct vmmap *map); /* pages */
uint64_t vmmap_mapped(const struct vmmap *map);	 /* pages */
uint64_t vmmap_hinted(const struct vmmap *map);	 /* pages */
uint64_t vmmap_bytes(const struct vmmap *map);

/* ESX's SHRDSVD in pages: each mapped page saves 1 - 1/references of its frame. Over all VMs of a
 * domain, when nothing is pending, that makes shared - common. */
double vmmap_saved(const struct vmmap *map, const struct frames *frames);
/* The same in steps: *page and *saved are 0 at first; looks at no more than *budget entries, and
 * takes them off it; true when *saved is the whole sum. */
bool vmmap_saved_step(const struct vmmap *map, const struct frames *frames, uint32_t *page,
		      double *saved, uint32_t *budget);

bool vmmap_check(const struct vmmap *map); /* walks everything: true if all invariants hold */

#endif
