/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: whatever a VM holds in a domain is on its books and on its user's account, and all of it is
 * given back when it goes.
 *
 * A member that retires is emptied in slices, since a VM of a terabyte has more references than one
 * turn of the loop has time. Its slot in the index is given to another only when no hint of it is
 * left.
 *
 * Hints that cannot be dealt with at once wait here, in order; an agent of which too many wait is
 * told to hint no more for now (crowded).
 *
 * Limits: hints by member (hints.h), quotas of memory that its VM verifiably has (grant.c). What is
 * held for a member, to the byte, is on its user's account (member_charge), which has a limit.
 */

#include "daemon/member.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/session.h"
#include "daemon/vm.h"
#include "sys/memfd.h"
#include "sys/unsafe.h"

#define HINT_BYTES 9u	   /* of the index, for each hint */
#define DROP_SLICE 4096u   /* references given back in a turn */
#define SWEEP_SLICE 16384u /* index entries looked at in a turn */
#define PARKED_MIN 64u
#define PARKED_MAX (1u << 18)		 /* hints that may wait for one VM: 4 MiB */
#define PARKED_MANY (PARKED_MAX / 4 * 3) /* from here on its agent is told to hash no more ... */
#define PARKED_FEW (PARKED_MAX / 4)	 /* ... until so few are left */

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

void member_hint_taken(struct domain *domain, const struct index_entry *had)
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
	slot = domain_take_slot(domain);
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

struct member *member_at(const struct domain *domain, uint32_t slot)
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
 * the agent is told to pause in time. Not where no frame can be made, for hints would wait there
 * for nothing, and what can still be done then, zero pages, needs none. */
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
			struct member *asker = member_at(m->domain, want->asker_slot);

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
	else if (ps_without(DEFENCE_LAST_REFERENCE))
		(void)sys_punch_hole(m->domain->store, (uint64_t)entry.frame * PS_PAGE_SIZE,
				     PS_PAGE_SIZE);
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

bool members_work(struct daemon *d)
{
	list_for_each(m, &d->dropping, struct member, link)
		if (!drop_slice(m))
			return true;
	return !list_empty(&d->dropping);
}
