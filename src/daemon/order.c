/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a VM is ordered to do: bring a page's content (WANT), or map a page to a frame (SHARE).
 *
 * An entry in a VM's map is one reference to its frame, from the moment that SHARE is in the ring;
 * so a frame is never punched under a page that may just be being mapped to it. What is wanted is
 * wanted once for each hash.
 */

#include "daemon/order.h"

#include <errno.h>

#include "daemon/ring.h"
#include "daemon/session.h"
#include "daemon/vm.h"

#define WANT_TIMEOUT (1 * SEC)

static struct ring *ring_of(struct member *m)
{
	return &m->vm->session->ring;
}

static struct list *want_bucket(struct domain *domain, uint64_t hash)
{
	/* mixed with a secret: an agent chooses its hashes, and not who else is in its bucket */
	return &domain->want[index_mix(domain->index, hash) % WANT_BUCKETS];
}

struct want *order_wanted(struct domain *domain, uint64_t hash)
{
	list_for_each(want, want_bucket(domain, hash), struct want, link)
		if (want->hash == hash)
			return want;
	return NULL;
}

static int put_order(struct member *m, const struct ps_entry *entry)
{
	int r = ring_put(ring_of(m), entry);

	if (r == -EPROTO)
		m->vm->session->lied = true;
	session_mark(m->vm->session);
	return r == -EPROTO ? -EAGAIN : r;
}

int order_content(struct member *publisher, uint32_t page, uint64_t hash,
		  const struct member *asker, uint32_t asker_page)
{
	struct daemon *d = publisher->domain->daemon;
	uint32_t slot = publisher->next_slot;
	struct ps_entry order = {.op = PS_D_WANT, .page = page, .arg = hash};
	struct want *want;
	int r;

	if (!publisher->free_slots)
		return -EAGAIN;
	while (publisher->want[slot].state != WANT_FREE)
		slot = (slot + 1) % PS_CONTENT_SLOTS;
	want = &publisher->want[slot];
	order.slot = (uint16_t)slot;
	r = put_order(publisher, &order);
	if (r < 0)
		return r;
	publisher->next_slot = (slot + 1) % PS_CONTENT_SLOTS;
	want->state = WANT_OPEN;
	want->publisher = publisher;
	want->page = page;
	want->hash = hash;
	want->deadline = d->now + WANT_TIMEOUT;
	want->asker = asker ? asker->id : 0; /* which nobody has */
	want->asker_slot = asker ? asker->slot : UINT32_MAX;
	want->asker_page = asker_page;
	list_add_tail(want_bucket(publisher->domain, hash), &want->link);
	publisher->free_slots--;
	if (!publisher->want_deadline) {
		publisher->want_deadline = want->deadline;
		daemon_wake_at(d, want->deadline);
	}
	COUNT(publisher->vm, wants);
	return 0;
}

int order_share(struct member *m, uint32_t page, uint32_t frame)
{
	struct daemon *d = m->domain->daemon;
	struct ps_entry order = {.op = PS_D_SHARE, .page = page, .arg = frame};
	int r;

	if (!user_has_room(d, m->user)) {
		COUNT(m->vm, refused[PS_CAUSE_LIMIT]);
		hints_lose(&m->hints);
		return 0;
	}
	if (ring_space(ring_of(m)) <= 0)
		return -EAGAIN;
	r = frames_ref(m->domain->frames, frame);
	if (r == 0) {
		r = vmmap_set(m->map, page, VMMAP_PENDING, frame);
		if (r < 0 && frames_unref(m->domain->frames, frame) == 1)
			domain_free_frame(m->domain, frame);
	}
	if (r < 0) {
		COUNT(m->vm, refused[r == -ENOMEM ? PS_CAUSE_NO_MEMORY : PS_CAUSE_LIMIT]);
		hints_lose(&m->hints);
		return 0;
	}
	m->user->entries++;
	member_charge(m);
	r = put_order(m, &order);
	if (r < 0)
		member_drop_page(m, page);
	else
		COUNT(m->vm, shares);
	return r;
}
