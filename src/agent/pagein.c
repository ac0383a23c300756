/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pagein: from out to the guest's own page.
 *
 * Goal: who touches a page that is out gets its content, whole, or the VMM ends before it gets
 * anything else; and waits for nothing but what that content needs: no daemon, no lock that is held
 * while something waits, no other page's disk.
 *
 * The way of one page:
 *  1. claim: its state becomes COMING in one compare-and-swap. Whoever did that is alone with it:
 *     another thread that touches it finds it COMING and waits for the same wake; who discards it,
 *     or gives the region up, waits until it has come.
 *  2. content: in the holding area (staged), in a store's view (twin), in the compressed cache, in
 *     the swap file. From the swap file neighbours come along if they lie beside it there too.
 *  3. into the guest: UFFDIO_MOVE of the page itself (staged), UFFDIO_COPY of the content. Both put
 *     it where nothing is, in one step, and wake. There is no moment in which zeros could be seen:
 *     the gate is on until no page of the block is out (region_ungate_block()).
 *  4. what kept it is given up, and its state is NEW.
 *
 * A staged page may refuse to move: the kernel moves a huge page in one piece only to where no page
 * table is, and cannot split one to which somebody holds a plain reference (a pipe, a socket
 * that sends without a copy). Whoever holds it may be who waits here. So when the page has been out
 * for as long as a quarantine lasts, its content is copied. A device that writes late writes to the
 * page until then; one that holds a reference for longer is not seen elsewhere either
 * (quarantine.c).
 *
 * A hole that the guest's mapping has become (unmapped by a call that passed the agent by) is not
 * ours to fill: the page stays what it was, and who waits looks again.
 *
 * What is not what it was (a block of the swap file that was damaged, exchanged or is stale; a
 * compressed page whose sum is wrong) stops the VMM. So does a disk that cannot be read after
 * PAGEIN_READ_TRIES.
 *
 * Nothing here allocates or takes a lock of the agent's; zip and swapfile have locks of their own,
 * held for moments.
 */
#include "agent/pagein.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/move.h"
#include "agent/quarantine.h"
#include "agent/say.h"
#include "agent/swapfile.h"
#include "agent/zip.h"
#include "sys/mapping.h"
#include "sys/proc.h"
#include "sys/thread.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"
#include "sys/wait.h"

#define PAGEIN_TRIES 100000u	   /* of what the kernel has no memory for at the moment */
#define PAGEIN_HELD_NS 10000000ull /* who isolates a page for a moment lets it go by then */
#define PAGEIN_READ_TRIES 20u
#define PAGEIN_READ_AGAIN_US 50000

_Static_assert(PAGEIN_WINDOW <= PAGEIN_ROOM, "a window has room");
_Static_assert(PAGEIN_WINDOW <= SWAPFILE_NEIGHBOURS, "one read gives a window");

static char *shadow_page(const struct region *r, uint32_t page)
{
	return r->shadow + (size_t)page * PS_PAGE_SIZE;
}

static void wake(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uffd_wake(a->tracker, region_page(r, page), (size_t)n * PS_PAGE_SIZE);
}

static void pause_us(long us)
{
	unsigned int none;

	sys_wait_readable(NULL, 0, us, &none);
}

/* ---- a page in somebody's hands -------------------------------------------------------------- */

bool holding_take(struct agent *a, struct region *r, uint32_t page, enum page_state state,
		  struct holding *h)
{
	/* before the claim: whoever finds the page claimed counts after it */
	uint32_t wanted = atomic_load(&a->cold.wanted);

	if (region_block(r, page)->whole || !page_claim(&r->state[page], state, PAGE_COMING))
		return false;
	*h = (struct holding){.r = r, .page = page, .was = state, .wanted = wanted};
	return true;
}

static void wake_if_wanted(struct agent *a, const struct holding *h)
{
	if (atomic_load(&a->cold.wanted) != h->wanted)
		wake(a, h->r, h->page, 1);
}

void holding_let_go(struct agent *a, const struct holding *h, enum page_state to)
{
	if (to != h->was) {
		atomic_fetch_sub(cold_count(&a->cold, h->was), 1);
		atomic_fetch_add(cold_count(&a->cold, to), 1);
		if (h->was == PAGE_STAGED)
			__atomic_fetch_sub(&region_block(h->r, h->page)->staged, 1,
					   __ATOMIC_ACQ_REL);
	}
	page_force(&h->r->state[h->page], to);
	wake_if_wanted(a, h);
}

/* It is not out any more. */
static void note_in(struct agent *a, struct region *r, uint32_t page, enum page_state was)
{
	struct block *b = region_block(r, page);

	r->frame[page] = PS_FRAME_NONE;
	atomic_fetch_sub(cold_count(&a->cold, was), 1);
	if (was == PAGE_STAGED)
		__atomic_fetch_sub(&b->staged, 1, __ATOMIC_ACQ_REL);
	__atomic_store_n(&b->restless, 1, __ATOMIC_RELAXED);
	page_clear(&r->state[page], PAGE_VOLATILE);
	page_force(&r->state[page], PAGE_NEW);
	__atomic_fetch_sub(&b->out, 1, __ATOMIC_ACQ_REL);
}

void holding_drop(struct agent *a, const struct holding *h)
{
	note_in(a, h->r, h->page, h->was);
	wake_if_wanted(a, h);
}

void holding_release(struct agent *a, const struct holding *h, enum page_state state,
		     uint32_t entry)
{
	struct region *r = h->r;
	uint32_t index = entry >> FRAME_TWIN_SHIFT;

	switch (state) {
	case PAGE_STAGED:
		map_advise(shadow_page(r, h->page), PS_PAGE_SIZE, MADV_DONTNEED);
		break;
	case PAGE_COLD_TWIN:
		if (index == a->stores.current)
			region_give_back(a, r, h->page);
		atomic_fetch_sub(&a->stores.store[index].twins, 1);
		break;
	case PAGE_ZIPPED:
		zip_drop(a->cold.zip, entry, r->base + h->page);
		break;
	case PAGE_SWAPPED:
		swapfile_drop(a->cold.swap, entry);
		break;
	default:
		break;
	}
}

/* ---- into the guest ------------------------------------------------------------------------- */

static bool may_pass(long err)
{
	return err == -EAGAIN || err == -ENOMEM || err == -EINTR || err == -EBUSY;
}

static bool is_gone(long err)
{
	return err == -ENOENT || err == -EINVAL || err == -ESRCH;
}

/* A content, where nothing is. False: the mapping is not there. */
static bool copy_in(struct agent *a, struct region *r, uint32_t page, const char *content)
{
	for (unsigned int tries = 0; tries < PAGEIN_TRIES; tries++) {
		int err = uffd_copy(a->tracker, region_page(r, page), content, PS_PAGE_SIZE);

		if (!err)
			return true;
		if (is_gone(err))
			return false;
		if (!may_pass(err))
			break;
		pause_us(100);
	}
	agent_stop("a page that was out cannot be put back");
}

/* Has a page that refuses to move been out for as long as a quarantine lasts? since: when it first
 * refused, 0 at first. */
static bool is_held(struct agent *a, const struct region *r, uint32_t page, uint64_t *since)
{
	uint64_t now = sys_now(), rest = atomic_load(&a->cold.rest_ms) * 1000000ull;
	uint32_t at = __atomic_load_n(&r->block[page / PS_BLOCK_PAGES].stage_at, __ATOMIC_RELAXED);
	uint32_t age = quarantine_age(at, (uint32_t)(now / 1000000));

	*since = *since ? *since : now;
	if (ps_without(DEFENCE_HELD_COPIED))
		return false;
	return now - *since >= rest || (now - *since >= PAGEIN_HELD_NS && age * 1000000ull >= rest);
}

/* False: the mapping is not there. */
static bool copy_staged(struct agent *a, struct region *r, uint32_t page, char *room)
{
	memcpy(room, shadow_page(r, page), PS_PAGE_SIZE);
	if (!copy_in(a, r, page, room))
		return false;
	map_advise(shadow_page(r, page), PS_PAGE_SIZE, MADV_DONTNEED);
	return true;
}

/* Pages that follow each other, all of them staged. Returns how many are in: the mapping is not
 * there for the next one, if there is one. */
static uint32_t move_in(struct agent *a, struct region *r, uint32_t page, uint32_t n, char *room)
{
	size_t len = (size_t)n * PS_PAGE_SIZE, done = 0, step = len;
	uint64_t refused = 0;
	long moved = 0;

	for (unsigned int tries = 0; tries < PAGEIN_TRIES; tries++) {
		moved = move_pages(a, region_page(r, page) + done, shadow_page(r, page) + done,
				   step < len - done ? step : len - done, 0);

		if (moved == -EBUSY && is_held(a, r, page, &refused)) {
			if (!copy_staged(a, r, page + (uint32_t)(done / PS_PAGE_SIZE), room))
				return (uint32_t)(done / PS_PAGE_SIZE);
			moved = PS_PAGE_SIZE;
		}
		if (moved > 0) {
			done += (size_t)moved;
			if (done == len)
				return n;
		} else if (moved == -EINVAL && step > PS_PAGE_SIZE) {
			step = PS_PAGE_SIZE; /* it lies in several mappings, that have not merged */
		} else if (is_gone(moved)) {
			return (uint32_t)(done / PS_PAGE_SIZE);
		} else if (!may_pass(moved)) {
			break;
		} else {
			pause_us(100);
		}
	}
	agent_say("a page was not taken", (int)-moved);
	agent_stop("pages that were staged cannot be put back");
}

/* ---- blocks in one piece --------------------------------------------------------------------- */

static bool is_twin(const struct agent *a, uint8_t slot, uint32_t i)
{
	return a->cold.whole_twin[slot][i / 64] >> (i % 64) & 1;
}

/* Returns false if somebody else does it, or has done it. */
static bool whole_claim(struct block *b)
{
	uint8_t whole = BLOCK_WHOLE;

	return __atomic_compare_exchange_n(&b->whole, &whole, BLOCK_WHOLE_COMING, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void whole_in(struct agent *a, struct region *r, uint32_t block)
{
	struct block *b = &r->block[block];
	uint32_t first = block * PS_BLOCK_PAGES;

	atomic_fetch_sub(&a->cold.staged, PS_BLOCK_PAGES);
	for (uint32_t i = 0; i < PS_BLOCK_PAGES; i++)
		page_force(&r->state[first + i],
			   is_twin(a, b->whole_slot, i) ? PAGE_TWIN : PAGE_NEW);
	__atomic_store_n(&a->cold.whole_used[b->whole_slot], false, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&b->staged, PS_BLOCK_PAGES, __ATOMIC_ACQ_REL);
	__atomic_store_n(&b->whole, BLOCK_PARTS, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&b->out, PS_BLOCK_PAGES, __ATOMIC_ACQ_REL);
	wake(a, r, first, PS_BLOCK_PAGES);
}

static enum pagein whole_page(struct agent *a, struct region *r, uint32_t block, char *room)
{
	struct block *b = &r->block[block];
	uint32_t in;

	if (!whole_claim(b))
		return PAGEIN_BUSY;
	in = move_in(a, r, block * PS_BLOCK_PAGES, PS_BLOCK_PAGES, room);
	if (in && in < PS_BLOCK_PAGES)
		agent_stop("a part of a block that was staged in one piece cannot be put back");
	if (!in) {
		__atomic_store_n(&b->whole, BLOCK_WHOLE, __ATOMIC_SEQ_CST);
		wake(a, r, block * PS_BLOCK_PAGES, PS_BLOCK_PAGES);
		return PAGEIN_GONE;
	}
	whole_in(a, r, block);
	return PAGEIN_DONE;
}

/* Waits for who has it. False: the mapping is not there. */
static bool whole_range(struct agent *a, struct region *r, uint32_t block, char *room)
{
	struct block *b = &r->block[block];

	while (__atomic_load_n(&b->whole, __ATOMIC_SEQ_CST)) {
		enum pagein in = whole_page(a, r, block, room);

		if (in == PAGEIN_GONE)
			return false;
		if (in == PAGEIN_BUSY)
			sys_yield();
	}
	return true;
}

void pagein_whole(struct agent *a, struct region *r, uint32_t block)
{
	whole_range(a, r, block, a->cold.act_room);
}

/* ---- where the content is -------------------------------------------------------------------- */

static void read_twin(struct agent *a, uint32_t entry, char *out)
{
	const struct store *s = &a->stores.store[entry >> FRAME_TWIN_SHIFT];

	if (ps_hook(HOOK_SLOW_TWIN))
		ps_unsafe_slow();
	/* Not from the view itself: a source that is not there makes UFFDIO_COPY let its locks go,
	 * and older kernels do not look again at what they have then. */
	memcpy(out, store_frame(s, entry & (PS_FRAMES_MAX - 1)), PS_PAGE_SIZE);
}

static void read_zip(struct agent *a, struct region *r, uint32_t page, uint32_t handle, char *out)
{
	if (zip_get(a->cold.zip, handle, r->base + page, out) && !ps_without(DEFENCE_STOP_DAMAGED))
		agent_stop("a compressed page is not what it was");
}

/* One that lies in the file beside one that is claimed. */
static bool claim_beside(struct agent *a, struct region *r, uint32_t page, uint32_t slot)
{
	struct holding h;

	if (!holding_take(a, r, page, PAGE_SWAPPED, &h))
		return false;
	if (r->frame[page] == slot)
		return true;
	holding_let_go(a, &h, PAGE_SWAPPED);
	return false;
}

/* Claims what comes along. Returns the first page; *n: how many. */
static uint32_t claim_window(struct agent *a, struct region *r, uint32_t page, uint32_t *n)
{
	uint32_t slot = r->frame[page], first = page, end = page + 1;
	uint32_t low = page / PAGEIN_WINDOW * PAGEIN_WINDOW, high = low + PAGEIN_WINDOW;

	low = low < r->first ? r->first : low;
	high = high > r->end ? r->end : high;
	while (end < high && claim_beside(a, r, end, slot + (end - page)))
		end++;
	while (first > low && slot >= page - first + 1 &&
	       claim_beside(a, r, first - 1, slot - (page - first + 1)))
		first--;
	*n = end - first;
	return first;
}

/* Reads until the page that is wanted is there. */
static void read_swap(struct agent *a, struct region *r, uint32_t first, uint32_t n, uint32_t page,
		      char *room, int *results)
{
	uint32_t pages[PAGEIN_WINDOW];

	for (uint32_t i = 0; i < n; i++)
		pages[i] = r->base + first + i;
	for (unsigned int tries = 0; tries < PAGEIN_READ_TRIES; tries++) {
		int err;

		if (ps_hook(HOOK_SLOW_DISK))
			ps_unsafe_slow();
		swapfile_read(a->cold.swap, r->frame[first], n, pages, room, results);
		err = results[page - first];
		if (!err)
			return;
		if (ps_without(DEFENCE_STOP_DAMAGED)) {
			results[page - first] = 0;
			return;
		}
		if (err == -EBADMSG || err == -ENOENT)
			agent_stop("a page in the swap file is damaged, or not the one that was "
				   "written there");
		agent_say("the swap file cannot be read; trying again", -err);
		pause_us(PAGEIN_READ_AGAIN_US);
	}
	agent_stop("the swap file cannot be read");
}

/* ---- one page -------------------------------------------------------------------------------- */

static enum pagein put_back(struct agent *a, struct region *r, uint32_t page, enum page_state was)
{
	page_force(&r->state[page], was);
	wake(a, r, page, 1);
	return PAGEIN_GONE;
}

static void finish(struct agent *a, struct region *r, uint32_t page, enum page_state was)
{
	struct holding h = {.r = r, .page = page, .was = was};

	if (was != PAGE_STAGED)
		holding_release(a, &h, was, r->frame[page]);
	note_in(a, r, page, was);
}

static enum pagein come_swapped(struct agent *a, struct region *r, uint32_t page, char *room,
				uint32_t *came)
{
	int results[PAGEIN_WINDOW];
	uint32_t n, first = claim_window(a, r, page, &n);
	enum pagein in = PAGEIN_DONE;

	read_swap(a, r, first, n, page, room, results);
	/* the one that somebody waits for comes first */
	if (copy_in(a, r, page, room + (size_t)(page - first) * PS_PAGE_SIZE))
		finish(a, r, page, PAGE_SWAPPED);
	else
		in = put_back(a, r, page, PAGE_SWAPPED);
	*came = in == PAGEIN_DONE;
	for (uint32_t i = first; i < first + n; i++) {
		if (i == page)
			continue;
		if (in != PAGEIN_DONE || results[i - first] ||
		    !copy_in(a, r, i, room + (size_t)(i - first) * PS_PAGE_SIZE)) {
			put_back(a, r, i, PAGE_SWAPPED);
			continue;
		}
		finish(a, r, i, PAGE_SWAPPED);
		++*came;
	}
	return in;
}

/* A page that is COMING. */
static enum pagein come(struct agent *a, struct region *r, uint32_t page, enum page_state was,
			char *room, uint32_t *came)
{
	bool there;

	*came = 1;
	if (was == PAGE_SWAPPED)
		return come_swapped(a, r, page, room, came);
	if (was == PAGE_COLD_TWIN)
		read_twin(a, r->frame[page], room);
	else if (was == PAGE_ZIPPED)
		read_zip(a, r, page, r->frame[page], room);
	there = was == PAGE_STAGED ? move_in(a, r, page, 1, room) != 0 : copy_in(a, r, page, room);
	if (!there)
		return put_back(a, r, page, was);
	finish(a, r, page, was);
	return PAGEIN_DONE;
}

enum pagein pagein_page(struct agent *a, struct region *r, uint32_t page, char *room,
			struct pagein_report *report)
{
	struct block *b = region_block(r, page);

	report->n = 0;
	if (__atomic_load_n(&b->whole, __ATOMIC_SEQ_CST)) {
		report->was = PAGE_STAGED;
		report->n = PS_BLOCK_PAGES;
		return whole_page(a, r, page / PS_BLOCK_PAGES, room);
	}
	if (!page_claim_out(&r->state[page], &report->was))
		return report->was == PAGE_COMING ? PAGEIN_BUSY : PAGEIN_NOT;
	return come(a, r, page, report->was, room, &report->n);
}

/* ---- many pages ------------------------------------------------------------------------------ */

/* Staged pages from page on, within end, as one. Returns how many; 0: the first is not staged. */
static uint32_t claim_staged(struct region *r, uint32_t page, uint32_t end)
{
	uint32_t n = 0;

	while (page + n < end && page_claim(&r->state[page + n], PAGE_STAGED, PAGE_COMING))
		n++;
	return n;
}

static uint32_t edge_of(uint32_t page, uint32_t end)
{
	uint32_t edge = (page / PS_BLOCK_PAGES + 1) * PS_BLOCK_PAGES;

	return edge < end ? edge : end;
}

/* Of one block. */
static bool range_in(struct agent *a, struct region *r, uint32_t page, uint32_t end, char *room)
{
	struct pagein_report report;
	uint32_t n, in;

	if (!whole_range(a, r, page / PS_BLOCK_PAGES, room))
		return false;
	while (page < end) {
		n = claim_staged(r, page, end);
		in = n ? move_in(a, r, page, n, room) : 0;
		for (uint32_t i = page; i < page + in; i++)
			finish(a, r, i, PAGE_STAGED);
		for (uint32_t i = page + in; i < page + n; i++)
			put_back(a, r, i, PAGE_STAGED);
		if (in < n)
			return false;
		page += n;
		if (n)
			continue;
		switch (pagein_page(a, r, page, room, &report)) {
		case PAGEIN_BUSY:
			sys_yield();
			break;
		case PAGEIN_GONE:
			return false;
		default:
			page++;
		}
	}
	return true;
}

bool pagein_range(struct agent *a, struct region *r, uint32_t page, uint32_t n, char *room)
{
	uint32_t end = page + n, edge;

	for (; page < end; page = edge) {
		edge = edge_of(page, end);
		if (__atomic_load_n(&region_block(r, page)->out, __ATOMIC_ACQUIRE) &&
		    !range_in(a, r, page, edge, room))
			return false;
	}
	return true;
}

/* The block has no mapping to come back to. */
static void drop_whole(struct agent *a, struct region *r, uint32_t block)
{
	struct block *b = &r->block[block];

	while (__atomic_load_n(&b->whole, __ATOMIC_SEQ_CST)) {
		if (!whole_claim(b)) {
			sys_yield();
			continue;
		}
		map_advise(shadow_page(r, block * PS_BLOCK_PAGES), PS_BLOCK_SIZE, MADV_DONTNEED);
		whole_in(a, r, block);
	}
}

static void drop_page(struct agent *a, struct region *r, uint32_t page)
{
	enum page_state was;

	while (!page_claim_out(&r->state[page], &was)) {
		if (was != PAGE_COMING) /* it has come: the discard takes it away */
			return;
		sys_yield();
	}
	if (was == PAGE_STAGED)
		map_advise(shadow_page(r, page), PS_PAGE_SIZE, MADV_DONTNEED);
	finish(a, r, page, was);
	wake(a, r, page, 1);
	atomic_fetch_add(&a->cold.discards, 1);
}

void pagein_drop(struct agent *a, struct region *r, uint32_t page, uint32_t n)
{
	uint32_t end = page + n, edge;

	for (; page < end; page = edge) {
		uint32_t block = page / PS_BLOCK_PAGES;

		edge = edge_of(page, end);
		if (!whole_range(a, r, block, a->cold.act_room))
			drop_whole(a, r, block);
		/* also where none is out: one may be on its way, in a reader's hands */
		for (uint32_t i = page; i < edge; i++)
			if (page_state(&r->state[i]) >= PAGE_STAGED)
				drop_page(a, r, i);
	}
}
