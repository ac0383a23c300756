/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * likeness-show: every ten seconds the daemon finds in the rings' memory what of the sample is
 * still the guest's. Its reader takes no lock: the number is odd while it is written.
 */
#include "agent/agent.h"
#include "agent/likeness.h"
#include "sys/pagemap.h"

/* Is the page still what it was when it was hashed? */
static bool is_known(struct agent *a, uint32_t vm_page)
{
	uint32_t page;
	const struct region *r = region_of(a, vm_page, &page);

	if (!r || r->life != REGION_MANAGED)
		return false;
	switch (page_state(&r->state[page])) {
	case PAGE_NEW:
	case PAGE_ARMED:
	case PAGE_BROKEN:
	case PAGE_ZERO:
		return false;
	default:
		return true;
	}
}

/* Was the guest's own page discarded? The walk has no reason to look there. */
static bool is_gone(struct agent *a, uint32_t vm_page)
{
	uint64_t entry = 0;
	uint32_t page;
	const struct region *r = region_of(a, vm_page, &page);

	if (!r || r->life != REGION_MANAGED || page_state(&r->state[page]) > PAGE_TWIN)
		return false;
	return pagemap_read(a->pagemap, (uintptr_t)region_page(r, page), &entry, 1) == 0 &&
	       !pagemap_is_copied(entry);
}

/* An eighth of the slots at a time: each is a look into the page tables. Under act. */
static void drop_the_gone(struct agent *a, struct likeness *l)
{
	for (uint32_t i = 0; i < LIKENESS_SLOTS / 8; i++) {
		l->look = (l->look + 1) % LIKENESS_SLOTS;
		if (l->slot[l->look].page && is_gone(a, l->slot[l->look].page - 1))
			likeness_drop(l, l->look);
	}
}

static void show(struct agent *a, struct likeness *l)
{
	struct ps_likeness *out = &a->link.map->likeness;
	uint32_t seq = __atomic_load_n(&out->seq, __ATOMIC_RELAXED) | 1, n = 0;
	uint64_t pages = 0;

	__atomic_store_n(&out->seq, seq, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&a->act);
	drop_the_gone(a, l);
	for (uint32_t at = 0; at < LIKENESS_SLOTS && n < PS_LIKENESS_MAX; at++)
		if (l->slot[at].page && is_known(a, l->slot[at].page - 1)) {
			out->hash[n++] = l->slot[at].hash;
			pages += 1ull << 4 * l->slot[at].level;
		}
	pthread_mutex_unlock(&a->act);
	out->n = n;
	out->pages = pages;
	out->below = l->below ? l->below * 8 : LIKENESS_WHOLE * 8ull;
	__atomic_store_n(&out->seq, seq + 1, __ATOMIC_SEQ_CST);
}

uint64_t likeness_step(struct agent *a, uint64_t now)
{
	struct likeness *l = &a->likeness;

	if (a->link.state != LINK_UP || !a->link.has_likeness)
		return UINT64_MAX;
	if (now < l->due)
		return l->due - now;
	l->due = now + LIKENESS_NS;
	show(a, l);
	return LIKENESS_NS;
}
