/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: no frame is seen outside of its domain, rewritten while somebody may look at it, or kept
 * when nobody does.
 *
 * A domain is found by its key and lives as long as it has members. Its store is a memfd that only
 * this file writes: mode 0400, its size sealed, handed out as a read-only reopen. It is not sealed
 * against writing, for a sealed store could never give back a page. Not even the daemon maps it: it
 * is written with pwrite() and emptied with fallocate(), so no stray store of ours can hit it.
 *
 * A frame: allocated (FILLING), written, LIVE, in the index; referenced by pages of members; with
 * the last reference out of the index, then PUNCHING, and only when the hole is there FREE. A
 * hole that could not be punched stays PUNCHING and is tried again: its slot is used by nobody
 * till then.
 *
 * A member that retires is emptied in slices, since a VM of a terabyte has more references than one
 * turn of the loop has time. Its slot in the index is given to another only when no hint of it is
 * left, and a domain that a VM was made to leave (closed) takes nobody in any more: rehome.c.
 *
 * Limits: what one user's VMs may have with frames (user_has_room()); INDEX_VMS members;
 * the window, FRAMES_FACTOR times the host's pages; live frames at most the host's pages; hints by
 * member (hints.h), quotas of memory that its VM verifiably has (grant.c). What is held for a
 * member, to the byte, is on its user's account (member_charge), which has a limit.
 */
#include "daemon/domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/grant.h"
#include "daemon/host.h"
#include "daemon/rehint.h"
#include "daemon/session.h"
#include "daemon/vm.h"
#include "sys/cleanup.h"
#include "sys/entropy.h"
#include "sys/memfd.h"
#include "sys/unsafe.h"

#define FRAMES_FACTOR 4u
#define HINT_BYTES 9u		/* of the index, for each hint */
#define INDEX_EXPECT (1u << 18) /* hints that an index is made for, where fewer are claimed ... */
#define INDEX_AHEAD 16u		/* ... or so many times what its VMs may put there now */
#define STORE_RETRY (1 * SEC)
#define DROP_SLICE 4096u   /* references given back in a turn */
#define SWEEP_SLICE 16384u /* index entries looked at in a turn */
#define PARKED_MIN 64u
#define PARKED_MAX (1u << 18)		 /* hints that may wait for one VM: 4 MiB */
#define PARKED_MANY (PARKED_MAX / 4 * 3) /* from here on its agent rests from hashing ... */
#define PARKED_FEW (PARKED_MAX / 4)	 /* ... until so few are left */
#define RETRY_MIN (2 * MSEC)
#define UNSAFE_PART 2048u /* frames */

static uint32_t window_for(uint64_t host_pages)
{
	uint64_t wanted = host_pages * FRAMES_FACTOR;
	uint32_t window = PS_BLOCK_PAGES;

	while (window < wanted && window < PS_FRAMES_MAX)
		window *= 2;
	return window;
}

static int store_new(uint32_t window)
{
	_cleanup_close_ int fd = sys_memfd_new("pshare-store", (uint64_t)window * PS_PAGE_SIZE);
	int r;

	if (fd < 0)
		return fd;
	r = sys_fchmod(fd, 0400);
	if (r < 0)
		return r;
	r = sys_memfd_seal(fd, SYS_SEALS_SIZE);
	if (r < 0)
		return r;
	return TAKE_FD(fd);
}

int domain_store_fd(const struct domain *domain)
{
	return sys_memfd_reopen_readonly(domain->store);
}

static void domain_free(struct domain *domain)
{
	if (domain->link.next)
		list_del(&domain->link);
	frames_free(domain->frames);
	index_free(domain->index);
	close_fd(&domain->store);
	free(domain->slot);
	free(domain);
}
DEFINE_CLEANUP(struct domain *, domain_free, domain_free);

/* Without the defence "one-store": the first domain's memfd, each in its own part of it. */
static int store_of_first(struct daemon *d, struct domain *domain)
{
	const struct domain *first = list_entry(d->domains.next, struct domain, link);
	uint32_t frame, near = PS_FRAME_NONE;
	int fd = ps_unsafe_dup(first->store);

	for (uint32_t i = 0; i < UNSAFE_PART * d->ndomains; i++, near = frame)
		(void)frames_alloc(domain->frames, 0, i, near, &frame);
	close_fd(&domain->store);
	return fd;
}

static int domain_new(struct daemon *d, const struct domain_key *key, struct domain **out)
{
	_cleanup_(cleanup_domain_free) struct domain *domain = calloc(1, sizeof(*domain));
	uint64_t secret[2], pages = host_pages(d);
	int r;

	if (!domain)
		return -ENOMEM;
	domain->store = -1;
	domain->daemon = d;
	domain->key = *key;
	domain->fingerprint = (uint32_t)(domain_key_hash(key) >> 32);
	for (uint32_t i = 0; i < WANT_BUCKETS; i++)
		list_init(&domain->want[i]);
	r = sys_random(secret, sizeof(secret));
	if (r < 0)
		return r;
	domain->seed = secret[0];
	domain->window = window_for(pages);
	domain->store = store_new(domain->window);
	if (domain->store < 0)
		return domain->store;
	domain->frames = frames_new(domain->window,
				    (uint32_t)(pages < domain->window ? pages : domain->window));
	domain->index = index_new(0, secret[1]);
	if (!domain->frames || !domain->index)
		return -ENOMEM;
	if (ps_unsafe("one-store") && !list_empty(&d->domains))
		domain->store = store_of_first(d, domain);
	domain->generation = ++d->next_id;
	list_add_tail(&d->domains, &domain->link);
	d->ndomains++;
	*out = TAKE_PTR(domain);
	return 0;
}

static void domain_end(struct domain *domain)
{
	domain->daemon->ndomains--;
	log_debug("domain %08x: generation %llu ends", domain->fingerprint,
		  (unsigned long long)domain->generation);
	domain_free(domain);
}

static struct domain *domain_find(struct daemon *d, const struct domain_key *key)
{
	list_for_each(domain, &d->domains, struct domain, link)
		if (!domain->closed && domain_key_equal(&domain->key, key))
			return domain;
	return NULL;
}

/* A free VM slot, or -errno. */
static int slot_take(struct domain *domain)
{
	uint32_t more = domain->nslots ? domain->nslots * 2 : 4;
	struct member **grown;

	for (uint32_t i = 0; i < domain->nslots; i++)
		if (!domain->slot[i])
			return (int)i;
	if (more > INDEX_VMS)
		more = INDEX_VMS;
	if (more == domain->nslots)
		return -EUSERS;
	grown = realloc(domain->slot, more * sizeof(struct member *));
	if (!grown)
		return -ENOMEM;
	memset(grown + domain->nslots, 0, (more - domain->nslots) * sizeof(struct member *));
	domain->slot = grown;
	more = domain->nslots;
	domain->nslots = domain->nslots ? domain->nslots * 2 : 4;
	if (domain->nslots > INDEX_VMS)
		domain->nslots = INDEX_VMS;
	return (int)more;
}

static struct member *member_new(struct daemon *d, struct vm *vm)
{
	struct member *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->map = vmmap_new();
	if (!m->map) {
		free(m);
		return NULL;
	}
	list_init(&m->link);
	list_init(&m->waiting);
	for (uint32_t i = 0; i < PS_CONTENT_SLOTS; i++)
		list_init(&m->want[i].link);
	m->free_slots = PS_CONTENT_SLOTS;
	m->retry_ns = RETRY_MIN;
	m->rehint_ns = REHINT_MIN;
	m->vm = vm;
	m->user = vm->user;
	m->user->holders++;
	m->id = ++d->next_id;
	return m;
}

static void member_free(struct member *m)
{
	list_del(&m->link);
	list_del(&m->waiting);
	vmmap_free(m->map);
	free(m->parked);
	m->user->bytes -= m->charged;
	m->domain->daemon->bytes -= m->charged;
	user_release(m->domain->daemon, m->user);
	free(m);
}

void member_charge(struct member *m)
{
	uint64_t bytes = sizeof(*m) + vmmap_bytes(m->map) + vmmap_hinted(m->map) * HINT_BYTES +
			 m->parked_cap * sizeof(struct parked);

	m->user->bytes += bytes - m->charged;
	m->domain->daemon->bytes += bytes - m->charged;
	m->charged = bytes;
}

void domain_hint_taken(struct domain *domain, const struct index_entry *had)
{
	struct member *m;

	if (had->kind != INDEX_HINT || had->vm >= domain->nslots)
		return;
	m = domain->slot[had->vm];
	if (!m)
		return;
	hints_taken(&m->hints, had->page);
	member_charge(m);
}

int member_join(struct daemon *d, struct vm *vm, const struct domain_key *key,
		struct member **member)
{
	struct domain *domain = domain_find(d, key);
	struct member *m;
	int r = 0, slot;

	if (!domain)
		r = domain_new(d, key, &domain);
	if (r < 0)
		return r;
	slot = slot_take(domain);
	m = slot < 0 ? NULL : member_new(d, vm);
	if (!m) {
		if (!domain->members)
			domain_end(domain);
		return slot < 0 ? slot : -ENOMEM;
	}
	m->domain = domain;
	m->slot = (uint32_t)slot;
	hints_init(&m->hints, m->map, m->slot);
	m->looks_before = vm_looks(vm);
	member_charge(m);
	domain->slot[slot] = m;
	domain->members++;
	if (domain->key.kind == DOMAIN_SALT)
		domain->fingerprint = vm->fingerprint;
	*member = m;
	return 0;
}

struct member *domain_member(const struct domain *domain, uint32_t slot)
{
	struct member *m = slot < domain->nslots ? domain->slot[slot] : NULL;

	return m && m->state == MEMBER_ACTIVE ? m : NULL;
}

static void set_crowded(struct member *m, bool crowded)
{
	if (m->crowded == crowded)
		return;
	m->crowded = crowded;
	if (!m->vm || !m->vm->session)
		return;
	m->vm->session->say_config = true;
	session_mark(m->vm->session);
}

/* An agent hints an unchanged page once: a hint that is lost is lost for a pass, or for ever. So
 * the agent is told to rest in time. Not where no frame can be made, for hints would wait there for
 * nothing, and what can still be done then, zero pages, needs none. */
static void judge_crowd(struct member *m)
{
	const struct daemon *d = m->domain->daemon;
	bool may_make = m->domain->full_until <= d->now && !d->memory_short;

	set_crowded(m, may_make && m->parked_count > (m->crowded ? PARKED_FEW : PARKED_MANY));
}

void member_silence(struct member *m)
{
	for (uint32_t i = 0; i < PS_CONTENT_SLOTS; i++) {
		struct want *want = &m->want[i];

		if (want->state == WANT_OPEN) {
			struct member *asker = domain_member(m->domain, want->asker_slot);

			list_del(&want->link);
			if (asker && asker != m && asker->id == want->asker)
				(void)member_park(asker, want->asker_page, want->hash);
		}
		want->state = WANT_FREE;
	}
	m->free_slots = PS_CONTENT_SLOTS;
	m->want_deadline = 0;
	m->user->entries -= m->parked_count;
	m->parked_count = 0;
	set_crowded(m, false);
	m->parked_cap = 0;
	free(m->parked);
	m->parked = NULL;
	list_del(&m->waiting);
	m->restarting = false;
	member_charge(m);
}

void member_retire(struct member *m)
{
	struct daemon *d = m->domain->daemon;

	member_silence(m);
	m->state = MEMBER_DROPPING;
	m->vm = NULL;
	list_del(&m->link);
	list_add_tail(&d->dropping, &m->link);
}

static bool park_grow(struct member *m)
{
	uint32_t cap = m->parked_cap ? m->parked_cap * 2 : PARKED_MIN;
	struct parked *grown;

	if (cap > PARKED_MAX)
		return false;
	grown = malloc(cap * sizeof(*grown));
	if (!grown)
		return false;
	for (uint32_t i = 0; i < m->parked_count; i++)
		grown[i] = m->parked[(m->parked_head + i) & (m->parked_cap - 1)];
	free(m->parked);
	m->parked = grown;
	m->parked_cap = cap;
	m->parked_head = 0;
	member_charge(m);
	return true;
}

bool member_park(struct member *m, uint32_t page, uint64_t hash)
{
	struct daemon *d = m->domain->daemon;

	if (!user_has_room(d, m->user) || (m->parked_count == m->parked_cap && !park_grow(m))) {
		COUNT(m->vm, parked_lost);
		hints_lose(&m->hints);
		return false;
	}
	m->parked[(m->parked_head + m->parked_count) & (m->parked_cap - 1)] =
		(struct parked){.page = page, .hash = hash};
	m->parked_count++;
	m->user->entries++;
	judge_crowd(m);
	if (list_empty(&m->waiting)) {
		list_add_tail(&d->waiting, &m->waiting);
		m->retry_at = d->now + m->retry_ns;
		daemon_wake_at(d, m->retry_at);
	}
	return true;
}

const struct parked *member_parked(const struct member *m, uint32_t n)
{
	return n < m->parked_count ? &m->parked[(m->parked_head + n) & (m->parked_cap - 1)] : NULL;
}

bool member_unpark(struct member *m, struct parked *out)
{
	if (!m->parked_count)
		return false;
	*out = m->parked[m->parked_head];
	m->parked_head = (m->parked_head + 1) & (m->parked_cap - 1);
	m->user->entries--;
	if (--m->parked_count == 0) {
		list_del(&m->waiting);
		free(m->parked);
		m->parked = NULL;
		m->parked_cap = m->parked_head = 0;
		member_charge(m);
	}
	judge_crowd(m);
	return true;
}

/* The frame is out of the index, or never was in it: from LIVE or FILLING to FREE. */
static void punch(struct domain *domain, uint32_t frame)
{
	int r;

	/* The daemon ends, its VMs live on with every frame that they map: nothing is taken from
	 * them. The kernel frees a store with its last mapping. */
	if (domain->daemon->ending) {
		(void)frames_end_punch(domain->frames, frame);
		return;
	}
	r = sys_punch_hole(domain->store, (uint64_t)frame * PS_PAGE_SIZE, PS_PAGE_SIZE);

	if (r == 0) {
		(void)frames_end_punch(domain->frames, frame);
		domain->daemon->count.frames_freed++;
		return;
	}
	domain->punch_at = domain->daemon->now + STORE_RETRY;
	daemon_wake_at(domain->daemon, domain->punch_at);
}

void domain_free_frame(struct domain *domain, uint32_t frame)
{
	(void)index_remove_frame(domain->index, frames_hash(domain->frames, frame), frame);
	if (frames_begin_punch(domain->frames, frame) == 0)
		punch(domain, frame);
}

void member_drop_page(struct member *m, uint32_t page)
{
	struct vmmap_entry entry = vmmap_get(m->map, page);

	if (entry.state == VMMAP_NONE)
		return;
	if (entry.state == VMMAP_HINTED) {
		hints_taken(&m->hints, page);
		member_charge(m);
		return;
	}
	(void)vmmap_clear(m->map, page);
	m->user->entries--;
	member_charge(m);
	if (frames_unref(m->domain->frames, entry.frame) == 1)
		domain_free_frame(m->domain, entry.frame);
	else if (ps_unsafe("punch-early"))
		(void)sys_punch_hole(m->domain->store, (uint64_t)entry.frame * PS_PAGE_SIZE,
				     PS_PAGE_SIZE);
}

static void store_is_full(struct domain *domain, int error)
{
	struct daemon *d = domain->daemon;

	if (domain->full_until < d->now)
		log_warn("domain %08x: no memory for another frame (%s): sharing waits",
			 domain->fingerprint, strerror(-error));
	domain->full_until = d->now + STORE_RETRY;
}

int domain_make_frame(struct domain *domain, struct member *m, uint32_t page, const void *content,
		      uint64_t hash, uint32_t *frame)
{
	struct vmmap_entry before = page ? vmmap_get(m->map, page - 1) : (struct vmmap_entry){0};
	bool framed = before.state == VMMAP_PENDING || before.state == VMMAP_MAPPED;
	struct index_entry had = {.kind = INDEX_NONE};
	uint32_t got = 0;
	int r = -ENOSPC;

	if (!host_memory_short(domain->daemon))
		r = frames_alloc(domain->frames, m->slot, page,
				 framed ? before.frame : PS_FRAME_NONE, &got);

	if (r < 0) {
		store_is_full(domain, r);
		return r;
	}
	r = sys_pwrite_full(domain->store, content, PS_PAGE_SIZE, (uint64_t)got * PS_PAGE_SIZE);
	if (r == 0)
		r = index_put_frame(domain->index, hash, got, &had);
	else
		store_is_full(domain, r);
	if (r < 0) {
		if (frames_begin_punch(domain->frames, got) == 0)
			punch(domain, got);
		return r;
	}
	domain_hint_taken(domain, &had);
	(void)frames_set_live(domain->frames, got, hash);
	domain->daemon->count.frames_made++;
	*frame = got;
	return 0;
}

/* One slice of a member's end; true when it was the last, and the member is gone. */
static bool drop_slice(struct member *m)
{
	struct domain *domain = m->domain;
	struct vmmap_entry entry;
	uint32_t n = 0;

	for (; !m->dropped && vmmap_next(m->map, &m->drop_page, &entry); m->drop_page++) {
		member_drop_page(m, m->drop_page);
		if (++n == DROP_SLICE)
			return false;
	}
	m->dropped = true;
	if (!index_sweep(domain->index, m->slot, 0, PS_PAGES_MAX - 1, &m->sweep_cursor,
			 SWEEP_SLICE))
		return false;
	domain->slot[m->slot] = NULL;
	domain->members--;
	member_free(m);
	if (!domain->members)
		domain_end(domain);
	return true;
}

bool domains_work(struct daemon *d)
{
	list_for_each(m, &d->dropping, struct member, link)
		if (!drop_slice(m))
			return true;
	return !list_empty(&d->dropping);
}

void domains_tick(struct daemon *d)
{
	list_for_each(domain, &d->domains, struct domain, link) {
		uint32_t frame = 0;

		if (domain->punch_at > d->now)
			daemon_wake_at(d, domain->punch_at);
		if (!domain->punch_at || domain->punch_at > d->now)
			continue;
		domain->punch_at = 0;
		for (; frames_next(domain->frames, FRAME_PUNCHING, &frame); frame++) {
			punch(domain, frame);
			if (domain->punch_at)
				break;
		}
	}
}

/* How many bits of a hash are compared is settled when an index is made. A domain is made before
 * its first VM has told its size, so an index that has nothing in it yet is made anew for that: as
 * far as the claims are backed by memory, for the table of its buckets is paid at once. */
void domain_fit_index(struct domain *domain)
{
	struct index_stats now = index_stats(domain->index);
	uint64_t claimed = 0, quota = 0, entries;
	struct page_index *index;
	uint64_t secret;

	for (uint32_t i = 0; i < domain->nslots; i++) {
		const struct member *m = domain->slot[i];

		claimed += m && m->vm ? m->vm->pages : 0;
		quota += m && m->vm ? m->hints.quota : 0;
	}
	entries = quota * INDEX_AHEAD > INDEX_EXPECT ? quota * INDEX_AHEAD : INDEX_EXPECT;
	entries = entries < claimed ? entries : claimed;
	if (now.hints || now.frames || domain->index_for >= entries)
		return;
	if (sys_random(&secret, sizeof(secret)) < 0)
		return;
	index = index_new(entries, secret);
	if (!index)
		return;
	index_free(domain->index);
	domain->index = index;
	domain->index_for = entries;
}
