/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/offer.h"

#include <errno.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/discard.h"
#include "agent/leftover.h"
#include "agent/nursery.h"
#include "agent/retire.h"
#include "agent/start.h"
#include "sys/events.h"
#include "sys/mapping.h"

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

struct agent *enter(const void *addr, size_t len)
{
	struct agent *a = agent_alive();

	if (!a || !spans_touch(&a->spans, (uintptr_t)addr, len))
		return NULL;
	agent_lock(a);
	return a;
}

void leave(struct agent *a)
{
	sys_eventfd_ring(a->bell);
	agent_unlock(a);
}

bool offered_whole(struct agent *a, const void *addr, size_t len)
{
	size_t slot = 0;
	struct part p;

	return next_part(a, addr, len, &slot, &p) && p.len == p.r->len && p.len == len;
}

size_t whole_pages(size_t len)
{
	return (len + PS_PAGE_SIZE - 1) & ~(size_t)(PS_PAGE_SIZE - 1);
}

bool well_formed(const void *addr, size_t len)
{
	return (uintptr_t)addr % PS_PAGE_SIZE == 0 && whole_pages(len) >= len && len &&
	       (uintptr_t)addr + whole_pages(len) > (uintptr_t)addr;
}

/* What the kernel says of a range that is to be mergeable. */
static int check_range(const void *addr, size_t len)
{
	if (!len && (uintptr_t)addr % PS_PAGE_SIZE == 0)
		return 0;
	if (!well_formed(addr, len))
		return -EINVAL;
	return map_has_holes(addr, whole_pages(len)) ? -ENOMEM : 0;
}

int offer_memory(void *addr, size_t len)
{
	struct agent *a;
	int err = check_range(addr, len);

	if (err)
		return err;
	len = whole_pages(len);
	if (len < REGION_MIN_BYTES)
		return 0; /* too small for us, and not for KSM either */
	a = agent_get();
	if (!a)
		return 0; /* said already; the VMM goes on without sharing */
	agent_lock(a);
	region_offer(a, (uintptr_t)addr, len);
	leave(a);
	return 0;
}

int withdraw_memory(void *addr, size_t len)
{
	struct agent *a = well_formed(addr, len) ? enter(addr, len) : NULL;

	if (a) {
		give_up_memory(a, addr, len);
		leave(a);
	}
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

/* The kernel refuses before it does anything, as a rule: then all is as it was. */
static void refused(struct agent *a, struct region *r)
{
	if (map_has_holes((void *)r->start, r->len))
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
	if (err)
		return;
	forget_late(a, addr, len);
	leftover_drop(a, (uintptr_t)addr, (uintptr_t)addr + whole_pages(len));
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
		if (p.r->life != REGION_MANAGED) {
			region_offer_again(a, p.r);
			continue;
		}
		again[n].start = p.r->start;
		again[n++].len = p.r->len;
		region_retire(a, p.r, false);
	}
	for (size_t i = 0; i < n; i++)
		region_offer(a, again[i].start, again[i].len);
}

void offer_refused(struct agent *a, const void *addr, size_t len)
{
	size_t slot = 0;
	struct part p;

	while (next_part(a, addr, len, &slot, &p))
		if (p.r->life == REGION_REFUSED)
			region_offer_again(a, p.r);
}

/* The live region that begins first in [from, end), cut to it. */
static bool first_part(struct agent *a, char *from, char *end, struct part *first)
{
	size_t slot = 0;
	struct part p;

	*first = (struct part){0};
	while (next_part(a, from, (size_t)(end - from), &slot, &p))
		if (!first->r || p.addr < first->addr)
			*first = p;
	return first->r;
}

/* Discards what lies in no region. */
static int discard_outside(struct agent *a, char *from, char *end, int advice)
{
	struct leftover l;
	int err = 0, hole = 0;

	while (err == 0 && from < end) {
		bool left = leftover_first(a, (uintptr_t)from, (uintptr_t)end, &l);
		char *to = left ? (char *)l.start : end;

		if (from < to)
			err = map_advise(from, (size_t)(to - from), advice);
		if (err == -ENOMEM) {
			hole = err;
			err = 0;
		}
		if (!err && left)
			err = advice == MADV_REMOVE ? -EINVAL : leftover_discard(a, &l);
		from = left ? (char *)l.end : end;
	}
	return err ? err : hole;
}

/* The first page of the part, from `page` on, that is broken; its end: none is. */
static uint32_t first_broken(const struct part *p, uint32_t page)
{
	while (page < p->page + p->n && !page_is_broken(page_state(&p->r->state[page])))
		page++;
	return page;
}

/* The kernel's own discard, for all that is not a frame's mapping still: a page that broke there
 * was zeroed in place, and would come back with the frame's content. */
static int advise_rest(struct agent *a, const struct part *p, int advice)
{
	uint32_t page = p->page, end = p->page + p->n, at;
	int err = 0;

	if (!a->broken)
		return map_advise(p->addr, p->len, advice);
	for (; !err && page < end; page = at + 1) {
		at = first_broken(p, page);
		if (at > page)
			err = map_advise(region_page(p->r, page),
					 (size_t)(at - page) * PS_PAGE_SIZE, advice);
	}
	return err;
}

static int discard_part(struct agent *a, const struct part *p, int advice)
{
	int err;

	if (p->r->life != REGION_MANAGED)
		return discard_outside(a, p->addr, p->addr + p->len, advice);
	if (advice == MADV_REMOVE) /* the kernel's answer where no file is behind the memory */
		return -EINVAL;
	err = discard_pages(a, p->r, p->page, p->n);
	return err ? err : advise_rest(a, p, advice);
}

int discard_memory(struct agent *a, void *addr, size_t len, int advice)
{
	char *from = addr, *end = from + whole_pages(len);
	int err = 0, hole = 0;
	struct part p;

	pthread_mutex_unlock(&a->settle); /* faults need not wait for a large discard */
	while (!err && from < end) {
		bool any = first_part(a, from, end, &p);
		char *to = any ? p.addr : end;

		if (from < to)
			err = discard_outside(a, from, to, advice);
		if (err == -ENOMEM) {
			hole = err;
			err = 0;
		}
		if (!err && any)
			err = discard_part(a, &p, advice);
		if (!err)
			forget_late(a, from, (size_t)((any ? p.addr + p.len : end) - from));
		from = any ? p.addr + p.len : end;
	}
	pthread_mutex_lock(&a->settle);
	return err ? err : hole;
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
		region_survey_anew(a, p.r);
		if (advice == MADV_DOFORK)
			p.r->forks = true;
		else if (advice == MADV_DONTFORK && p.len == p.r->len)
			p.r->forks = false;
		else if (advice == MADV_DONTDUMP) /* of a part: for all that is mapped later */
			p.r->dumps = false;
		else if (advice == MADV_DODUMP && p.len == p.r->len)
			p.r->dumps = true;
	}
}

/* What we made small stays small. */
static int huge_part(const struct part *p)
{
	struct block *block;
	size_t step;
	int err = 0;

	p->r->huge = true;
	if (p->r->life != REGION_MANAGED)
		return map_advise(p->addr, p->len, MADV_HUGEPAGE);
	for (size_t done = 0; !err && done < p->len; done += step) {
		uintptr_t at = (uintptr_t)p->addr + done;

		step = PS_BLOCK_SIZE - at % PS_BLOCK_SIZE;
		step = step < p->len - done ? step : p->len - done;
		block = &p->r->block[(at - p->r->origin) / PS_BLOCK_SIZE];
		block->stays_small = 0;
		if (!block->small)
			err = map_advise((void *)at, step, MADV_HUGEPAGE);
	}
	return err;
}

int allow_huge(struct agent *a, void *addr, size_t len)
{
	char *from = addr, *end = from + whole_pages(len);
	int err = 0, hole = 0;
	struct part p;

	while (!err && from < end) {
		bool any = first_part(a, from, end, &p);
		char *to = any ? p.addr : end;

		if (from < to)
			err = map_advise(from, (size_t)(to - from), MADV_HUGEPAGE);
		if (err == -ENOMEM) {
			hole = err;
			err = 0;
		}
		if (any)
			region_survey_anew(a, p.r);
		if (!err && any)
			err = huge_part(&p);
		from = any ? p.addr + p.len : end;
	}
	return err ? err : hole;
}

void forbid_huge(struct agent *a, void *addr, size_t len)
{
	size_t slot = 0;
	struct part p;

	while (next_part(a, addr, len, &slot, &p)) {
		if (p.r->life != REGION_MANAGED) {
			region_survey_anew(a, p.r);
			continue;
		}
		for (uint32_t page = p.page; page < p.page + p.n; page += PS_BLOCK_PAGES)
			region_block(p.r, page)->stays_small = 1;
		region_block(p.r, p.page + p.n - 1)->stays_small = 1;
	}
}

void moved_memory(struct agent *a, void *from, size_t len, void *to)
{
	leftover_move(a, (uintptr_t)from, (uintptr_t)from + len, (uintptr_t)to);
}
