/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reshare: a page that broke, and became stable again, is shared where it lies; one that became
 * zeros, or that lies in a mapping without frames, goes back into anonymous memory.
 *
 * A batch:
 *  1. close its pages (bringback.c, steps 1 to 3), all of them, so that one test for pins does.
 * Just
 *     these: whole mappings would not be cut meanwhile, but then a test is for a tenth of the
 *     pages, and more writes wait;
 *  2. test for pins. Those that are pinned are refused, and stay;
 *  3. run by run, the pages being closed: compare with the frame, in full; keep a reference for the
 *     quarantine; map the frame over the page, in one call; wake who waited;
 *  4. open the rest.
 * From 1 to 4 who writes to one of them waits; nobody else does, but for the fork. Step 3 ends
 * after BATCH_NS, wherever it is. Where mappings are few it may take as long as steps 1 and 2 did:
 * where a fork takes 100 ms, and a page one, a fork for ten pages would never bring back what holds
 * the last mappings.
 *
 * Pace: a batch is not to be felt. The next one begins when PACE times the time has gone by for
 * which pages were closed in the last one. A fork stops every fault of the VMM for milliseconds,
 * so it is made more seldom, and for more pages: PACE_FORK times what it took; while many wait, not
 * quite as seldom.
 *
 * The items are the truth about orders: each is answered once, whatever became of its page.
 */
#include "agent/reshare.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/bringback.h"
#include "agent/guard.h"
#include "agent/guarded.h"
#include "agent/hash.h"
#include "agent/mapbudget.h"
#include "agent/nursery.h"
#include "agent/pins.h"
#include "agent/place.h"
#include "agent/uplink.h"
#include "sys/mapping.h"
#include "sys/proc.h"
#include "sys/unsafe.h"

#define BATCH_NS 10000000ull /* then what is closed is opened; the rest waits for the next one */
#define PACE 10u
#define PACE_FORK 200u
#define PACE_FORK_MANY 30u
#define PACE_FORK_CROWDED 4u
#define PACE_MIN_NS 50000000ull
#define PACE_MAX_NS 10000000000ull
#define PACE_CROWDED_NS 500000000ull /* the most where mappings are few, however busy the host */

static bool is_order(uint32_t frame)
{
	return frame != RESHARE_ZERO && frame != RESHARE_OWN;
}

static bool add(struct agent *a, uint32_t vm_page, uint32_t frame)
{
	struct reshare *s = &a->reshare;

	if (s->n == RESHARE_MAX)
		return false;
	s->item[s->n++] = (struct order){.page = vm_page, .frame = frame};
	return true;
}

bool reshare_order(struct agent *a, uint32_t vm_page, uint32_t frame)
{
	if (!add(a, vm_page, frame))
		return false;
	a->link.waiting++;
	return true;
}

bool reshare_page(struct agent *a, struct region *r, uint32_t page, uint32_t frame)
{
	return add(a, r->base + page, frame);
}

static void answer(struct agent *a, const struct order *it, enum ps_cause cause)
{
	if (cause)
		a->stats.refused[cause]++;
	if (!is_order(it->frame))
		return;
	a->link.waiting--;
	link_up(&a->link, cause ? PS_U_REFUSED : PS_U_SHARED, (uint8_t)cause, 0, it->page,
		it->frame);
}

void reshare_refuse(struct agent *a)
{
	struct reshare *s = &a->reshare;

	for (uint32_t i = 0; i < s->n; i++)
		answer(a, &s->item[i], PS_CAUSE_GONE);
	s->n = 0;
}

void reshare_forget(struct agent *a)
{
	a->reshare.n = 0;
	a->link.waiting = 0;
}

/* ---- one batch ------------------------------------------------------------------------------ */

struct batch {
	struct agent *a;
	struct store *s;
	struct closed *c; /* sorted */
	uint32_t closed;
};

/* The region and page of an item that can be done; NULL: it is not (any more) what it was. */
static struct region *still_there(struct agent *a, const struct order *it, uint32_t *page)
{
	struct region *r = region_of(a, it->page, page);

	if (!r || r->life != REGION_MANAGED || *page < r->first || *page >= r->end)
		return NULL;
	if (page_is(&r->state[*page], PAGE_QUARANTINED | PAGE_UNREF) ||
	    !page_is_broken(page_state(&r->state[*page])))
		return NULL;
	return r;
}

/* How many of the n items are of pages that follow it[0]'s, which is page of r, within its block.
 */
static uint32_t neighbours(struct agent *a, const struct region *r, uint32_t page,
			   const struct order *it, uint32_t n)
{
	uint32_t k = 1, next;

	while (k < n && it[k].page == it->page + k && (page + k) % PS_BLOCK_PAGES != 0 &&
	       still_there(a, &it[k], &next) == r)
		k++;
	return k;
}

/* Step 1, for as many of the n items as can be closed at once. Returns how many were looked at. */
static uint32_t close_items(struct batch *b, const struct order *it, uint32_t n)
{
	uint32_t i, k, page, runs = 0;

	for (i = 0; i < n && runs < RESHARE_RUNS; i += k) {
		struct region *r = still_there(b->a, &it[i], &page);

		k = 1;
		if (!r)
			continue; /* refused in step 3 */
		k = neighbours(b->a, r, page, &it[i], n - i);
		if (b->closed + k > CLOSED_MAX)
			break;
		b->closed += close_untested(b->a, r, page, k, b->c + b->closed);
		runs++;
	}
	return i;
}

static struct closed *closed_page(struct batch *b, const struct region *r, uint32_t page)
{
	uint32_t low = 0, high = b->closed;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		const struct closed *c = &b->c[mid];

		if (c->r->base + c->page < r->base + page)
			low = mid + 1;
		else
			high = mid;
	}
	return low < b->closed && b->c[low].r == r && b->c[low].page == page ? &b->c[low] : NULL;
}

static void ask_for_items(struct batch *b, const struct order *it, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t page = 0;
		struct region *r = region_of(b->a, it[i].page, &page);
		struct closed *c = r ? closed_page(b, r, page) : NULL;

		if (c)
			c->ask = c->broken;
	}
}

/* What stands against an item's page; NONE: it is closed, unpinned, and what it should be. */
static enum ps_cause obstacle(struct batch *b, const struct order *it, struct closed **c)
{
	uint32_t page = 0;
	struct region *r = region_of(b->a, it->page, &page);

	*c = r ? closed_page(b, r, page) : NULL;
	if (!*c || !(*c)->broken || (*c)->done)
		return PS_CAUSE_CHANGED;
	/* Closed for a neighbour's sake: the item is older than what happened to the page since.
	 * Its former frame is still to be compared with, or its reference to be given back. */
	if (!page_is_broken((enum page_state)(*c)->was) ||
	    page_is(&r->state[page], PAGE_QUARANTINED | PAGE_UNREF))
		return PS_CAUSE_QUARANTINE;
	if ((*c)->pinned)
		return PS_CAUSE_PINNED;
	if (it->frame == RESHARE_OWN)
		return PS_CAUSE_NONE;
	if (it->frame == RESHARE_ZERO)
		return page_is_zero(region_page(r, page)) ? PS_CAUSE_NONE : PS_CAUSE_CHANGED;
	return memcmp(region_page(r, page), store_frame(b->s, it->frame), PS_PAGE_SIZE) == 0 ?
		       PS_CAUSE_NONE :
		       PS_CAUSE_CHANGED;
}

/* The frame that the mapping at a page of the region has there; NONE: there is none to join. */
static uint32_t frame_beside(struct batch *b, const struct region *r, uint32_t page)
{
	enum page_state state = page_state(&r->state[page]);
	const struct closed *c = state == PAGE_OUT ? closed_page(b, r, page) : NULL;

	if (c)
		state = (enum page_state)c->was;
	return state == PAGE_SHARED ? r->frame[page] : PS_FRAME_NONE;
}

/* Mappings are few: a frame that cuts the mapping in which its page lies has a price, as it has
 * for pages in anonymous memory (danger 18). */
static bool is_worth(struct batch *b, const struct closed *c, uint32_t frame, uint32_t n)
{
	const struct region *r = c->r;
	bool first = c->page == r->first, last = c->page + n == r->end;
	struct run run = {.page = c->page, .frame = frame, .len = (uint16_t)n};
	uint32_t before = first ? PS_FRAME_NONE : frame_beside(b, r, c->page - 1);
	uint32_t after = last ? PS_FRAME_NONE : frame_beside(b, r, c->page + n);

	run.cost = (int16_t)runs_cost(runs_side_before(&run, first, before),
				      runs_side_after(&run, last, after));
	if (!mapbudget_is_worth(b->a, &run))
		return false;
	mapbudget_spend(b->a, c->r, &run);
	return true;
}

/* Equal pages that follow each other, with frames that do: n of them, from c on. */
static int map_frames(struct batch *b, struct closed *c, uint32_t frame, uint32_t n)
{
	struct agent *a = b->a;
	struct region *r = c->r;
	char *addr = region_page(r, c->page), *slot;
	int err;

	if (!is_worth(b, c, frame, n))
		return -ENOMEM;
	slot = quarantine_take(&a->quarantine, n);
	if (!slot || (!ps_without(DEFENCE_KEEP_BROKEN) && quarantine_keep(a, slot, addr, n) < n))
		return -EBUSY;
	ps_pause_at(HOOK_PAUSE_BATCH);
	err = place_frames(a, b->s, addr, frame, n);
	if (err)
		return err;
	for (uint32_t i = 0; i < n; i++) {
		r->frame[c[i].page] = frame + i;
		page_set(&r->state[c[i].page], PAGE_SHARED);
		c[i].done = 1;
	}
	quarantine_note(a, slot, r, c->page, n, QUARANTINE_FRAME, b->s, frame);
	region_mark_frames(r, c->page, n);
	__atomic_fetch_sub(&region_block(r, c->page)->broken, (uint16_t)n, __ATOMIC_RELAXED);
	a->stats.shares += n;
	a->stats.reshares += n;
	if (region_block(r, c->page)->guarded)
		guarded_protect(a, r, c->page, n);
	guard_wake(a, r, c->page, n);
	map_advise(addr, (size_t)n * PS_PAGE_SIZE, MADV_POPULATE_READ);
	return 0;
}

static int make_zero(struct batch *b, struct closed *c)
{
	struct agent *a = b->a;
	struct region *r = c->r;
	char *addr = region_page(r, c->page), *slot = quarantine_take(&a->quarantine, 1);
	int err;

	if (!r->nursery || c->page < r->nursery_first || !slot ||
	    quarantine_keep(a, slot, addr, 1) < 1)
		return -EBUSY;
	err = place_pages(a, addr, nursery_page(r, c->page), PS_PAGE_SIZE);
	if (err)
		return err;
	note_own(a, r, c->page, PAGE_BROKEN);
	page_set(&r->state[c->page], PAGE_ZERO);
	quarantine_note(a, slot, r, c->page, 1, QUARANTINE_ZERO, NULL, 0);
	c->done = 1;
	a->stats.zeroed++;
	guard_wake(a, r, c->page, 1);
	map_advise(addr, PS_PAGE_SIZE, MADV_POPULATE_READ); /* the zero page: what was given back */
	return 0;
}

static int bring_run_back(struct batch *b, struct closed *c, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		c[i].done = 1; /* bring_back_closed() opens what it leaves */
	return bring_back_closed(b->a, c, n) ? -EBUSY : 0;
}

static enum ps_cause cause_of(int err)
{
	if (err == -ENOMEM)
		return PS_CAUSE_MAPPINGS;
	return err ? PS_CAUSE_QUARANTINE : PS_CAUSE_NONE;
}

/* Can item k be done in one call with the first? */
static bool follows(const struct order *it, uint32_t k)
{
	if (it->frame == RESHARE_ZERO || it[k].page != it->page + k ||
	    it[k].page % PS_BLOCK_PAGES == 0)
		return false;
	return it[k].frame == (is_order(it->frame) ? it->frame + k : it->frame);
}

/* Step 3 from item it on; returns how many items it was. */
static uint32_t do_run(struct batch *b, const struct order *it, uint32_t n)
{
	struct closed *c, *next;
	enum ps_cause cause = obstacle(b, it, &c);
	uint32_t k = 1;
	int err;

	if (cause) {
		if (c && !c->done && page_is_broken((enum page_state)c->was)) {
			page_found_written(&c->r->state[c->page]);
			c->was = PAGE_BROKEN;
		}
		answer(b->a, it, cause);
		return 1;
	}
	while (k < n && follows(it, k) && !obstacle(b, &it[k], &next))
		k++;
	if (it->frame == RESHARE_OWN)
		err = bring_run_back(b, c, k);
	else if (it->frame == RESHARE_ZERO)
		err = make_zero(b, c);
	else
		err = map_frames(b, c, it->frame, k);
	for (uint32_t i = 0; err && i < k; i++)
		c[i].was = PAGE_BROKEN;
	for (uint32_t i = 0; i < k; i++)
		answer(b->a, &it[i], cause_of(err));
	return k;
}

static void open_rest(struct batch *b)
{
	uint32_t k;

	for (uint32_t i = 0; i < b->closed; i += k) {
		for (k = 1; i + k < b->closed && b->c[i + k].done == b->c[i].done;)
			k++;
		if (!b->c[i].done)
			open_pages(b->a, &b->c[i], k);
	}
}

/* Returns how many of the items were dealt with. */
static uint32_t run_batch(struct agent *a, const struct order *it, uint32_t n)
{
	struct batch b = {
		.a = a,
		.s = store_current(a),
		.c = a->closed,
	};
	uint64_t begun = sys_now(), start, most;
	uint32_t looked = close_items(&b, it, n), i, k;

	ps_pause_at(HOOK_PAUSE_BATCH);
	ask_for_items(&b, it, looked);
	if (b.closed)
		pins_test(a, b.c, b.closed);
	ps_pause_at(HOOK_PAUSE_BATCH);
	start = sys_now();
	most = a->walk.crowded && start - begun > BATCH_NS ? start - begun : BATCH_NS;
	for (i = 0; i < looked && (ps_without(HOOK_PAUSE_BATCH) || sys_now() - start < most);
	     i += k)
		k = do_run(&b, &it[i], looked - i);
	open_rest(&b);
	return i;
}

/* ---- pace ----------------------------------------------------------------------------------- */

/* How many times as long as a fork took nobody is to be held up by another. */
static uint64_t fork_times(const struct agent *a)
{
	if (a->walk.crowded) /* each lone broken page holds two mappings, and there are none */
		return PACE_FORK_CROWDED;
	return a->reshare.n > RESHARE_FORK_BATCH / 2 ? PACE_FORK_MANY : PACE_FORK;
}

static uint64_t pace(const struct agent *a, uint64_t stall)
{
	uint64_t wait = stall * PACE,
		 fork = __atomic_load_n(&a->fork_ns, __ATOMIC_RELAXED) * fork_times(a);

	if (__atomic_load_n(&a->stats.pins, __ATOMIC_RELAXED) == PS_PINS_FORK &&
	    (fork > wait || a->walk.crowded))
		wait = fork;
	wait = wait < PACE_MIN_NS ? PACE_MIN_NS : wait;
	if (a->walk.crowded && wait > PACE_CROWDED_NS)
		return PACE_CROWDED_NS;
	return wait > PACE_MAX_NS ? PACE_MAX_NS : wait;
}

static void note_stall(struct agent *a, uint64_t stall)
{
	a->stats.batches++;
	a->stats.stall_ns += stall;
	times_add(&a->timed[PS_TIMED_HOLD], stall);
	if (stall > a->stats.stall_max_ns)
		a->stats.stall_max_ns = stall;
}

uint64_t reshare_run(struct agent *a, uint64_t now)
{
	struct reshare *s = &a->reshare;
	/* act is not held: a thread of the VMM's may be asking how pins are told */
	bool forks = __atomic_load_n(&a->stats.pins, __ATOMIC_RELAXED) == PS_PINS_FORK;
	uint32_t most = forks ? RESHARE_FORK_BATCH : RESHARE_BATCH;
	uint32_t n = s->n < most ? s->n : most, done;
	uint64_t start;

	if (!n)
		return UINT64_MAX;
	if (now < s->next)
		return s->next - now;
	memcpy(s->batch, s->item, n * sizeof(s->batch[0]));
	orders_sort(s->batch, n);
	start = sys_now();
	pthread_mutex_lock(&a->act);
	done = run_batch(a, s->batch, n);
	pthread_mutex_unlock(&a->act);
	note_stall(a, sys_now() - start);
	/* What could not be closed with the others waits on, behind what was there. */
	memmove(s->item, s->item + n, (s->n - n) * sizeof(s->item[0]));
	memcpy(s->item + s->n - n, s->batch + done, (n - done) * sizeof(s->item[0]));
	s->n -= done;
	s->next = sys_now() + pace(a, sys_now() - start);
	return s->next - now;
}
