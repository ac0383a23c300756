/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reader: who touches what is not there, in memory behind a gate, is served here.
 *
 * Goal: nobody who waits for a page waits for the daemon, for `act` or `settle`, or for another
 * page's disk.
 *
 * Three threads. The first reads the tracker's userfaultfd and serves at once what needs no disk:
 * staged, twin, zipped, holes. What is in the swap file it hands to the other two, and listens on.
 * (Several threads in one read() would all be woken by each fault, for one of them to find it.)
 *
 * What is found at an address:
 *   out          it is brought back (pagein.c)
 *   COMING, OUT  somebody has it in hand, and wakes; he may just have let it go: looked at again
 *   in a store's mapping  it is not missing: woken, to look again
 *   else         a hole of the guest's own memory: zeros. The page is COMING meanwhile, so that it
 *                is not taken out in between, with zeros put in its place.
 *   no region    a hole behind a gate that could not be taken off: zeros
 *
 * The table of regions is read without a lock: a reader says which region it is in (a hazard
 * pointer), then looks whether that still takes part. Who gives a region up makes it RETIRED first,
 * then waits until no reader is in it (readers_quiesce()). Who adopts one makes it MANAGED, then
 * waits until no reader is on his way to fill what was in no region (readers_meet()): his zeros
 * would come in the place of a page that has gone out since.
 *
 * Somebody who reads all memory in order, as a migration does, is told from a guest: what comes in
 * for him is no promotion, and is noted for the worker, which puts it out again first. It takes
 * memory until it is old enough to go on from there. So where memory is wanted, and much of it lies
 * there, he has his pages a moment later, from one of the other two threads.
 *
 * A VM that the daemon holds back, because the host has next to nothing left, and that has no
 * monitor to be paused by, waits some milliseconds for each page that comes in. That slows
 * down who needs what is out, and nobody who does not; it ends by itself with the connection.
 *
 * No malloc, no stdio, all signals blocked, no guest memory touched.
 */
#include "agent/reader.h"

#include <errno.h>

#include "agent/agent.h"
#include "agent/heldfds.h"
#include "agent/pagein.h"
#include "agent/say.h"
#include "sys/events.h"
#include "sys/mapping.h"
#include "sys/proc.h"
#include "sys/thread.h"
#include "sys/uffd.h"
#include "sys/unsafe.h"
#include "sys/wait.h"

#define FAULTS_PER_READ 16
#define PACE_US 1000		     /* who reads all memory has some 1000 pages a second then */
#define SLOW_US 4000		     /* a vCPU that is held back has some 250 pages a second */
#define STREAM_REST_NS 2000000000ull /* a stream that did not go on for so long is over */

int readers_init(struct agent *a)
{
	struct readers *rs = &a->readers;

	for (uint32_t i = 0; i <= READERS; i++) {
		rs->room[i] = map_anon(NULL, PAGEIN_ROOM * PS_PAGE_SIZE);
		if (!rs->room[i])
			return -ENOMEM;
	}
	return 0;
}

/* ---- regions, without a lock ----------------------------------------------------------------- */

static bool has_addr(const struct region *r, uintptr_t addr)
{
	uintptr_t start;

	/* first: what is read behind it is of this life, or of a later one */
	if (__atomic_load_n(&r->life, __ATOMIC_SEQ_CST) != REGION_MANAGED)
		return false;
	start = __atomic_load_n(&r->start, __ATOMIC_RELAXED);
	return addr >= start && addr - start < __atomic_load_n(&r->len, __ATOMIC_RELAXED);
}

/* In no region, and yet at work: who adopts one waits for that too. No element of the table. */
static struct region *nowhere(struct agent *a)
{
	return a->region + PS_REGIONS_MAX;
}

/* Looked through again after a region that went while it was entered: one that was adopted since,
 * before it in the table, was not waited for. */
struct region *reader_enter(struct agent *a, uint32_t who, uintptr_t addr, uint32_t *page)
{
	size_t i = 0;

	atomic_store(&a->readers.in[who], nowhere(a));
	while (i < PS_REGIONS_MAX) {
		struct region *r = &a->region[i++];

		if (!has_addr(r, addr))
			continue;
		atomic_store(&a->readers.in[who], r);
		if (has_addr(r, addr)) {
			*page = (uint32_t)((addr - r->origin) / PS_PAGE_SIZE);
			return r;
		}
		atomic_store(&a->readers.in[who], nowhere(a));
		i = 0;
	}
	return NULL;
}

void reader_leave(struct agent *a, uint32_t who)
{
	atomic_store(&a->readers.in[who], NULL);
}

void readers_quiesce(struct agent *a, const struct region *r)
{
	for (uint32_t i = 0; i <= READERS; i++)
		while (atomic_load(&a->readers.in[i]) == r)
			sys_yield();
}

void readers_meet(struct agent *a)
{
	readers_quiesce(a, nowhere(a));
}

/* ---- figures --------------------------------------------------------------------------------- */

static enum ps_tier tier_of(enum page_state was)
{
	switch (was) {
	case PAGE_STAGED:
		return PS_TIER_STAGED;
	case PAGE_COLD_TWIN:
		return PS_TIER_TWIN;
	case PAGE_ZIPPED:
		return PS_TIER_ZIP;
	default:
		return PS_TIER_SWAP;
	}
}

static void count_latency(struct agent *a, enum page_state was, uint64_t ns)
{
	times_add(&a->cold.page_in[tier_of(was)], ns);
	atomic_fetch_add(&a->cold.wait_ns, ns);
}

static void count_event(struct agent *a, enum page_state was, uint32_t n)
{
	struct cold *c = &a->cold;

	switch (was) {
	case PAGE_STAGED:
		atomic_fetch_add(&c->staged_back, n);
		break;
	case PAGE_COLD_TWIN:
		atomic_fetch_add(&c->twinins, n);
		break;
	case PAGE_ZIPPED:
		atomic_fetch_add(&c->unzips, n);
		break;
	default:
		atomic_fetch_add(&c->swapins, n);
	}
}

/* Does the access go on where another one left off, for the so-manieth time? */
static bool is_scan(struct agent *a, uint32_t page, uint32_t n, uint64_t now)
{
	struct readers *rs = &a->readers;
	struct reader_stream *s = &rs->stream[0];
	bool scan;

	pthread_mutex_lock(&rs->stream_lock);
	for (uint32_t i = 0; i < READER_STREAMS; i++) {
		if (rs->stream[i].len && page - rs->stream[i].next < PAGEIN_WINDOW) {
			s = &rs->stream[i];
			break;
		}
		if (rs->stream[i].at < s->at)
			s = &rs->stream[i];
	}
	if (page - s->next >= PAGEIN_WINDOW || now - s->at > STREAM_REST_NS)
		s->len = 0;
	s->len += n;
	s->next = page + n;
	s->at = now;
	scan = s->len >= READER_SCAN;
	pthread_mutex_unlock(&rs->stream_lock);
	return scan;
}

/* Would an access to it go on with one of them? */
static bool continues_scan(struct agent *a, uint32_t page)
{
	struct readers *rs = &a->readers;
	bool scan = false;

	pthread_mutex_lock(&rs->stream_lock);
	for (uint32_t i = 0; i < READER_STREAMS; i++)
		scan |= rs->stream[i].len >= READER_SCAN &&
			page - rs->stream[i].next < PAGEIN_WINDOW;
	pthread_mutex_unlock(&rs->stream_lock);
	return scan;
}

static void note_scanned(struct agent *a, uint32_t page)
{
	uint32_t at = atomic_fetch_add(&a->cold.again_tail, 1);

	atomic_store(&a->cold.again[at % COLD_AGAIN], page + 1);
	if (at % (COLD_AGAIN / 16) == 0)
		sys_eventfd_ring(a->bell);
}

static void account(struct agent *a, struct region *r, uint32_t page,
		    const struct pagein_report *report, uint64_t since)
{
	struct block *b = region_block(r, page);
	uint64_t now = sys_now();

	count_latency(a, report->was, now - since);
	count_event(a, report->was, report->n);
	__atomic_store_n(&b->stage_at, (uint32_t)(now / 1000000), __ATOMIC_RELAXED);
	if (report->n == PS_BLOCK_PAGES)
		return; /* a huge page, sampled */
	if (report->was == PAGE_STAGED) {
		uint8_t busy = __atomic_load_n(&b->busy, __ATOMIC_RELAXED);

		if (busy < UINT8_MAX)
			__atomic_store_n(&b->busy, (uint8_t)(busy + 1), __ATOMIC_RELAXED);
	}
	if (is_scan(a, r->base + page, report->n, now)) {
		atomic_fetch_add(&a->cold.scanned_in, report->n);
		for (uint32_t i = 0; i < report->n; i++)
			note_scanned(a, r->base + page + i);
	} else {
		region_set_asked(r, page, true);
		if (report->was != PAGE_STAGED)
			atomic_fetch_add(&a->cold.promotions, 1);
	}
}

/* ---- one access ------------------------------------------------------------------------------ */

static void *page_at(uintptr_t addr)
{
	return (void *)(addr & ~(uintptr_t)(PS_PAGE_SIZE - 1));
}

/* Zeros, if nothing is there. */
static void fill(struct agent *a, uintptr_t addr)
{
	if (uffd_zeropage(a->tracker, page_at(addr), PS_PAGE_SIZE))
		uffd_wake(a->tracker, page_at(addr), PS_PAGE_SIZE);
}

/* A page of the guest's own, in that state, was missing when it was touched. Returns false if it
 * has changed meanwhile. */
static bool fill_page(struct agent *a, struct region *r, uint32_t page, enum page_state state)
{
	uint32_t wanted = atomic_load(&a->cold.wanted);
	int err;

	if (!page_claim(&r->state[page], state, PAGE_COMING))
		return false;
	err = uffd_zeropage(a->tracker, region_page(r, page), PS_PAGE_SIZE);
	page_force(&r->state[page], err ? state : PAGE_NEW);
	if (err || atomic_load(&a->cold.wanted) != wanted)
		uffd_wake(a->tracker, region_page(r, page), PS_PAGE_SIZE);
	return true;
}

/* Somebody has it in hand. Returns false if he has let it go by now. */
static bool is_in_hand(struct agent *a, struct region *r, uint32_t page, enum page_state state)
{
	atomic_fetch_add(&a->cold.wanted, 1);
	return page_state(&r->state[page]) == state;
}

static void serve_page(struct agent *a, uint32_t who, struct region *r, uint32_t page,
		       uint64_t since)
{
	for (;;) {
		enum page_state state = page_state(&r->state[page]);
		struct pagein_report report;

		if (page_in_store(state)) {
			uffd_wake(a->tracker, region_page(r, page), PS_PAGE_SIZE);
			return;
		}
		if (state == PAGE_OUT || state == PAGE_COMING) {
			if (is_in_hand(a, r, page, state))
				return;
			continue;
		}
		if (!page_is_out(state)) {
			if (fill_page(a, r, page, state))
				return;
			continue;
		}
		switch (pagein_page(a, r, page, a->readers.room[who], &report)) {
		case PAGEIN_DONE:
			account(a, r, page, &report, since);
			return;
		case PAGEIN_GONE:
			return;
		default:
			/* a block in one piece is in somebody's hands: he wakes all of it */
			if (__atomic_load_n(&region_block(r, page)->whole, __ATOMIC_SEQ_CST) ==
			    BLOCK_WHOLE_COMING)
				return;
		}
	}
}

static void serve(struct agent *a, uint32_t who, const struct reader_job *job)
{
	struct region *r;
	uint32_t page;

	if (ps_without(DEFENCE_READER_ASKS_NOBODY)) {
		pthread_mutex_lock(&a->settle);
		ps_unsafe_ask(a->link.path);
		pthread_mutex_unlock(&a->settle);
	}
	r = reader_enter(a, who, job->addr, &page);
	if (r)
		serve_page(a, who, r, page, job->since);
	else
		fill(a, job->addr);
	reader_leave(a, who);
}

/* ---- threads --------------------------------------------------------------------------------- */

/* Is it to be served by another thread, since it takes a while? */
static bool takes_long(struct agent *a, uint32_t who, struct reader_job *job)
{
	uint32_t page;
	struct region *r = reader_enter(a, who, job->addr, &page);
	bool disk = r && page_state(&r->state[page]) == PAGE_SWAPPED;

	job->paced = r && atomic_load(&a->cold.pace) && page_is_out(page_state(&r->state[page])) &&
		     continues_scan(a, r->base + page);
	reader_leave(a, who);
	return disk || job->paced;
}

/* False: no room. */
static bool hand_over(struct readers *rs, const struct reader_job *job)
{
	bool room;

	pthread_mutex_lock(&rs->lock);
	room = rs->tail - rs->head < READER_JOBS;
	if (room) {
		rs->job[rs->tail++ % READER_JOBS] = *job;
		pthread_cond_signal(&rs->more);
	}
	pthread_mutex_unlock(&rs->lock);
	return room;
}

static void hear(struct agent *a, uint32_t who)
{
	struct uffd_msg msg[FAULTS_PER_READ];
	unsigned int none;

	for (;;) {
		int n = uffd_read(a->tracker, msg, FAULTS_PER_READ);
		struct reader_job job = {.since = sys_now()};

		ps_pause_without(DEFENCE_FDS_HELD);
		if (n < 0) {
			agent_say("accesses to what is out cannot be read", -n);
			sys_wait_readable(NULL, 0, heldfds_failed(a, n), &none);
		}
		if (atomic_load(&a->cold.slow))
			sys_wait_readable(NULL, 0, SLOW_US, &none);
		for (int i = 0; i < n; i++) {
			if (msg[i].event != UFFD_EVENT_PAGEFAULT)
				continue;
			job.addr = (uintptr_t)msg[i].arg.pagefault.address;
			if (ps_without(DEFENCE_DISK_APART) || !takes_long(a, who, &job) ||
			    !hand_over(&a->readers, &job))
				serve(a, who, &job);
		}
	}
}

static void help(struct agent *a, uint32_t who)
{
	struct readers *rs = &a->readers;
	unsigned int none;

	for (;;) {
		struct reader_job job;

		pthread_mutex_lock(&rs->lock);
		while (rs->head == rs->tail)
			pthread_cond_wait(&rs->more, &rs->lock);
		job = rs->job[rs->head++ % READER_JOBS];
		pthread_mutex_unlock(&rs->lock);
		if (job.paced)
			sys_wait_readable(NULL, 0, PACE_US, &none);
		serve(a, who, &job);
	}
}

void *reader_main(void *arg)
{
	struct agent *a = arg;
	uint32_t who = atomic_fetch_add(&a->readers.begun, 1);

	agent_note_stack(a, (enum agent_thread)(AGENT_READER + who), __builtin_frame_address(0));
	sys_thread_hasten(); /* a vCPU waits for it, and others may keep the CPUs busy */
	if (who == 0)
		hear(a, who);
	else
		help(a, who);
	return NULL;
}
