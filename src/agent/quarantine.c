/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * quarantine: a page taken out, or replaced, is not given back at once.
 *
 * Goal: lose no write of a device that holds a plain reference to the page (O_DIRECT on NFS,
 * vhost-scsi, vmsplice): pinned pages are refused, but those cannot be seen. Such a write lands in
 * the page that was taken out, while the guest already has another one.
 *
 * So the page waits (Mem.ShareQuarantineMs), is then compared with what it was, and only if it
 * still is that, it is given back. The bytes that a device changed are written over the guest's
 * page, as the device would have. How it waits:
 *  - taken out of anonymous memory: whole, in a slot (UFFDIO_MOVE);
 *  - replaced in a store's mapping (a broken page): in a pipe, to which vmsplice() gave a reference
 *    before it was replaced. A page is in the pipe at the same place as its entry is among those of
 *    this pipe, so what is read next is always the entry's that is looked at next. Where it was
 *    brought back there is no frame to compare it with: the slot has a copy.
 *
 * Invariants
 *  - While an entry is in use, its page has PAGE_QUARANTINED, is not taken out again, and its
 *    reference is not given back to the daemon: the frame to compare with stays what it was. (One
 *    that breaks and is brought back meanwhile is there twice; the mark goes with the second.)
 *  - Slots are used in order of time: the oldest is at head.
 *  - A page that the guest discarded meanwhile has FRAME_DISCARDED in its region's table: what a
 *    device writes to discarded memory goes nowhere. (Where the discard could only zero it in
 *    place, such a write is put there, as one to memory that was never shared would be.)
 *  - A region that the VMM withdrew is its own again, but its pages wait on: late writes are put
 *    there as well, by a call that fails where a store would end the VMM (it may have protected
 *    the memory meanwhile). What it unmaps, moves, discards, or gives to a userfaultfd of its own
 *    is forgotten.
 *  - Never more pages than `limit`: all of them are charged to the VMM's cgroup, and once more when
 *    the guest writes to the frames that it has in their place.
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
#include "sys/keep.h"
#include "sys/mapping.h"
#include "sys/proc.h"
#include "sys/uffd.h"

#define AREA_BYTES ((size_t)QUARANTINE_SLOTS * PS_PAGE_SIZE)
#define TABLE_BYTES ((size_t)QUARANTINE_SLOTS * sizeof(struct quarantined))

int quarantine_init(struct agent *a)
{
	struct quarantine *q = &a->quarantine;
	int err = -ENOMEM;

	for (uint32_t i = 0; i < QUARANTINE_PIPES; i++)
		q->pipe[i] = (struct quarantine_pipe){.fd = {-1, -1}};
	q->limit = UINT32_MAX;
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
	for (uint32_t i = 0; i < QUARANTINE_PIPES; i++)
		sys_keep_close(q->pipe[i].fd);
	*q = (struct quarantine){0};
}

char *quarantine_take(struct quarantine *q, uint32_t n)
{
	uint32_t at, skip;

	if (n > q->limit || q->pages > q->limit - n)
		return NULL;
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

/* The pipe to fill: the present one, or an empty one. NULL: none has room. */
static struct quarantine_pipe *pipe_with_room(struct quarantine *q)
{
	for (uint32_t i = 0; i < QUARANTINE_PIPES; i++) {
		struct quarantine_pipe *p = &q->pipe[q->filling];

		if (p->fd[0] < 0 && sys_keep_open(p->fd, QUARANTINE_PIPE_PAGES, &p->room))
			return NULL;
		if (p->in < p->room)
			return p;
		q->filling = (q->filling + 1) % QUARANTINE_PIPES;
		if (q->pipe[q->filling].in)
			return NULL;
	}
	return NULL;
}

uint32_t quarantine_keep(struct agent *a, const char *slot, const char *addr, uint32_t n)
{
	struct quarantine *q = &a->quarantine;
	struct quarantined *e = &q->entry[(size_t)(slot - q->slots) / PS_PAGE_SIZE];
	uint32_t done = 0;

	while (done < n) {
		struct quarantine_pipe *p = pipe_with_room(q);
		uint32_t k = n - done;
		long kept;

		if (!p)
			break;
		k = k < p->room - p->in ? k : p->room - p->in;
		kept = sys_keep(p->fd, addr + (size_t)done * PS_PAGE_SIZE, k);
		if (kept <= 0)
			break;
		p->in += (uint32_t)kept;
		for (long i = 0; i < kept; i++)
			e[done++].pipe = (uint8_t)(p - q->pipe + 1);
	}
	return done;
}

void quarantine_supersede(struct agent *a, const struct region *r, uint32_t page, uint32_t n)
{
	struct quarantine *q = &a->quarantine;
	uint32_t first = r->base + page;
	bool any = false;

	for (uint32_t i = page; i < page + n; i++)
		any |= page_is(&r->state[i], PAGE_QUARANTINED);
	for (uint32_t i = q->head; any && i != q->tail; i++) {
		struct quarantined *e = &q->entry[i % QUARANTINE_SLOTS];

		if (e->was && e->page >= first && e->page - first < n)
			e->superseded = 1;
	}
}

static void note(struct agent *a, struct quarantined *e, struct region *r, uint32_t page)
{
	if (r->frame[page] == FRAME_DISCARDED && !page_in_store(page_state(&r->state[page])))
		r->frame[page] = PS_FRAME_NONE;
	e->page = r->base + page;
	e->superseded = 0;
	a->quarantine.pages++;
	r->quarantined++;
	page_mark(&r->state[page], PAGE_QUARANTINED);
}

void quarantine_note(struct agent *a, const char *slot, struct region *r, uint32_t page, uint32_t n,
		     enum quarantine_was was, struct store *s, uint32_t frame)
{
	struct quarantine *q = &a->quarantine;
	struct quarantined *e = &q->entry[(size_t)(slot - q->slots) / PS_PAGE_SIZE];
	uint32_t now_ms = (uint32_t)(sys_now() / 1000000);

	for (uint32_t i = 0; i < n; i++) {
		e[i].when = now_ms;
		e[i].was = (uint8_t)was;
		if (was == QUARANTINE_FRAME) {
			e[i].frame = frame + i;
			e[i].store = (uint8_t)(s - a->stores.store);
			s->quarantined++;
		}
		note(a, &e[i], r, page + i);
	}
}

static void entry_drop(struct agent *a, struct region *r, struct quarantined *e)
{
	r->quarantined--;
	if (e->was == QUARANTINE_FRAME)
		a->stores.store[e->store].quarantined--;
	a->quarantine.pages--;
	e->was = QUARANTINE_NONE;
}

/* What the page was when it came; NULL: zeros. */
static const char *original(struct agent *a, const struct quarantined *e, const char *slot)
{
	switch (e->was) {
	case QUARANTINE_FRAME:
		return store_frame(&a->stores.store[e->store], e->frame);
	case QUARANTINE_COPY:
		return slot;
	default:
		return NULL;
	}
}

/* The page as it is now: in its slot, or out of its pipe, which it leaves. */
static const char *content_now(struct agent *a, struct quarantined *e, const char *slot)
{
	struct quarantine *q = &a->quarantine;
	struct quarantine_pipe *p;
	int err;

	if (!e->pipe)
		return slot;
	p = &q->pipe[e->pipe - 1];
	e->pipe = 0;
	err = sys_kept(p->fd, q->late);
	if (--p->in == 0)
		sys_keep_close(p->fd);
	if (err) /* somebody closed or emptied a descriptor that is not his */
		agent_give_up(a, "a page kept in a pipe is lost", -err);
	return err ? NULL : q->late;
}

static bool is_unchanged(const char *now, const char *was)
{
	return was ? memcmp(now, was, PS_PAGE_SIZE) == 0 : page_is_zero(now);
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

/* Only the bytes that the device changed are its own: the guest may have written to others. It may
 * fault, so `settle` is not held. */
static void patch(volatile char *guest, const char *now, const char *was)
{
	for (uint32_t at = 0, n; (n = changed_bytes(now, was, &at)); at += n)
		for (uint32_t i = at; i < at + n; i++)
			guest[i] = now[i];
}

/* The same for memory that is not ours any more. */
static int patch_theirs(char *guest, const char *now, const char *was)
{
	int err = 0;

	for (uint32_t at = 0, n; !err && (n = changed_bytes(now, was, &at)); at += n)
		err = sys_write_own(guest + at, now + at, n);
	return err;
}

/* Most pages that come here are mapped frames, and stayed so. The guest's own mapping is compared
 * with first: a look at the frame in the view costs a fault. Should the guest write meanwhile, and
 * what it then has is equal to what left, there is nothing to put back either. */
static bool as_guest_has_it(const struct region *r, uint32_t page, const char *now)
{
	return page_has_frame(page_state(&r->state[page])) &&
	       memcmp(now, region_page(r, page), PS_PAGE_SIZE) == 0;
}

static void late_write(struct agent *a, struct region *r, uint32_t page, const char *now,
		       const char *was)
{
	int err = 0;

	if (r->life == REGION_RETIRED)
		err = patch_theirs(region_page(r, page), now, was);
	else
		patch(region_page(r, page), now, was);
	if (err)
		agent_say("a late write found its memory withdrawn, and not writable", -err);
	else
		a->stats.late_writes++;
}

static void check_late_write(struct agent *a, struct quarantined *e, char *slot)
{
	const char *was = original(a, e, slot), *now = content_now(a, e, slot);
	uint32_t page;
	struct region *r = region_of(a, e->page, &page); /* there is one while it has entries */
	bool discarded = !page_in_store(page_state(&r->state[page])) &&
			 r->frame[page] == FRAME_DISCARDED;

	if (now && !discarded && (r->life == REGION_RETIRED || !as_guest_has_it(r, page, now)) &&
	    !is_unchanged(now, was))
		late_write(a, r, page, now, was);
	if (!e->superseded)
		page_clear(&r->state[page], PAGE_QUARANTINED);
	entry_drop(a, r, e);
}

static bool due(const struct quarantined *e, uint32_t now_ms, uint32_t wait_ms)
{
	return e->was == QUARANTINE_NONE || quarantine_age(e->when, now_ms) >= wait_ms;
}

/* One batch, in one piece of slots; gives its memory back. Returns how many slots. */
static uint32_t batch(struct agent *a, uint32_t now_ms, uint32_t wait_ms)
{
	struct quarantine *q = &a->quarantine;
	uint32_t from = q->head % QUARANTINE_SLOTS, n = 0;

	while (n < QUARANTINE_BATCH && q->head + n != q->tail && from + n < QUARANTINE_SLOTS &&
	       due(&q->entry[from + n], now_ms, wait_ms)) {
		struct quarantined *e = &q->entry[from + n];

		if (e->was)
			check_late_write(a, e, q->slots + (size_t)(from + n) * PS_PAGE_SIZE);
		else
			content_now(a, e, NULL); /* it may be kept still, for nobody */
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

		if (!e->was || e->page < first || e->page - first >= n)
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
