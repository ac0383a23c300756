/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: bring equal pages of one domain to one frame, without believing that they are equal.
 *
 *   HINT(page, hash)   nothing known: it becomes the hint. A frame: SHARE. A hint of another page:
 *                      WANT the content, from the page that hinted first, for its place is the
 *                      frame's place; from the new one where the first has no slot free.
 *   CONTENT            copied out of shared memory, hashed by us, compared with what was wanted:
 *                      only then a frame. SHARE to both pages.
 *   SHARED, REFUSED,   confirm or give back the reference taken with SHARE. They name a page, and
 *   UNSHARED           touch the entry of that page of that VM, or nothing.
 *
 * Invariants (and those of order.c):
 *  - A frame never holds zeros. An agent that is told to share a page of zeros with a hole in the
 *    store (an order of a store that it has left) would find them equal.
 *  - While a content is wanted, later hints of its hash wait for the frame.
 *
 * A hint that cannot be dealt with now (no content slot, no room in a ring, no memory for a frame)
 * is parked with its VM, in order, and tried again when that VM's ring moves or after a few
 * milliseconds. What cannot be kept at all counts as lost, and is asked for again (rehint.h).
 * Rejected: to leave it in the ring. The CONTENT that would free a slot comes through
 * the same ring, behind it. Rejected too: to drop it; an agent hints a page that does not
 * change once, and its twin would be lost until the next pass.
 */
#include "daemon/match.h"

#include <errno.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "daemon/host.h"
#include "daemon/order.h"
#include "daemon/ring.h"
#include "daemon/session.h"
#include "daemon/vm-region.h"
#include "daemon/vm.h"

#define CONTENT_IDLE (2 * SEC) /* no content came for so long: its memory is given back */
#define RETRY_SLICE 256u
#define RETRY_BLOCKED 32u /* so many in a row could not be dealt with: later */
#define RETRY_MAX (128 * MSEC)

static struct ring *ring_of(struct member *m)
{
	return &m->vm->session->ring;
}

static struct member *want_asker(const struct member *m, const struct want *want)
{
	struct member *asker = member_at(m->domain, want->asker_slot);

	return asker && asker->id == want->asker ? asker : NULL;
}

static void put_hint(struct member *m, uint32_t page, uint64_t hash)
{
	struct index_entry had = {.kind = INDEX_NONE};
	int r = -ENOSPC;

	if (user_has_room(m->domain->daemon, m->user))
		r = hints_put(&m->hints, m->domain->index, page, hash, &had);
	else
		hints_lose(&m->hints);
	member_hint_taken(m->domain, &had);
	member_charge(m);
	if (r == -ENOMEM)
		COUNT(m->vm, refused[PS_CAUSE_NO_MEMORY]);
	else if (r == -ENOSPC)
		COUNT(m->vm, refused[PS_CAUSE_LIMIT]);
}

/* Its content made no frame, though it is right: it waits for a twin, as it did or would have. What
 * was to be published, or came second, has no hint any more (match_hint). */
static void keep_hint(struct member *m, uint32_t page, uint64_t hash)
{
	if (vm_has_page(m->vm, page) && vmmap_get(m->map, page).state == VMMAP_NONE)
		put_hint(m, page, hash);
}

/* The page has not that hash, or nobody can tell: if that is its hint, it has none any more. */
static void drop_hint(struct member *m, uint32_t page, uint64_t hash)
{
	if (!index_remove_hint(m->domain->index, hash, m->slot, page))
		return;
	hints_taken(&m->hints, page);
	member_charge(m);
}

static int order_twins(struct member *m, uint32_t page, uint64_t hash,
		       const struct index_entry *hint)
{
	struct domain *domain = m->domain;
	struct member *first = member_at(domain, hint->vm);
	int r;

	if (!first || vmmap_get(first->map, hint->page).state != VMMAP_HINTED) {
		put_hint(m, page, hash);
		return 0;
	}
	if (domain->full_until > domain->daemon->now || host_memory_short(domain->daemon))
		return -EAGAIN;
	r = order_content(first, hint->page, hash, m, page);
	if (r == -EAGAIN)
		r = order_content(m, page, hash, first, hint->page);
	return r;
}

/* The VM is about to be forked: its pages are made frames that have no twin yet. */
static int publish(struct member *m, uint32_t page, uint64_t hash)
{
	struct domain *domain = m->domain;

	if (domain->full_until > domain->daemon->now || host_memory_short(domain->daemon)) {
		put_hint(m, page, hash);
		return 0;
	}
	return order_content(m, page, hash, NULL, 0);
}

/* Has the page a frame, or is one promised to it? */
static bool framed(const struct member *m, uint32_t page)
{
	enum vmmap_state state = vmmap_get(m->map, page).state;

	return state == VMMAP_PENDING || state == VMMAP_MAPPED;
}

/* Deals with a hint. 0: done with it; -EAGAIN: try again later. */
static int match_hint(struct member *m, uint32_t page, uint64_t hash)
{
	struct domain *domain = m->domain;
	struct index_entry found;
	const struct want *want;

	if (!vm_has_page(m->vm, page) || framed(m, page))
		return 0;
	want = order_wanted(domain, hash);
	if (want)
		return want->publisher == m && want->page == page ? 0 : -EAGAIN;
	/* what it had before is not there any more; or it is, and this puts it anew */
	(void)hints_forget(&m->hints, domain->index, page);
	found = index_lookup(domain->index, hash);
	switch (found.kind) {
	case INDEX_FRAME:
		if (frames_hash(domain->frames, found.frame) != hash)
			return 0; /* another content with that shortened hash: not eligible */
		return order_share(m, page, found.frame);
	case INDEX_HINT:
		return order_twins(m, page, hash, &found);
	default:
		if (m->vm->publishing)
			return publish(m, page, hash);
		put_hint(m, page, hash);
		return 0;
	}
}

static void match_or_park(struct member *m, uint32_t page, uint64_t hash)
{
	if (match_hint(m, page, hash) == -EAGAIN)
		(void)member_park(m, page, hash);
}

/* Of a hash that comes some hashes later. */
enum fetch { FETCH_ENTRY = 4, FETCH_BUCKET = 8 };

static void fetch(const struct member *m, uint64_t hash, enum fetch what)
{
	if (what == FETCH_BUCKET)
		index_fetch_bucket(m->domain->index, hash);
	else
		index_fetch_entry(m->domain->index, hash);
}

static void hint_entry(struct member *m, const struct ps_entry *entry)
{
	COUNT(m->vm, hints);
	if (m->state != MEMBER_ACTIVE || m->restarting)
		return;
	if (!vm_has_page(m->vm, entry->page) ||
	    vmmap_get(m->map, entry->page).state == VMMAP_MAPPED) {
		COUNT(m->vm, bogus);
		return;
	}
	if (m->parked_count)
		(void)member_park(m, entry->page, entry->arg);
	else
		match_or_park(m, entry->page, entry->arg);
}

static bool all_zero(const uint8_t page[PS_PAGE_SIZE])
{
	const uint64_t *word = (const uint64_t *)page;
	uint64_t any = 0;

	for (uint32_t i = 0; i < PS_PAGE_SIZE / sizeof(*word); i++)
		any |= word[i];
	return any == 0;
}

/* Is what came what was wanted? The cause if not. */
static enum ps_cause judge_content(struct member *m, const struct want *want,
				   const struct ps_entry *entry, const uint8_t *page)
{
	uint64_t hash;

	if (entry->cause != PS_CAUSE_NONE)
		return entry->cause < PS_CAUSE_END ? entry->cause : PS_CAUSE_ERROR;
	hash = XXH3_64bits_withSeed(page, PS_PAGE_SIZE, m->domain->seed);
	if (hash != entry->arg)
		COUNT(m->vm, bogus);
	return hash != want->hash || all_zero(page) ? PS_CAUSE_CHANGED : PS_CAUSE_NONE;
}

/* After the frame of the page before, so that neighbours stay neighbours. */
static struct frame_place place_for(const struct member *m, uint32_t page)
{
	bool follows = page && framed(m, page - 1);

	return (struct frame_place){
		.vm = m->slot,
		.page = page,
		.near = follows ? vmmap_get(m->map, page - 1).frame : PS_FRAME_NONE,
	};
}

/* The frame for a content: the one that there is by now, or a new one. */
static int frame_for(struct member *m, const struct want *want, const uint8_t *content,
		     uint32_t *frame)
{
	struct domain *domain = m->domain;
	struct index_entry found = index_lookup(domain->index, want->hash);
	struct index_entry had = {.kind = INDEX_NONE};
	struct frame_place place;
	int r;

	if (found.kind == INDEX_FRAME) {
		if (frames_hash(domain->frames, found.frame) != want->hash)
			return -EEXIST;
		*frame = found.frame;
		return 0;
	}
	place = place_for(m, want->page);
	r = domain_make_frame(domain, &place, content, want->hash, frame, &had);
	if (r == 0)
		member_hint_taken(domain, &had);
	return r;
}

static void share_or_park(struct member *m, uint32_t page, uint32_t frame, uint64_t hash)
{
	if (!vm_has_page(m->vm, page) || vmmap_get(m->map, page).state != VMMAP_NONE)
		return;
	if (order_share(m, page, frame) == -EAGAIN)
		(void)member_park(m, page, hash);
}

/* The content is here, and right. */
static void content_good(struct member *m, const struct want *want, const uint8_t *content)
{
	struct domain *domain = m->domain;
	struct member *asker = want_asker(m, want);
	uint32_t frame;
	int r;

	if (!asker && !m->vm->publishing) { /* nobody to share with */
		keep_hint(m, want->page, want->hash);
		return;
	}
	r = frame_for(m, want, content, &frame);
	if (r < 0) {
		if (r == -EEXIST)
			return; /* another content with that shortened hash: not eligible */
		COUNT(m->vm, store_full);
		keep_hint(m, want->page, want->hash);
		if (asker)
			(void)member_park(asker, want->asker_page, want->hash);
		return;
	}
	share_or_park(m, want->page, frame, want->hash);
	if (asker)
		share_or_park(asker, want->asker_page, frame, want->hash);
	if (frames_refs(domain->frames, frame) == 0)
		domain_free_frame(domain, frame);
}

/* Right, and too late: the asker has gone on without it (want_timeouts). Whoever is slow because
 * his host is busy is slow each time: if this were thrown away his pages would find no twin before
 * the host has time again. */
static void content_late(struct member *m, struct want *want, const uint8_t *content)
{
	struct domain *domain = m->domain;
	struct index_entry twin;
	struct member *asker;

	hints_found(&m->hints);
	if (!vm_has_page(m->vm, want->page) || framed(m, want->page))
		return;
	(void)hints_forget(&m->hints, domain->index, want->page);
	twin = index_lookup(domain->index, want->hash);
	asker = twin.kind == INDEX_HINT ? member_at(domain, twin.vm) : NULL;
	if (!asker || order_wanted(domain, want->hash)) {
		match_or_park(m, want->page, want->hash);
		return;
	}
	want->asker = asker->id;
	want->asker_slot = asker->slot;
	want->asker_page = twin.page;
	content_good(m, want, content);
}

static void content_entry(struct member *m, const struct ps_entry *entry)
{
	struct want *slot = entry->slot < PS_CONTENT_SLOTS ? &m->want[entry->slot] : NULL;
	_Alignas(64) uint8_t page[PS_PAGE_SIZE];
	enum want_state state;
	struct member *asker;
	enum ps_cause cause;
	struct want want;

	if (m->state != MEMBER_ACTIVE)
		return;
	if (!slot || slot->state == WANT_FREE || slot->page != entry->page) {
		COUNT(m->vm, bogus);
		return;
	}
	COUNT(m->vm, contents);
	want = *slot;
	state = slot->state;
	list_del(&slot->link);
	slot->state = WANT_FREE;
	m->free_slots++;
	ring_content(ring_of(m), entry->slot, page);
	ring_of(m)->content_until = m->domain->daemon->now + CONTENT_IDLE;
	cause = judge_content(m, &want, entry, page);
	if (state == WANT_LATE) {
		if (cause == PS_CAUSE_NONE)
			content_late(m, &want, page);
		return;
	}
	if (cause == PS_CAUSE_NONE) {
		content_good(m, &want, page);
		return;
	}
	COUNT(m->vm, refused[cause]);
	drop_hint(m, want.page, want.hash);
	asker = want_asker(m, &want);
	if (asker)
		match_or_park(asker, want.asker_page, want.hash);
}

static void shared_entry(struct member *m, const struct ps_entry *entry)
{
	struct vmmap_entry had = vmmap_get(m->map, entry->page);

	if (had.state != VMMAP_PENDING || had.frame != entry->arg) {
		COUNT(m->vm, bogus);
		return;
	}
	(void)vmmap_set(m->map, entry->page, VMMAP_MAPPED, had.frame);
	COUNT(m->vm, shared);
}

static void refused_entry(struct member *m, const struct ps_entry *entry)
{
	struct vmmap_entry had = vmmap_get(m->map, entry->page);
	unsigned int cause = entry->cause < PS_CAUSE_END ? entry->cause : PS_CAUSE_ERROR;

	if (had.state != VMMAP_PENDING || had.frame != entry->arg) {
		COUNT(m->vm, bogus);
		return;
	}
	COUNT(m->vm, refused[cause]);
	member_drop_page(m, entry->page);
}

static void unshared_entry(struct member *m, const struct ps_entry *entry)
{
	if (vmmap_get(m->map, entry->page).state != VMMAP_MAPPED) {
		COUNT(m->vm, bogus);
		return;
	}
	COUNT(m->vm, unshared);
	member_drop_page(m, entry->page);
}

static void expect_entry(const struct member *m, const struct ps_entry *entry, enum fetch what)
{
	if (entry->op == PS_U_HINT || entry->op == PS_U_CONTENT)
		fetch(m, entry->arg, what);
}

void match_expect(const struct member *m, const struct ps_entry *next, uint32_t n)
{
	if (n > FETCH_BUCKET)
		expect_entry(m, &next[FETCH_BUCKET], FETCH_BUCKET);
	if (n > FETCH_ENTRY)
		expect_entry(m, &next[FETCH_ENTRY], FETCH_ENTRY);
}

void match_entry(struct member *m, const struct ps_entry *entry)
{
	switch (entry->op) {
	case PS_U_HINT:
		hint_entry(m, entry);
		break;
	case PS_U_CONTENT:
		content_entry(m, entry);
		break;
	case PS_U_SHARED:
		shared_entry(m, entry);
		break;
	case PS_U_REFUSED:
		refused_entry(m, entry);
		break;
	case PS_U_UNSHARED:
		unshared_entry(m, entry);
		break;
	default:
		COUNT(m->vm, bogus);
	}
}

static void expect_parked(const struct member *m, enum fetch what)
{
	const struct parked *hint = member_parked(m, what);

	if (hint)
		fetch(m, hint->hash, what);
}

void match_retry(struct member *m)
{
	struct daemon *d = m->domain->daemon;
	uint32_t n = m->parked_count < RETRY_SLICE ? m->parked_count : RETRY_SLICE;
	uint32_t done = 0, blocked = 0;
	struct parked hint;

	if (m->state != MEMBER_ACTIVE)
		return;
	for (uint32_t i = 0; i < n && blocked < RETRY_BLOCKED && member_unpark(m, &hint); i++) {
		expect_parked(m, FETCH_BUCKET);
		expect_parked(m, FETCH_ENTRY);
		if (match_hint(m, hint.page, hint.hash) == -EAGAIN) {
			(void)member_park(m, hint.page, hint.hash);
			blocked++;
		} else {
			done++;
		}
	}
	if (done && m->parked_count)
		session_ready(m->vm->session);
	if (done)
		m->retry_ns = RETRY_MIN;
	else if (m->retry_ns < RETRY_MAX)
		m->retry_ns *= 2;
	m->retry_at = d->now + m->retry_ns;
	if (m->parked_count)
		daemon_wake_at(d, m->retry_at);
}

/* Slots whose content did not come in time stay taken: the agent may still write into them. */
static void want_timeouts(struct member *m)
{
	struct daemon *d = m->domain->daemon;

	m->want_deadline = 0;
	for (uint32_t i = 0; i < PS_CONTENT_SLOTS; i++) {
		struct want *want = &m->want[i];
		struct member *asker;

		if (want->state != WANT_OPEN)
			continue;
		if (want->deadline > d->now) {
			if (!m->want_deadline || want->deadline < m->want_deadline)
				m->want_deadline = want->deadline;
			continue;
		}
		list_del(&want->link);
		want->state = WANT_LATE;
		drop_hint(m, want->page, want->hash);
		hints_lose(&m->hints);
		asker = want_asker(m, want);
		if (asker)
			match_or_park(asker, want->asker_page, want->hash);
	}
	if (m->want_deadline)
		daemon_wake_at(d, m->want_deadline);
}

/* A megabyte for each VM is worth giving back, though not while anything is on its way. */
static void free_idle_content(struct daemon *d, const struct vm *vm)
{
	struct ring *ring = &vm->session->ring;

	if (!ring->content_until)
		return;
	if (ring->content_until <= d->now) {
		if (!vm->member || vm->member->free_slots == PS_CONTENT_SLOTS) {
			ring_forget_content(ring);
			return;
		}
		ring->content_until = d->now + CONTENT_IDLE;
	}
	daemon_wake_at(d, ring->content_until);
}

void match_tick(struct daemon *d)
{
	list_for_each(vm, &d->vms, struct vm, link) {
		if (vm->session)
			free_idle_content(d, vm);
		if (!vm->member || !vm->member->want_deadline)
			continue;
		if (vm->member->want_deadline <= d->now)
			want_timeouts(vm->member);
		else
			daemon_wake_at(d, vm->member->want_deadline);
	}
	list_for_each(m, &d->waiting, struct member, waiting) {
		if (m->retry_at <= d->now)
			match_retry(m);
		else
			daemon_wake_at(d, m->retry_at);
	}
}
