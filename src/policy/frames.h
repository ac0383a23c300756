/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * frames: the books of one store: which frame is free, filling, live or being punched, its hash and
 * its references, and which frame a page should get so that neighbouring pages get neighbouring
 * frames. Touches no memory of the store and no descriptor.
 */
#ifndef PSHARE_POLICY_FRAMES_H
#define PSHARE_POLICY_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

#define FRAMES_REFS_MAX ((1u << 30) - 1)

/*		may				may not			leaves to
 * FREE		be allocated			be mapped, read		FILLING
 * FILLING	be written by the daemon	be mapped, referenced	LIVE, PUNCHING
 * LIVE		be mapped, referenced, read	be written, punched	PUNCHING (0 references)
 *						while referenced
 * PUNCHING	be punched			be mapped, reused	FREE
 */
enum frame_state { FRAME_FREE, FRAME_FILLING, FRAME_LIVE, FRAME_PUNCHING };

struct frames;

/* window: frame numbers are below it. max: most frames not FREE at a time. Both are at most
 * PS_FRAMES_MAX; window is rounded down to blocks. NULL: no memory, or a window of no block. */
struct frames *frames_new(uint32_t window, uint32_t max);
struct frames *frames_free(struct frames *frames); /* takes NULL, returns NULL */

/* A FREE frame for the content of that page, now FILLING, with no reference. near: the frame of
 * page - 1 in that VM, or PS_FRAME_NONE. vm < 4096, page < PS_PAGES_MAX.
 * 0 and *frame; -ENOSPC: max or window reached; -ENOMEM. */
int frames_alloc(struct frames *frames, uint32_t vm, uint32_t page, uint32_t near, uint32_t *frame);

/* FILLING -> LIVE: its content is whole and will not change; hash is of that content. */
int frames_set_live(struct frames *frames, uint32_t frame, uint64_t hash);

/* One reference more to a LIVE frame. -EOVERFLOW at FRAMES_REFS_MAX; -EINVAL: not LIVE. */
int frames_ref(struct frames *frames, uint32_t frame);

/* One reference less. 1 if it was the last (take it from the index, then begin_punch), 0 if not;
 * -EINVAL: not LIVE or without a reference. */
int frames_unref(struct frames *frames, uint32_t frame);

/* A LIVE frame is damaged: it is marked, and gets a reference that is never given back, so that it
 * is never punched. As frames_ref(). */
int frames_retire(struct frames *frames, uint32_t frame);

/* LIVE without references, or FILLING -> PUNCHING. -EBUSY: referenced. -EINVAL: FREE, PUNCHING. */
int frames_begin_punch(struct frames *frames, uint32_t frame);

/* PUNCHING -> FREE: the hole is there. (If punching fails leave it PUNCHING and try again.) */
int frames_end_punch(struct frames *frames, uint32_t frame);

/* Any number may be asked for, a peer's too: outside the window it is FREE, 0. */
enum frame_state frames_state(const struct frames *frames, uint32_t frame);
uint32_t frames_refs(const struct frames *frames, uint32_t frame);
uint64_t frames_hash(const struct frames *frames, uint32_t frame); /* LIVE only, else 0 */
bool frames_retired(const struct frames *frames, uint32_t frame);

/* The first frame >= *frame in that state: true and *frame, or false. */
bool frames_next(const struct frames *frames, enum frame_state state, uint32_t *frame);

struct frames_stats {
	uint64_t live; /* common: frames with content */
	uint64_t refs; /* shared: references to them */
	uint64_t filling;
	uint64_t punching;
	uint64_t extents;
	uint64_t bytes; /* of these books */
};
struct frames_stats frames_stats(const struct frames *frames);

/* Walks everything, returns true if all invariants hold. For tests and debug builds. */
bool frames_check(const struct frames *frames);

#endif
