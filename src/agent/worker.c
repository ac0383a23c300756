/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * worker: the agent's one thread that acts. A round does a little of each duty, then sleeps until
 * the next is due or somebody calls:
 *
 *   link        connect, control messages, WANT answered, SHARE noted
 *   regions     adopt what was opted in, announce, take leave of what is gone
 *   births      regions that begin as an image of another VM's
 *   freeze      the VM is forked: say what it has, and hold still
 *   leave       the daemon wants us out of the domain: unshare, wait for the quarantine, say so
 *   orders      share, block by block
 *   batches     broken pages are shared again, or brought back
 *   quarantine  give back what has waited long enough
 *   references  tell the daemon which frames are not mapped any more
 *   tracking    let the walk see what was unshared
 *   large       break huge pages for the daemon's target, or make some again
 *   walk        look for what changed, hash, hint
 *   sample      how much of its memory does the guest use?
 *   reclaim     cold pages go out, what is out comes back where it is told to
 *   census      count what the guest has, where looks are far apart
 *   likeness    show the sample of pages that plans are made of
 *   picture     draw what memory is in, for whoever looks
 *   figures     what `pshare list` shows
 *   tables      give back page tables that hold nothing
 */
#include "agent/worker.h"

#include <errno.h>
#include <string.h>

#include "agent/adopt.h"
#include "agent/agent.h"
#include "agent/bringback.h"
#include "agent/census.h"
#include "agent/figures.h"
#include "agent/large.h"
#include "agent/likeness.h"
#include "agent/nursery.h"
#include "agent/picture.h"
#include "agent/reclaim.h"
#include "agent/reshare.h"
#include "agent/sample.h"
#include "agent/share.h"
#include "agent/tier.h"
#include "agent/track.h"
#include "agent/uplink.h"
#include "sys/events.h"
#include "sys/mapping.h"
#include "sys/proc.h"
#include "sys/thread.h"
#include "sys/unsafe.h"
#include "sys/wait.h"

#define IDLE_NS 1000000000ull /* without a daemon */
#define TRACK_NS 100000000ull
#define QUARANTINE_MS_DEFAULT 2000u
#define SLEEP_MAX_NS 5000000000ull
#define SLEEP_MIN_NS 20000ull
#define NAP_NS 500000ull
#define NAP_FULL_NS 10000000ull /* the daemon makes no room, perhaps for long */
#define FREEZE_NAP_NS 10000000ull
#define TIDY_NS 2000000000ull
#define LEAVE_NS 20000000ull
#define HOMELESS_NS 5000000000ull
#define HOMELESS_LONG_NS 60000000000ull /* it may share: a domain may still come */
#define HOMELESS_AGAIN_NS 1000000000ull /* the quarantine, and what could not be moved */
#define TIDY_BUSY_NS 20000000000ull
#define TIDY_BUSY_PAGES 4096u /* moved since: it is in the middle of it */

/* ---- leaving a domain --------------------------------------------------------------------- */

static bool still_quarantined(const struct agent *a)
{
	for (uint32_t i = 0; i < STORES_MAX; i++)
		if (a->stores.store[i].quarantined)
			return true;
	return false;
}

/* Nothing of these pages maps a frame any more, of whatever store, but for what the kernel does not
 * let move. Under act. */
static void bring_part_back(struct agent *a, struct region *r, uint32_t first, uint32_t end)
{
	tier_untwin(a, r, first, end, true);
	bring_back(a, r, first, end - first);
	for (uint32_t page = first; page < end; page++)
		if (page_is_broken(page_state(&r->state[page])))
			r->frame[page] = FRAME_BROKEN_OLD;
}

/* The same of all regions, a block at a time: a thread of the VMM may wait for act. Nothing comes
 * to map a frame meanwhile, as only this thread maps them. */
static void bring_frames_back(struct agent *a)
{
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];
		uint32_t next = 0;
		bool more = true;

		while (more) {
			pthread_mutex_lock(&a->act);
			if (next < r->first)
				next = r->first;
			more = r->life == REGION_MANAGED && next < r->end;
			if (more) {
				uint32_t block = next / PS_BLOCK_PAGES * PS_BLOCK_PAGES;
				uint32_t end = block + PS_BLOCK_PAGES;

				end = end < r->end ? end : r->end;
				bring_part_back(a, r, next, end);
				next = end;
			}
			pthread_mutex_unlock(&a->act);
		}
	}
}

static void leave_store(struct agent *a)
{
	bring_frames_back(a);
	pthread_mutex_lock(&a->act);
	store_leave(a);
	pthread_mutex_unlock(&a->act);
}

/* A reader may have one in hand, and not have read its frame yet: until it is in the guest the
 * frame is to stay what it is. Those that could not be put elsewhere are tried again. */
static bool twins_are_read(struct agent *a)
{
	bool any = false;

	for (uint32_t i = 0; i < STORES_MAX; i++)
		any |= a->stores.store[i].twins != 0;
	if (!any)
		return false;
	pthread_mutex_lock(&a->act);
	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		if (a->region[i].life == REGION_MANAGED)
			tier_untwin(a, &a->region[i], a->region[i].first, a->region[i].end, true);
	pthread_mutex_unlock(&a->act);
	return true;
}

/* The daemon counts all our references as given back once it has LEFT. */
static void forget_references(struct agent *a)
{
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		for (uint32_t page = r->first; r->life == REGION_MANAGED && page < r->end; page++)
			page_clear(&r->state[page], PAGE_UNREF);
	}
}

static void serve_leave(struct agent *a)
{
	struct link *l = &a->link;

	if (!l->leaving || l->state != LINK_UP)
		return;
	if (store_current(a)) {
		for (uint32_t i = 0; i < l->orders; i++)
			link_up(l, PS_U_REFUSED, PS_CAUSE_GONE, 0, l->order[i].page,
				l->order[i].frame);
		l->orders = 0;
		reshare_refuse(a);
		leave_store(a);
	}
	if (still_quarantined(a)) /* its frames are still to be compared with */
		return;
	if (twins_are_read(a) && !ps_without(DEFENCE_TWINS_IN))
		return;
	pthread_mutex_lock(&a->act);
	forget_references(a);
	store_sweep(a);
	pthread_mutex_unlock(&a->act);
	if (link_plain(l, PS_MSG_LEFT, l->leaving) == 0)
		l->leaving = 0;
}

/* Frames of an earlier session, and no domain to find their twins in: the VM may not share any
 * more, or there is no room for a domain. There is no look that would copy them out, and nobody
 * else tells us to. */
static void serve_homeless(struct agent *a, uint64_t now)
{
	struct link *l = &a->link;

	if (l->state != LINK_UP || !l->configured || !l->holds_old || store_current(a)) {
		a->homeless_until = 0;
		return;
	}
	if (!a->homeless_until)
		a->homeless_until =
			now + (l->config.flags & PS_CONFIG_SHARE ? HOMELESS_LONG_NS : HOMELESS_NS);
	if (now < a->homeless_until)
		return;
	a->homeless_until = now + HOMELESS_AGAIN_NS;
	bring_frames_back(a);
	if (still_quarantined(a) || twins_are_read(a))
		return;
	pthread_mutex_lock(&a->act);
	store_sweep(a);
	pthread_mutex_unlock(&a->act);
	if (link_no_old(a) && link_plain(l, PS_MSG_OLD_GONE, 0) == 0)
		l->holds_old = false;
}

/* ---- orders ------------------------------------------------------------------------------- */

/* Orders o[0..n-1], sorted, of one block. */
static void carry_out(struct agent *a, const struct order *o, uint32_t n)
{
	struct run_order orders[PS_BLOCK_PAGES];
	struct region *r;
	uint32_t page, count = 0;

	pthread_mutex_lock(&a->act);
	for (uint32_t i = 0; i < n; i++) {
		r = region_of(a, o[i].page, &page);
		if (!r || r->life != REGION_MANAGED || page < r->first || page >= r->end ||
		    (count && orders[count - 1].page == page)) {
			link_up(&a->link, PS_U_REFUSED, PS_CAUSE_GONE, 0, o[i].page, o[i].frame);
			continue;
		}
		orders[count++] = (struct run_order){.page = page, .frame = o[i].frame};
	}
	r = n ? region_of(a, o[0].page, &page) : NULL;
	if (count && r)
		share_block(a, r, orders, count);
	pthread_mutex_unlock(&a->act);
}

static void serve_orders(struct agent *a)
{
	struct link *l = &a->link;
	uint32_t n = l->orders, i = 0;

	if (!n)
		return;
	memcpy(a->sorted, l->order, n * sizeof(a->sorted[0]));
	l->orders = 0;
	orders_sort(a->sorted, n);
	while (i < n) {
		uint32_t block = a->sorted[i].page / PS_BLOCK_PAGES, k = 1;

		while (i + k < n && k < PS_BLOCK_PAGES &&
		       a->sorted[i + k].page / PS_BLOCK_PAGES == block)
			k++;
		carry_out(a, &a->sorted[i], k);
		link_ring(l);
		i += k;
	}
}

/* ---- references --------------------------------------------------------------------------- */

/* Returns true if some have to wait. */
static bool give_back(struct agent *a, struct region *r, uint32_t block)
{
	uint32_t page = block * PS_BLOCK_PAGES;
	uint32_t end = page + PS_BLOCK_PAGES < r->end ? page + PS_BLOCK_PAGES : r->end;
	bool wait = false;

	for (; page < end; page++) {
		uint8_t byte = __atomic_load_n(&r->state[page], __ATOMIC_ACQUIRE);

		if (!(byte & PAGE_UNREF))
			continue;
		if ((byte & PAGE_QUARANTINED) ||
		    !link_up(&a->link, PS_U_UNSHARED, 0, 0, r->base + page, 0))
			wait = true;
		else
			page_clear(&r->state[page], PAGE_UNREF);
	}
	return wait;
}

static void serve_references(struct agent *a)
{
	bool wait = false;

	if (a->link.state != LINK_UP || !atomic_exchange(&a->unrefs, false))
		return;
	pthread_mutex_lock(&a->act);
	for (size_t i = 0; i < PS_REGIONS_MAX; i++) {
		struct region *r = &a->region[i];

		for (uint32_t b = 0; r->life == REGION_MANAGED && b < r->blocks; b++) {
			if (!__atomic_exchange_n(&r->block[b].unrefs, 0, __ATOMIC_ACQ_REL))
				continue;
			if (!give_back(a, r, b))
				continue;
			__atomic_store_n(&r->block[b].unrefs, 1, __ATOMIC_RELEASE);
			wait = true;
		}
	}
	pthread_mutex_unlock(&a->act);
	if (wait)
		a->unrefs = true;
}

/* ---- what was unshared ---------------------------------------------------------------------- */

static void serve_tracking(struct agent *a, uint64_t now, uint64_t *next)
{
	if (now < *next)
		return;
	*next = now + TRACK_NS;
	pthread_mutex_lock(&a->act);
	track_again(a);
	pthread_mutex_unlock(&a->act);
}

/* ---- page tables -------------------------------------------------------------------------- */

struct tidy {
	uint64_t next;	 /* ns */
	uint64_t latest; /* ns: then, however busy */
	uint64_t seen;	 /* pages moved, when it was last looked */
	uint64_t moved;	 /* pages moved, when it was last done */
};

/* Frames leave the window for the guest, pages leave the nursery: empty page tables stay behind, as
 * large as what was shared. The kernel takes them back (6.14 and newer) when a range that holds
 * nothing is discarded. Not while much is moved: that would make them anew. */
static void serve_tables(struct agent *a, uint64_t now, struct tidy *tidy)
{
	uint64_t moved = a->stats.shares + a->unshares + a->discards;
	bool busy;

	if (now < tidy->next)
		return;
	tidy->next = now + TIDY_NS;
	busy = moved - tidy->seen > TIDY_BUSY_PAGES;
	tidy->seen = moved;
	if (moved == tidy->moved || (busy && now < tidy->latest))
		return;
	tidy->moved = moved;
	tidy->latest = now + TIDY_BUSY_NS;
	pthread_mutex_lock(&a->act);
	store_tidy(a);
	quarantine_tidy(&a->quarantine);
	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		if (a->region[i].life == REGION_MANAGED)
			nursery_tidy(a, &a->region[i]);
	pthread_mutex_unlock(&a->act);
}

/* ---- rounds ------------------------------------------------------------------------------- */

/* Who called while the worker slept: bits of sys_wait_readable(). */
enum { CALLED_BELL = 1, CALLED_SOCK = 2, CALLED_RING = 4 };

/* How far the rings were at the last wait. */
struct pace {
	uint32_t up, down;
};

static uint64_t least(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

/* Was anything said to the daemon, or heard from it, since the last wait? */
static bool is_busy(struct pace *p, const struct link *l)
{
	bool busy = p->up != l->up_tail || p->down != l->down_head;

	p->up = l->up_tail;
	p->down = l->down_head;
	return busy;
}

/* Sleeps until wait ns have passed or somebody calls. While much goes to and fro it naps: orders
 * gather meanwhile, whole runs of them, and nobody has to ring. It naps too while the daemon has to
 * make room for answers: the room comes without a word. Returns who called. */
static unsigned int wait_for_work(struct agent *a, uint64_t wait, struct pace *pace)
{
	int fds[] = {a->bell, a->link.sock, a->link.down_bell};
	unsigned int ready = 0;
	uint64_t nap = 0;

	link_ring(&a->link);
	if (wait < SLEEP_MIN_NS)
		return 0;
	if (is_busy(pace, &a->link))
		nap = NAP_NS;
	else if (link_is_full(&a->link))
		nap = NAP_FULL_NS;
	if (nap) {
		sys_wait_readable(fds, 2, (long)(least(wait, nap) / 1000), &ready);
	} else {
		if (!link_sleep(&a->link, true))
			sys_wait_readable(fds, 3, (long)(least(wait, SLEEP_MAX_NS) / 1000), &ready);
		link_sleep(&a->link, false);
	}
	if (ready & CALLED_BELL)
		sys_eventfd_clear(a->bell);
	return ready;
}

static uint64_t quarantine_wait(struct agent *a, uint64_t now)
{
	uint32_t wait_ms = a->link.configured ? a->link.config.quarantine_ms :
						QUARANTINE_MS_DEFAULT;
	uint32_t ms = quarantine_run(a, (uint32_t)(now / 1000000), wait_ms);

	return ms == UINT32_MAX ? UINT64_MAX : ms * 1000000ull;
}

void *worker_main(void *arg)
{
	struct agent *a = arg;
	uint64_t next_figures = 0, next_tracking = 0;
	unsigned int called = 0;
	struct pace pace = {0};
	struct tidy tidy = {0};

	agent_note_stack(a, AGENT_WORKER, __builtin_frame_address(0));
	figures_begin(a);
	for (;;) {
		uint64_t now = sys_now(), wait;

		wait = link_service(a, now, called & CALLED_SOCK, called & CALLED_RING);
		adopt_regions(a, now);
		birth_serve(a);
		if (freeze_serve(a, now)) {
			called = wait_for_work(a, least(wait, FREEZE_NAP_NS), &pace);
			continue;
		}
		serve_leave(a);
		serve_homeless(a, now);
		serve_orders(a);
		wait = least(wait, quarantine_wait(a, now));
		serve_references(a);
		serve_tracking(a, now, &next_tracking);
		wait = least(wait, reshare_run(a, now));
		wait = least(wait, large_step(a, now));
		wait = least(wait, walk_step(a, now));
		wait = least(wait, sample_step(a, now));
		wait = least(wait, reclaim_step(a, now));
		wait = least(wait, census_step(a, now));
		wait = least(wait, picture_step(a, now));
		wait = least(wait, likeness_step_born(a, now));
		wait = least(wait, likeness_step(a, now));
		figures_serve(a, now, &next_figures);
		serve_tables(a, now, &tidy);
		wait = least(wait, a->link.state == LINK_UP ? FIGURES_NS : IDLE_NS);
		if (a->link.leaving)
			wait = least(wait, LEAVE_NS);
		called = wait_for_work(a, wait, &pace);
	}
	return NULL;
}

void *worker_tell_why(void *arg)
{
	struct agent *a = arg;
	unsigned int ready = 0;

	for (;;) {
		uint64_t wait = link_service(a, sys_now(), true, false);

		ready = 0;
		sys_wait_readable(&a->link.sock, 1, (long)(least(wait, SLEEP_MAX_NS) / 1000),
				  &ready);
	}
	return NULL;
}
