/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tier: from staged on, in the order of preference: zeros are nowhere; a page that is equal to a
 * frame of its domain is kept as a reference to that; one that compresses is compressed; the rest,
 * and what has been compressed longest, is written to the swap file.
 *
 * A page is in the worker's hands (holding, pagein.h) for the microseconds that its change takes;
 * who touches it meanwhile is woken and finds where it is then. What is written to the disk is in
 * nobody's hands meanwhile: it stays where it was, whole, with the slot noted beside it, and comes
 * back from there when it is touched. Only when it is on disk, and nothing has happened to it since
 * (its note is still the same, and was not made anew: outdate()), is it SWAPPED. So a disk that is
 * full, slow or broken costs nothing but the attempt.
 *
 * Twins: when staged pages have waited long enough they are hinted, once, and go on in the next
 * round. Where there is no room for a block's hints they wait, as long as the daemon takes some
 * (reclaim-ripe.c): a VM that is suspended has many pages of one age. What is equal to a frame is
 * ordered to share by then: compared in full, and kept as a reference, which the daemon counts as
 * it counts one that is mapped.
 */
#include "agent/tier.h"

#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/hash.h"
#include "agent/pagein.h"
#include "agent/say.h"
#include "agent/stage.h"
#include "agent/swapfile.h"
#include "agent/uplink.h"
#include "agent/zip.h"
#include "sys/proc.h"
#include "sys/unsafe.h"

_Static_assert(COLD_BATCH <= SWAPFILE_BATCH, "a batch is one of the file's");
_Static_assert(COLD_BATCHES >= SWAPFILE_BATCHES, "each has a record");

#define RING_SPARE 512u		   /* entries left for answers */
#define TAG_OUTDATED PS_FRAME_NONE /* what no page that is compressed has */

/* The page is compressed anew, and its handle may be the one that it had before: what a batch of
 * then writes is old by now, however like its note is to this one. */
static void outdate(struct agent *a, uint32_t vm_page)
{
	for (uint32_t i = 0; i < COLD_BATCHES; i++) {
		struct cold_batch *b = &a->cold.batch[i];

		for (uint32_t k = 0; b->number && k < b->n; k++)
			if (b->page[k] == vm_page && !ps_without(DEFENCE_OUTDATE))
				b->tag[k] = TAG_OUTDATED;
	}
}

/* ---- twins ----------------------------------------------------------------------------------- */

/* Returns true if it was hinted. */
static bool hint_page(struct agent *a, struct region *r, uint32_t page, const struct store *s)
{
	struct holding h;
	uint64_t hash;
	bool zero;

	if (page_is(&r->state[page], PAGE_UNREF) || link_up_room(&a->link) < RING_SPARE ||
	    !holding_take(a, r, page, PAGE_STAGED, &h))
		return false;
	zero = page_is_zero(stage_page(r, page));
	hash = zero ? 0 : page_hash(stage_page(r, page), s->seed);
	holding_let_go(a, &h, PAGE_STAGED);
	if (zero)
		return false;
	a->stats.hinted++;
	a->stats.scanned++;
	return link_up(&a->link, PS_U_HINT, 0, 0, r->base + page, hash);
}

bool tier_has_room(const struct agent *a)
{
	return link_up_room(&a->link) >= RING_SPARE + PS_BLOCK_PAGES;
}

uint32_t tier_age(struct agent *a, struct region *r, uint32_t block, bool hint)
{
	const struct store *s = hint ? store_current(a) : NULL;
	uint32_t end = region_end_of(r, block), hinted = 0;

	for (uint32_t page = region_first_of(r, block); page < end; page++) {
		if (page_state(&r->state[page]) != PAGE_STAGED ||
		    page_age(&r->state[page]) == PAGE_AGE_RIPE)
			continue;
		page_found_written(&r->state[page]); /* counts up */
		if (s && page_age(&r->state[page]) == PAGE_AGE_RIPE)
			hinted += hint_page(a, r, page, s);
	}
	return hinted;
}

/* The content of a page that is in our hands; NULL: it is not at hand. */
static const char *content_of(struct agent *a, const struct holding *h)
{
	char *room = a->cold.room;

	if (h->was == PAGE_STAGED)
		return stage_page(h->r, h->page);
	if (h->was == PAGE_ZIPPED &&
	    !zip_get(a->cold.zip, h->r->frame[h->page], h->r->base + h->page, room))
		return room;
	return NULL;
}

static bool take_any(struct agent *a, struct region *r, uint32_t page, struct holding *h)
{
	return holding_take(a, r, page, PAGE_STAGED, h) || holding_take(a, r, page, PAGE_ZIPPED, h);
}

enum ps_cause tier_twin(struct agent *a, struct region *r, uint32_t page, struct store *s,
			uint32_t frame)
{
	uint32_t index = (uint32_t)(s - a->stores.store), entry;
	const char *content;
	struct holding h;
	bool equal;

	if (!(a->link.target.flags & PS_TARGET_TWIN) || index >= FRAME_TWIN_STORES)
		return PS_CAUSE_CHANGED;
	if (page_is(&r->state[page], PAGE_UNREF))
		return PS_CAUSE_QUARANTINE;
	/* not staged for as long as a quarantine lasts: a device may write to it yet */
	if (page_state(&r->state[page]) == PAGE_STAGED && page_age(&r->state[page]) < PAGE_AGE_RIPE)
		return PS_CAUSE_QUARANTINE;
	if (!take_any(a, r, page, &h))
		return PS_CAUSE_CHANGED;
	content = content_of(a, &h);
	equal = content && (memcmp(content, store_frame(s, frame), PS_PAGE_SIZE) == 0 ||
			    ps_without(DEFENCE_TWIN_COMPARE));
	if (!equal) {
		holding_let_go(a, &h, h.was);
		return PS_CAUSE_CHANGED;
	}
	entry = r->frame[page];
	r->frame[page] = FRAME_TWIN(index, frame);
	atomic_fetch_add(&s->twins, 1);
	holding_release(a, &h, h.was, entry);
	holding_let_go(a, &h, PAGE_COLD_TWIN);
	a->stats.twins++;
	return PS_CAUSE_NONE;
}

enum ps_cause tier_content(struct agent *a, struct region *r, uint32_t page, void *out)
{
	const char *content;
	struct holding h;

	if (!take_any(a, r, page, &h))
		return PS_CAUSE_CHANGED;
	content = content_of(a, &h);
	if (content)
		memcpy(out, content, PS_PAGE_SIZE);
	holding_let_go(a, &h, h.was);
	return content ? PS_CAUSE_NONE : PS_CAUSE_CHANGED;
}

static void untwin_page(struct agent *a, struct region *r, uint32_t page, bool all)
{
	char *room = a->cold.room;
	uint32_t handle, entry;
	struct holding h;
	const struct store *s;

	if (!holding_take(a, r, page, PAGE_COLD_TWIN, &h))
		return;
	entry = r->frame[page];
	if (!all && entry >> FRAME_TWIN_SHIFT == a->stores.current) {
		holding_let_go(a, &h, PAGE_COLD_TWIN);
		return;
	}
	s = &a->stores.store[entry >> FRAME_TWIN_SHIFT];
	memcpy(room, store_frame(s, entry & (PS_FRAMES_MAX - 1)), PS_PAGE_SIZE);
	if (a->cold.zip && !zip_put(a->cold.zip, r->base + page, room, ZIP_SOON, &handle)) {
		outdate(a, r->base + page);
		r->frame[page] = handle;
		holding_release(a, &h, PAGE_COLD_TWIN, entry);
		holding_let_go(a, &h, PAGE_ZIPPED);
		a->stats.zips++;
		return;
	}
	holding_let_go(a, &h, PAGE_COLD_TWIN);
	pagein_range(a, r, page, 1, a->cold.act_room);
}

void tier_untwin(struct agent *a, struct region *r, uint32_t first, uint32_t end, bool all)
{
	for (uint32_t page = first; page < end; page++) {
		if (page % PS_BLOCK_PAGES == 0 && !region_block(r, page)->out) {
			page += PS_BLOCK_PAGES - 1;
			continue;
		}
		if (page_state(&r->state[page]) == PAGE_COLD_TWIN)
			untwin_page(a, r, page, all);
	}
}

/* ---- to the swap file ------------------------------------------------------------------------ */

/* Pages in our hands, and their contents. */
struct outgoing {
	struct holding held[COLD_BATCH];
	const void *content[COLD_BATCH];
	uint32_t n;
};

static struct cold_batch *free_batch(struct cold *c)
{
	for (uint32_t i = 0; i < COLD_BATCHES; i++)
		if (!c->batch[i].number)
			return &c->batch[i];
	return NULL;
}

/* Begins to write them, and lets them go: they are where they were until they are on disk. Returns
 * how many are being written. */
static uint32_t submit(struct agent *a, struct outgoing *o)
{
	struct cold_batch *b = free_batch(&a->cold);
	uint32_t pages[COLD_BATCH], n = o->n;
	long number = -EAGAIN;

	for (uint32_t i = 0; i < n; i++)
		pages[i] = o->held[i].r->base + o->held[i].page;
	if (b && n)
		number = swapfile_submit(a->cold.swap, n, pages, o->content, b->slot);
	for (uint32_t i = 0; i < n; i++) {
		struct holding *h = &o->held[i];
		uint32_t *entry = &h->r->frame[h->page];

		if (number > 0) {
			if (h->was == PAGE_STAGED)
				*entry = b->slot[i];
			else
				a->cold.evicting++;
			b->page[i] = pages[i];
			b->was[i] = (uint8_t)h->was;
			b->tag[i] = *entry;
		}
		holding_let_go(a, h, h->was);
	}
	o->n = 0;
	if (number <= 0) {
		if (number == -ENOSPC)
			a->stats.swap_error = ENOSPC;
		return 0;
	}
	b->number = (uint32_t)number;
	b->n = n;
	return n;
}

static struct cold_batch *batch_of(struct cold *c, uint32_t number)
{
	for (uint32_t i = 0; i < COLD_BATCHES; i++)
		if (c->batch[i].number == number)
			return &c->batch[i];
	return NULL;
}

/* Page i of a batch that has ended. */
static void reap_page(struct agent *a, struct cold_batch *b, uint32_t i, bool good)
{
	enum page_state was = (enum page_state)b->was[i];
	struct region *r;
	struct holding h;
	uint32_t page;

	if (was == PAGE_ZIPPED)
		a->cold.evicting--;
	r = region_of(a, b->page[i], &page);
	if (!r || r->life != REGION_MANAGED || !holding_take(a, r, page, was, &h)) {
		if (good)
			swapfile_drop(a->cold.swap, b->slot[i]);
		return;
	}
	if (r->frame[page] != b->tag[i]) { /* it has been in the guest meanwhile */
		holding_let_go(a, &h, was);
		if (good)
			swapfile_drop(a->cold.swap, b->slot[i]);
		return;
	}
	if (!good) {
		if (was == PAGE_STAGED)
			r->frame[page] = PS_FRAME_NONE;
		holding_let_go(a, &h, was);
		return;
	}
	r->frame[page] = b->slot[i];
	holding_release(a, &h, was, b->tag[i]);
	holding_let_go(a, &h, PAGE_SWAPPED);
	a->stats.swapouts++;
}

bool tier_reap(struct agent *a)
{
	struct swapfile_done done;
	bool more = false;

	if (!a->cold.swap)
		return false;
	while (swapfile_reap(a->cold.swap, &done)) {
		struct cold_batch *b = batch_of(&a->cold, done.batch);

		if (!b)
			continue;
		for (uint32_t i = 0; i < b->n; i++)
			reap_page(a, b, i, i < done.good);
		a->stats.swap_error = (uint64_t)-done.error;
		if (done.error) {
			a->stats.swap_errors += b->n - done.good;
			agent_say("pages could not be written to the swap file, and stay in memory",
				  -done.error);
		}
		b->number = 0;
		a->cold.choked = 0;
	}
	for (uint32_t i = 0; i < COLD_BATCHES; i++)
		more |= a->cold.batch[i].number != 0;
	return more;
}

void tier_flush(struct agent *a)
{
	struct outgoing o = {.n = 0};
	struct cold *c = &a->cold;

	if (!c->nrest || !free_batch(c))
		return;
	for (uint32_t i = 0; i < c->nrest; i++) {
		struct holding *h = &o.held[o.n];
		uint32_t page;
		struct region *r = region_of(a, c->rest[i], &page);

		if (!r || r->life != REGION_MANAGED || !holding_take(a, r, page, PAGE_STAGED, h))
			continue;
		if (r->frame[page] != PS_FRAME_NONE) { /* it is being written already */
			holding_let_go(a, h, PAGE_STAGED);
			continue;
		}
		o.content[o.n++] = stage_page(r, page);
	}
	c->nrest = 0;
	submit(a, &o);
}

bool tier_is_choked(const struct agent *a)
{
	return a->cold.choked && sys_now() - a->cold.choked < TIER_CHOKED_NS;
}

/* False: there is no room, before a batch has ended. */
static bool put_rest(struct agent *a, uint32_t vm_page)
{
	struct cold *c = &a->cold;

	if (c->nrest == COLD_BATCH)
		tier_flush(a);
	if (c->nrest == COLD_BATCH) {
		if (!c->choked)
			c->choked = sys_now();
		return false;
	}
	c->rest[c->nrest++] = vm_page;
	return true;
}

uint32_t tier_evict(struct agent *a, uint32_t n)
{
	uint32_t handle[COLD_BATCH], pages[COLD_BATCH], found;
	struct outgoing o = {.n = 0};

	n = n < COLD_BATCH ? n : COLD_BATCH;
	if (!a->cold.zip || !a->cold.swap || !free_batch(&a->cold))
		return 0;
	found = zip_oldest(a->cold.zip, a->cold.evicting, n, handle, pages);
	for (uint32_t i = 0; i < found; i++) {
		struct holding *h = &o.held[o.n];
		char *room = a->cold.room + (size_t)o.n * PS_PAGE_SIZE;
		uint32_t page;
		struct region *r = region_of(a, pages[i], &page);

		if (!r || r->life != REGION_MANAGED || !holding_take(a, r, page, PAGE_ZIPPED, h))
			continue;
		if (r->frame[page] != handle[i] ||
		    zip_get(a->cold.zip, handle[i], pages[i], room)) {
			holding_let_go(a, h, PAGE_ZIPPED);
			continue;
		}
		o.content[o.n++] = room;
	}
	return submit(a, &o);
}

/* ---- staged pages go on ---------------------------------------------------------------------- */

struct ripening {
	struct agent *a;
	struct region *r;
	uint32_t flags, may, went;
	uint32_t give_from, give_n; /* memory that is given back at once */
	bool choked;		    /* a page found no free batch */
};

static void give(struct ripening *p, uint32_t page)
{
	if (p->give_n && page != p->give_from + p->give_n) {
		stage_give_back(p->r, p->give_from, p->give_n);
		p->give_n = 0;
	}
	if (!p->give_n)
		p->give_from = page;
	p->give_n++;
}

static void give_rest(struct ripening *p)
{
	if (p->give_n)
		stage_give_back(p->r, p->give_from, p->give_n);
	p->give_n = 0;
}

/* One staged page, unless it is for the swap file. */
static void ripen_page(struct ripening *p, uint32_t page)
{
	struct agent *a = p->a;
	struct region *r = p->r;
	const char *content = stage_page(r, page);
	struct holding h;
	uint32_t handle;

	if (!holding_take(a, r, page, PAGE_STAGED, &h))
		return;
	if (r->frame[page] != PS_FRAME_NONE) { /* it is being written */
		holding_let_go(a, &h, PAGE_STAGED);
		return;
	}
	if (page_is_zero(content)) {
		give(p, page);
		holding_drop(a, &h);
		a->stats.out_zeros++;
		return;
	}
	if (p->flags & PS_TARGET_ZIP && a->cold.zip &&
	    !zip_put(a->cold.zip, r->base + page, content,
		     p->flags & PS_TARGET_SUSPEND ? ZIP_STAYS : ZIP_SOON, &handle)) {
		outdate(a, r->base + page);
		r->frame[page] = handle;
		give(p, page);
		holding_let_go(a, &h, PAGE_ZIPPED);
		a->stats.zips++;
		p->went++;
		return;
	}
	holding_let_go(a, &h, PAGE_STAGED);
	if (p->flags & PS_TARGET_SWAP && a->cold.swap) {
		if (put_rest(a, r->base + page))
			p->went++;
		else
			p->choked = true;
	}
}

/* Is it worth to go on past a page that found no free batch? Where the disk stands still the others
 * have their turn: some compress. */
static bool waits_for_disk(const struct ripening *p)
{
	return p->choked && tier_is_choked(p->a);
}

uint32_t tier_ripen(struct agent *a, struct region *r, uint32_t block, uint32_t may, uint32_t flags)
{
	struct ripening p = {.a = a, .r = r, .flags = flags, .may = may};
	uint32_t end = region_end_of(r, block);

	for (uint32_t page = region_first_of(r, block);
	     page < end && p.went < may && !waits_for_disk(&p); page++)
		if (page_state(&r->state[page]) == PAGE_STAGED &&
		    (page_age(&r->state[page]) == PAGE_AGE_RIPE || ps_without(DEFENCE_STAGE_RESTS)))
			ripen_page(&p, page);
	give_rest(&p);
	return p.went;
}
