/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * quarantine: a page taken out is not given back at once.
 *
 * Goal: lose no write of a device that holds a plain reference to the page (O_DIRECT on NFS,
 * vhost-scsi, vmsplice): UFFDIO_MOVE refuses pinned pages, but cannot see those. Such a write lands
 * in the page that was taken out, while the guest already reads the frame.
 *
 * So the page waits (Mem.ShareQuarantineMs), is then compared with what it was taken out for, and
 * only if it still is that, it is given back. A late write is put where it belongs: if the guest
 * still has the frame, the page comes back whole; if the guest wrote since, the bytes that the
 * device changed are written over its page, as the device would have.
 *
 * Invariants
 *  - While an entry is in use, its page has PAGE_QUARANTINED, is not taken out again, and its
 *    reference is not given back to the daemon: the frame to compare with stays what it was.
 *  - Slots are used in order of time: the oldest is at head.
 *  - A page that the guest discarded meanwhile has FRAME_DISCARDED in its region's table: what a
 *    device writes to discarded memory goes nowhere. (Where the discard could only zero it in
 *    place, such a write is put there, as one to memory that was never shared would be.)
 *
 *  - A region that the VMM withdrew is its own again, but its pages wait on: late writes are put
 *    there as well, by a call that fails where a store would end the VMM (it may have protected
 *    the memory meanwhile). What it unmaps, moves, discards, or gives to a userfaultfd of its own
 *    is forgotten.
 *
 * Limits: a reference held longer than the quarantine is not seen (the time is a setting), nor one
 * into memory that is moved while it is held; the bytes that a device changed back to what they
 * were cannot be told from no write, and need not.
 */
#include "agent/quarantine.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/hash.h"
#include "agent/say.h"
#include "agent/unshare.h"
#include "sys/mapping.h"
#include "sys/proc.h"
#include "sys/uffd.h"

#define AREA_BYTES ((size_t)(QUARANTINE_SLOTS + 1) * PS_PAGE_SIZE)
#define TABLE_BYTES ((size_t)QUARANTINE_SLOTS * sizeof(struct quarantined))

int quarantine_init(struct agent *a)
{
	struct quarantine *q = &a->quarantine;
	int err = -ENOMEM;

	q->slots = map_anon(NULL, AREA_BYTES);
	q->entry = map_anon(NULL, TABLE_BYTES);
	if (q->slots && q->entry)
		err = uffd_register(a->tracker, q->slots, AREA_BYTES, UFFDIO_REGISTER_MODE_WP);
	if (err)
		quarantine_deinit(a);
	return err;
}

void quarantine_deinit(struct agent *a)
{
	struct quarantine *q = &a->quarantine;

	map_free(q->slots, AREA_BYTES);
	map_free(q->entry, TABLE_BYTES);
	*q = (struct quarantine){0};
}

char *quarantine_park(struct quarantine *q)
{
	return q->slots + (size_t)QUARANTINE_SLOTS * PS_PAGE_SIZE;
}

char *quarantine_take(struct quarantine *q, uint32_t n)
{
	uint32_t at, skip;

	if (q->head == q->tail)
		q->head = q->tail = 0; /* the low slots again: their tables are there already */
	at = q->tail % QUARANTINE_SLOTS;
	skip = at + n > QUARANTINE_SLOTS ? QUARANTINE_SLOTS - at : 0;
	if (q->tail - q->head + skip + n > QUARANTINE_SLOTS)
		return NULL;
	q->tail += skip;
	at = q->tail % QUARANTINE_SLOTS;
	q->tail += n;
	return q->slots + (size_t)at * PS_PAGE_SIZE;
}

void quarantine_note(struct agent *a, const char *slot, struct region *r, uint32_t page,
		     struct store *s, uint32_t frame, uint32_t now_ms)
{
	struct quarantine *q = &a->quarantine;

	q->entry[(size_t)(slot - q->slots) / PS_PAGE_SIZE] = (struct quarantined){
		.page = r->base + page,
		.frame = frame,
		.when = now_ms,
		.store = s ? (uint16_t)(s - a->stores.store) : 0,
		.used = 1,
	};
	q->pages++;
	r->quarantined++;
	if (s)
		s->quarantined++;
	page_mark(&r->state[page], PAGE_QUARANTINED);
}

static void entry_drop(struct agent *a, struct region *r, struct quarantined *e)
{
	r->quarantined--;
	if (e->frame != PS_FRAME_NONE)
		a->stores.store[e->store].quarantined--;
	a->quarantine.pages--;
	e->used = 0;
}

/* What the page was when it was taken out; NULL: zeros. */
static const char *original(struct agent *a, const struct quarantined *e)
{
	return e->frame == PS_FRAME_NONE ? NULL : store_frame(&a->stores.store[e->store], e->frame);
}

static bool still(const char *slot, const char *was)
{
	return was ? memcmp(slot, was, PS_PAGE_SIZE) == 0 : page_is_zero(slot);
}

/* The next bytes from *at on that the device changed: where, and how many; 0: none. */
static uint32_t changed_bytes(const char *slot, const char *was, uint32_t *at)
{
	uint32_t n = 0;

	while (*at < PS_PAGE_SIZE && slot[*at] == (was ? was[*at] : 0))
		++*at;
	while (*at + n < PS_PAGE_SIZE && slot[*at + n] != (was ? was[*at + n] : 0))
		n++;
	return n;
}

/* The guest wrote to the page since: only the bytes that the device changed are its own. */
static void patch(volatile char *guest, const char *slot, const char *was)
{
	for (uint32_t at = 0, n; (n = changed_bytes(slot, was, &at)); at += n)
		for (uint32_t i = at; i < at + n; i++)
			guest[i] = slot[i];
}

/* The same for memory that is not ours any more. */
static void patch_theirs(struct agent *a, char *guest, const char *slot, const char *was)
{
	int err = 0;

	for (uint32_t at = 0, n; !err && (n = changed_bytes(slot, was, &at)); at += n)
		err = sys_write_own(guest + at, slot + at, n);
	if (err)
		agent_say("a late write found its memory withdrawn, and not writable", -err);
	else
		a->stats.late_writes++;
}

/* Most pages that come here are mapped frames, and stayed so. The guest's own mapping is compared
 * with first: the window's page tables have gone with the mapping, and a look at the frame through
 * it costs a fault. Should the guest write meanwhile, and what it then has is equal to the slot,
 * there is nothing to put back either. */
static bool as_guest_has_it(const struct region *r, uint32_t page, const char *slot)
{
	return page_has_frame(page_state(&r->state[page])) &&
	       memcmp(slot, region_page(r, page), PS_PAGE_SIZE) == 0;
}

static void late_write(struct agent *a, struct region *r, uint32_t page, const char *slot,
		       const char *was)
{
	bool framed;
	int err = 0;

	pthread_mutex_lock(&a->settle);
	framed = page_has_frame(page_state(&r->state[page]));
	if (framed)
		err = unshare_with(a, r, page, slot);
	pthread_mutex_unlock(&a->settle);
	/* Not under settle: a guest page may fault, and the settler must be free to settle it. That
	 * it has no frame stays so: only the holder of act could give it one. */
	if (!framed)
		patch(region_page(r, page), slot, was);
	if (err)
		agent_give_up(a, "a late write could not be put back", -err);
	a->stats.late_writes++;
}

static void look(struct agent *a, struct quarantined *e, char *slot)
{
	const char *was = original(a, e);
	uint32_t page;
	struct region *r = region_of(a, e->page, &page); /* there is one while it has entries */

	if (r->frame[page] == FRAME_DISCARDED) {
		r->frame[page] = PS_FRAME_NONE;
	} else if (r->life == REGION_RETIRED) {
		if (!still(slot, was))
			patch_theirs(a, region_page(r, page), slot, was);
	} else if (!as_guest_has_it(r, page, slot) && !still(slot, was)) {
		late_write(a, r, page, slot, was);
	}
	page_clear(&r->state[page], PAGE_QUARANTINED);
	entry_drop(a, r, e);
}

static bool due(const struct quarantined *e, uint32_t now_ms, uint32_t wait_ms)
{
	return !e->used || quarantine_age(e->when, now_ms) >= wait_ms;
}

/* One batch, in one piece of slots; gives its memory back. Returns how many slots. */
static uint32_t batch(struct agent *a, uint32_t now_ms, uint32_t wait_ms)
{
	struct quarantine *q = &a->quarantine;
	uint32_t from = q->head % QUARANTINE_SLOTS, n = 0;

	while (n < QUARANTINE_BATCH && q->head + n != q->tail && from + n < QUARANTINE_SLOTS &&
	       due(&q->entry[from + n], now_ms, wait_ms)) {
		struct quarantined *e = &q->entry[from + n];

		if (e->used)
			look(a, e, q->slots + (size_t)(from + n) * PS_PAGE_SIZE);
		n++;
	}
	/* A slot must be empty before it is used again; the next round tries once more. */
	if (n && map_advise(q->slots + (size_t)from * PS_PAGE_SIZE, (size_t)n * PS_PAGE_SIZE,
			    MADV_DONTNEED))
		return 0;
	q->head += n;
	return n;
}

uint32_t quarantine_run(struct agent *a, uint32_t now_ms, uint32_t wait_ms)
{
	struct quarantine *q = &a->quarantine;
	uint32_t n, age;

	do {
		pthread_mutex_lock(&a->act);
		n = batch(a, now_ms, wait_ms);
		pthread_mutex_unlock(&a->act);
	} while (n);
	if (q->head == q->tail)
		return UINT32_MAX;
	age = quarantine_age(q->entry[q->head % QUARANTINE_SLOTS].when, now_ms);
	return age >= wait_ms ? 0 : wait_ms - age;
}

void quarantine_forget(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	struct quarantine *q = &a->quarantine;
	uint32_t first = r->base + page;

	for (uint32_t i = q->head; r->quarantined && i != q->tail; i++) {
		struct quarantined *e = &q->entry[i % QUARANTINE_SLOTS];

		if (!e->used || e->page < first || e->page - first >= n)
			continue;
		page_clear(&r->state[e->page - r->base], PAGE_QUARANTINED);
		entry_drop(a, r, e);
	}
}

void quarantine_tidy(struct quarantine *q)
{
	if (q->head == q->tail) {
		map_advise(q->slots, AREA_BYTES, MADV_DONTNEED);
		map_advise(q->entry, TABLE_BYTES, MADV_DONTNEED);
	}
}
