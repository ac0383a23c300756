/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/offer.h"

#include <errno.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/nursery.h"
#include "agent/discard.h"
#include "sys/events.h"
#include "sys/mapping.h"
#include "sys/vmas.h"

/* The part of a range that lies in a region. */
struct part {
	struct region *r;
	uint32_t page, n;
	char *addr;
	size_t len;
};

static bool is_left(const struct region *r)
{
	return r->life == REGION_RETIRED && r->quarantined;
}

static bool is_live(const struct region *r)
{
	return r->life != REGION_FREE && r->life != REGION_RETIRED;
}

static bool is_either(const struct region *r)
{
	return is_live(r) || is_left(r);
}

/* The next region of that kind, from slot *slot on, that the range touches. */
static bool next_of(struct agent *a, bool (*is)(const struct region *r), const void *addr,
		    size_t len, size_t *slot, struct part *p)
{
	uintptr_t from = (uintptr_t)addr, to = from + len;

	for (; *slot < PS_REGIONS_MAX; (*slot)++) {
		struct region *r = &a->region[*slot];
		uintptr_t start = from > r->start ? from : r->start;
		uintptr_t end = to < r->start + r->len ? to : r->start + r->len;

		if (!is(r) || start >= end)
			continue;
		*p = (struct part){
			.r = r,
			.page = (uint32_t)((start - r->origin) / PS_PAGE_SIZE),
			.addr = (char *)start,
			.len = end - start,
		};
		p->n = (uint32_t)((end - 1 - r->origin) / PS_PAGE_SIZE) - p->page + 1;
		(*slot)++;
		return true;
	}
	return false;
}

static bool next_part(struct agent *a, const void *addr, size_t len, size_t *slot, struct part *p)
{
	return next_of(a, is_live, addr, len, slot, p);
}

bool touches(struct agent *a, const void *addr, size_t len)
{
	size_t slot = 0;
	struct part p;

	return next_part(a, addr, len, &slot, &p);
}

bool touches_any(struct agent *a, const void *addr, size_t len)
{
	size_t slot = 0;
	struct part p;

	return next_of(a, is_either, addr, len, &slot, &p);
}

bool offered_whole(struct agent *a, const void *addr, size_t len)
{
	size_t slot = 0;
	struct part p;

	return next_part(a, addr, len, &slot, &p) && p.len == p.r->len && p.len == len;
}

int offer_memory(void *addr, size_t len)
{
	struct agent *a;

	if ((uintptr_t)addr % PS_PAGE_SIZE)
		return -EINVAL;
	len = (len + PS_PAGE_SIZE - 1) & ~(size_t)(PS_PAGE_SIZE - 1);
	if (len < REGION_MIN_BYTES)
		return 0; /* too small for us, and not for KSM either */
	a = agent_get();
	if (!a)
		return 0; /* said already; the VMM goes on without sharing */
	agent_lock(a);
	region_offer(a, (uintptr_t)addr, len);
	agent_unlock(a);
	sys_eventfd_ring(a->bell);
	return 0;
}

int withdraw_memory(void *addr, size_t len)
{
	struct agent *a = agent_alive();

	if (!a)
		return 0;
	agent_lock(a);
	give_up_memory(a, addr, len);
	agent_unlock(a);
	sys_eventfd_ring(a->bell);
	return 0;
}

void give_up_memory(struct agent *a, const void *addr, size_t len)
{
	size_t slot = 0;
	struct part p;

	while (next_part(a, addr, len, &slot, &p))
		region_retire(a, p.r, false);
}

void forget_late(struct agent *a, const void *addr, size_t len)
{
	size_t slot = 0;
	struct part p;

	while (next_of(a, is_left, addr, len, &slot, &p))
		quarantine_forget(a, p.r, p.page, p.n);
}

void unmapping_memory(struct agent *a, const void *addr, size_t len)
{
	size_t slot = 0;
	struct part p;

	while (next_part(a, addr, len, &slot, &p))
		if (p.len != p.r->len)
			region_retire(a, p.r, false);
}

/* The kernel refuses before it does anything, as a rule: then all is as it was. Where that cannot
 * be seen, the region is given up with all that it maps, which is right if it is there. */
static void refused(struct agent *a, struct region *r)
{
	unsigned int what;

	if (vmas_describe(r->start, r->len, &what))
		region_retire(a, r, false);
	else if (what & VMAS_HOLE)
		region_retire(a, r, true);
}

void unmapped_memory(struct agent *a, const void *addr, size_t len, int err)
{
	size_t slot = 0;
	struct part p;

	while (next_part(a, addr, len, &slot, &p)) {
		if (err)
			refused(a, p.r);
		else
			region_retire(a, p.r, true);
	}
	if (!err)
		forget_late(a, addr, len);
}

void offer_anew(struct agent *a, const void *addr, size_t len)
{
	struct {
		uintptr_t start;
		size_t len;
	} again[PS_REGIONS_MAX];
	size_t slot = 0, n = 0;
	struct part p;

	while (next_part(a, addr, len, &slot, &p)) {
		if (p.r->life != REGION_MANAGED)
			continue;
		again[n].start = p.r->start;
		again[n++].len = p.r->len;
		region_retire(a, p.r, false);
	}
	for (size_t i = 0; i < n; i++)
		region_offer(a, again[i].start, again[i].len);
}

int discard_memory(struct agent *a, void *addr, size_t len)
{
	size_t slot = 0;
	struct part p;
	int err = 0;

	while (!err && next_part(a, addr, len, &slot, &p))
		if (p.r->life == REGION_MANAGED)
			err = discard_pages(a, p.r, p.page, p.n);
	forget_late(a, addr, len);
	return err;
}

/* The first page in [from, end) that is stuck; end: none is. */
static char *first_stuck(struct agent *a, char *from, char *end)
{
	size_t slot = 0;
	struct part p;

	while (next_part(a, from, (size_t)(end - from), &slot, &p)) {
		const uint8_t *state = p.r->life == REGION_MANAGED ? &p.r->state[p.page] : NULL;

		for (uint32_t i = 0; state && i < p.n; i++) {
			if (page_is_broken(page_state(&state[i]))) {
				end = region_page(p.r, p.page + i);
				break;
			}
		}
	}
	return end;
}

int advise_rest(struct agent *a, void *addr, size_t len, int advice)
{
	char *from = addr, *end = from + len, *at;
	int err = 0;

	if (!a->broken || (uintptr_t)addr % PS_PAGE_SIZE)
		return map_advise(addr, len, advice);
	for (; !err && from < end; from = at + PS_PAGE_SIZE) {
		at = first_stuck(a, from, end);
		if (at > from)
			err = map_advise(from, (size_t)(at - from), advice);
	}
	return err;
}

static void follow_in_nursery(struct region *r, uint32_t page, uint32_t n, int advice)
{
	uint32_t end = page + n;

	page = page < r->nursery_first ? r->nursery_first : page;
	if (r->nursery && page < end)
		map_advise(nursery_page(r, page), (size_t)(end - page) * PS_PAGE_SIZE, advice);
}

void follow_advice(struct agent *a, void *addr, size_t len, int advice)
{
	size_t slot = 0;
	struct part p;

	while (next_part(a, addr, len, &slot, &p)) {
		follow_in_nursery(p.r, p.page, p.n, advice);
		if (advice == MADV_DOFORK)
			p.r->forks = true;
		else if (advice == MADV_DONTFORK && p.len == p.r->len)
			p.r->forks = false;
	}
}

int allow_huge(struct agent *a, void *addr, size_t len)
{
	size_t slot = 0;
	struct part p;
	int err = 0;

	while (!err && next_part(a, addr, len, &slot, &p)) {
		p.r->huge = true;
		if (p.r->life != REGION_MANAGED)
			err = map_advise(p.addr, p.len, MADV_HUGEPAGE);
		for (size_t done = 0; p.r->life == REGION_MANAGED && !err && done < p.len;) {
			uintptr_t at = (uintptr_t)p.addr + done;
			size_t step = PS_BLOCK_SIZE - at % PS_BLOCK_SIZE;

			step = step < p.len - done ? step : p.len - done;
			if (!p.r->block[(at - p.r->origin) / PS_BLOCK_SIZE].small)
				err = map_advise((void *)at, step, MADV_HUGEPAGE);
			done += step;
		}
	}
	return err;
}
