/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * locked: the VMM locks all its memory.
 *
 * The kernel's mlockall(MCL_CURRENT) fills every mapping of the process, those that are private and
 * writable with copies: of a window, a copy of every frame of the store and of every hole in it.
 * So it is not asked for that. What the VMM has is locked mapping by mapping, by mlock2(), and what
 * is ours is left out; no mapping of ours is ever locked otherwise (sys/mapping.h). The process has
 * then locked what it would have locked without us.
 *
 * Regions are given up before, and offered again: they are refused as locked, shown so, and taken
 * back after munlock() or munlockall(). While MCL_FUTURE is in force nothing is shared at all: the
 * frames' mappings are made by then, and would be locked.
 *
 * The kernel's own checks come first, in its order: flags, the right, RLIMIT_MEMLOCK (against the
 * size of what is the VMM's).
 *
 * No lock is held while /proc/self/maps is read and while memory is filled, which takes long; what
 * is ours is asked for anew at each mapping.
 */
#include "agent/locked.h"

#include <errno.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/offer.h"
#include "sys/mapping.h"
#include "sys/vmas.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#define KNOWN_FLAGS (MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)
#define OURS_MAX (STORES_MAX + 4 * PS_REGIONS_MAX + 3 + MAP_MADE)

struct range {
	uintptr_t start, end;
};

struct walk_maps {
	struct agent *a;
	struct range ours[OURS_MAX]; /* by address */
	uint32_t n;
	unsigned int flags;						   /* of mlock2() */
	void (*call)(struct walk_maps *w, uintptr_t start, uintptr_t end); /* what is not ours */
	uint64_t bytes;
};

static void add(struct walk_maps *w, const void *at, size_t len)
{
	struct range x = {(uintptr_t)at, (uintptr_t)at + len};
	uint32_t i = w->n;

	if (!at || !len)
		return;
	for (; i && w->ours[i - 1].start > x.start; i--)
		w->ours[i] = w->ours[i - 1];
	w->ours[i] = x;
	w->n++;
}

/* Under both locks. */
static void note_ours(struct walk_maps *w)
{
	const struct agent *a = w->a;
	void *at;
	size_t len;

	w->n = 0;
	for (size_t i = 0; i < STORES_MAX; i++) {
		const struct store *s = &a->stores.store[i];

		add(w, s->view, (size_t)s->frames * PS_PAGE_SIZE);
	}
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		const struct region *r = &a->region[i];

		add(w, r->state, r->table_bytes);
		add(w, r->nursery_park, PS_PAGE_SIZE);
		if (r->shadow)
			add(w, r->shadow + (size_t)r->first * PS_PAGE_SIZE,
			    (size_t)(r->end - r->first) * PS_PAGE_SIZE);
		if (r->nursery)
			add(w, r->nursery + (size_t)r->nursery_first * PS_PAGE_SIZE,
			    (size_t)(r->end - r->nursery_first) * PS_PAGE_SIZE);
	}
	add(w, a->quarantine.slots, (size_t)QUARANTINE_SLOTS * PS_PAGE_SIZE);
	add(w, a->quarantine.entry, QUARANTINE_SLOTS * sizeof(struct quarantined));
	add(w, a->link.map, a->link.map_size);
	for (size_t i = 0; i < MAP_MADE; i++) /* the compressed cache, the swap file's buffers */
		if (map_made(i, &at, &len))
			add(w, at, len);
}

/* One mapping, or several of ours and the VMM's that the kernel made one. */
static int each(void *arg, uintptr_t start, uintptr_t end)
{
	struct walk_maps *w = arg;

	agent_lock(w->a);
	note_ours(w);
	agent_unlock(w->a);
	for (uint32_t i = 0; i < w->n && start < end; i++) {
		if (w->ours[i].end <= start || w->ours[i].start >= end)
			continue;
		if (w->ours[i].start > start)
			w->call(w, start, w->ours[i].start);
		start = w->ours[i].end;
	}
	if (start < end)
		w->call(w, start, end);
	return 0;
}

static void count(struct walk_maps *w, uintptr_t start, uintptr_t end)
{
	w->bytes += end - start;
}

/* What cannot be filled (no rights, no memory) is locked all the same, as by the kernel's own. */
static void lock(struct walk_maps *w, uintptr_t start, uintptr_t end)
{
	map_lock((void *)start, end - start, w->flags);
}

static int lock_current(struct agent *a, int flags)
{
	struct walk_maps w = {.a = a, .call = count};
	int err = vmas_each(each, &w);

	if (!err)
		err = map_may_lock(w.bytes);
	if (!err)
		err = flags & MCL_FUTURE ? map_lock_all(flags & ~MCL_CURRENT) : map_unlock_all();
	w.call = lock;
	w.flags = flags & MCL_ONFAULT ? MLOCK_ONFAULT : 0;
	return err ? err : vmas_each(each, &w);
}

int locked_all(int flags)
{
	struct agent *a = agent_alive();
	struct sigblock blocked;
	int r;

	if (!a || !flags || flags & ~KNOWN_FLAGS || flags == MCL_ONFAULT)
		return map_lock_all(flags);
	agent_lock(a);
	a->locks_future = true;
	offer_anew(a, NULL, SIZE_MAX / 2);
	agent_unlock(a);
	sigblock_save(&blocked); /* open() and read() are cancellation points; mlockall() is none */
	r = flags & MCL_CURRENT ? lock_current(a, flags) : map_lock_all(flags);
	sigblock_restore(&blocked);
	agent_lock(a);
	a->locks_future = r ? map_future_is_locked() : flags & MCL_FUTURE;
	offer_anew(a, NULL, SIZE_MAX / 2); /* whatever was looked at meanwhile */
	leave(a);
	return r;
}

int locked_none(void)
{
	struct agent *a = agent_alive();
	int r = map_unlock_all();

	if (!a || r)
		return r;
	agent_lock(a);
	a->locks_future = false;
	offer_refused(a, NULL, SIZE_MAX / 2);
	leave(a);
	return r;
}
