/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * splice: plain references to guest pages, which UFFDIO_MOVE cannot see.
 *
 * Readers. vmsplice puts a guest page into a pipe by reference and keeps it there while the page
 * is taken out, shared, written, discarded. What comes out of the pipe later must be, whole, a
 * content that the page had at the splice or since.
 *
 * Writers. A device that holds such a reference and writes late writes to the page that was taken
 * out, in quarantine. No device here does so at our command, but the same bytes can be reached
 * another way: the page frame number of a page is noted while it is resident; once the kernel
 * says that it is shared, the same frame is looked for among this process's own mappings, and a
 * word is written there. That is what the device would have done. The agent must find it and put
 * it back: soon the guest's page must show it. (A page that was shared again where it lay waits in
 * a pipe, where it is not found: such are counted as missed. So are those that are found when their
 * quarantine may be over: this process does not run all the time.)
 */
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "lib/hunt.h"

#define SPLICE_PAGES 512u
#define SPLICE_SLOTS 12u
#define SPLICE_KEYS 6u
#define SPLICE_HOLD_MS 4000
#define LATE_PAGE 500u /* pages from here on are for late writes */
#define LATE_EVERY 1.0
#define LATE_WAIT 8.0  /* for it to be shared */
#define LATE_BACK 30.0 /* quarantine (at most 3 s) and a while, on a busy host ... */
#define LATE_CPU 6.0   /* ... on which this process has run for so long meanwhile */
#define LATE_SURE 0.4  /* the shortest quarantine is half a second (torture.c) */

struct slot {
	int pipe[2];
	bool held;
	uint32_t page;
	uint32_t nkeys;
	uint64_t key[SPLICE_KEYS];
	double until;
};

struct splice {
	struct torture_self *self;
	struct hregion r;
	int pagemap;
	struct slot slot[SPLICE_SLOTS];
	struct {
		enum { LATE_IDLE, LATE_RESIDENT, LATE_WRITTEN } state;
		uint32_t page;
		uint64_t pfn, value;
		double since;
		double cpu;  /* that this process had used by then */
		double seen; /* when it was still there */
		bool sure;   /* it was written to before the quarantine can have ended */
	} late;
};

static uint8_t *at(struct splice *s, uint32_t page)
{
	return s->r.base + (size_t)page * T_PAGE;
}

static uint64_t entry_of(struct splice *s, uint32_t page)
{
	uint64_t entry = 0;

	pm_read(s->pagemap, (uintptr_t)at(s, page), &entry, 1);
	return entry;
}

static void hold(struct splice *s, struct slot *slot)
{
	struct iovec vec;

	slot->page = t_below(&s->self->rng, LATE_PAGE);
	vec = (struct iovec){at(s, slot->page), T_PAGE};
	s->self->vm->splices_shared += !!(entry_of(s, slot->page) & PM_FILE);
	if (vmsplice(slot->pipe[1], &vec, 1, 0) != T_PAGE)
		t_fail("vmsplice of a guest page: %m");
	slot->held = true;
	slot->nkeys = 1;
	slot->key[0] = s->r.model[slot->page].key;
	slot->until = t_now() + 0.001 * t_below(&s->self->rng, SPLICE_HOLD_MS);
}

static void release(struct splice *s, struct slot *slot)
{
	uint8_t got[T_PAGE];

	if (read(slot->pipe[0], got, T_PAGE) != T_PAGE)
		t_fail("reading a spliced page: %m");
	slot->held = false;
	for (uint32_t i = 0; i < slot->nkeys; i++) {
		if (content_is(got, slot->key[i])) {
			s->self->vm->splices++;
			return;
		}
	}
	t_fail("a spliced page shows key %016lx: none of the %u that page %u has had since "
	       "(first %016lx)",
	       *(uint64_t *)(void *)got, slot->nkeys, slot->page, slot->key[0]);
}

/* A new content for a page, noted with everybody who holds the page. */
static void change(struct splice *s, uint32_t page)
{
	uint64_t key = pool_key(t_below(&s->self->rng, MODEL_POOL));

	for (uint32_t i = 0; i < SPLICE_SLOTS; i++) {
		struct slot *slot = &s->slot[i];

		if (!slot->held || slot->page != page)
			continue;
		if (slot->nkeys == SPLICE_KEYS)
			return;
		slot->key[slot->nkeys++] = key;
	}
	mpage_write(&s->r.model[page], at(s, page), key);
}

static void turn(struct splice *s)
{
	for (uint32_t i = 0; i < SPLICE_SLOTS; i++) {
		struct slot *slot = &s->slot[i];

		if (!slot->held && t_below(&s->self->rng, 4) == 0)
			hold(s, slot);
		else if (slot->held && t_now() > slot->until)
			release(s, slot);
		else if (slot->held && t_below(&s->self->rng, 200) == 0)
			change(s, slot->page);
	}
	change(s, t_below(&s->self->rng, LATE_PAGE));
}

/* Of all threads: one that is given no CPU cannot be late. */
static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void late_begin(struct splice *s)
{
	struct mpage *m;

	s->late.page = LATE_PAGE + t_below(&s->self->rng, SPLICE_PAGES - LATE_PAGE);
	m = &s->r.model[s->late.page];
	mpage_write(m, at(s, s->late.page), pool_key(t_below(&s->self->rng, MODEL_POOL)));
	s->late.pfn = pm_pfn(entry_of(s, s->late.page));
	s->late.since = s->late.seen = t_now();
	s->late.state = LATE_RESIDENT;
}

static bool is_guest(struct splice *s, const uint8_t *p)
{
	const struct hammer *h = &s->self->h;
	bool in = p >= s->r.base && p < s->r.base + (size_t)s->r.npages * T_PAGE;

	for (uint32_t i = 0; i < h->nregions; i++)
		in |= p >= h->region[i].base &&
		      p < h->region[i].base + (size_t)h->region[i].npages * T_PAGE;
	return in;
}

/* The page has been shared: the frame that it had must be in quarantine still. */
static void late_write(struct splice *s)
{
	volatile uint64_t *word;
	uint8_t *found = hunt_pfn(s->late.pfn);

	s->late.state = LATE_IDLE;
	s->late.value = t_rand(&s->self->rng) | 1;
	word = (volatile uint64_t *)(void *)(found + 128);
	/* a frame that may have been given back by now may be anybody's */
	if (!found || is_guest(s, found) || t_now() - s->late.seen > LATE_SURE) {
		s->self->vm->late_missed++;
		return;
	}
	*word = s->late.value;
	if (hunt_pfn_at(found) != s->late.pfn) { /* given back between look and write */
		s->self->vm->late_missed++;
		return;
	}
	s->late.since = t_now();
	s->late.cpu = cpu_seconds();
	s->late.sure = s->late.since - s->late.seen <= LATE_SURE;
	s->late.state = LATE_WRITTEN;
}

static void late_look(struct splice *s)
{
	struct mpage *m = &s->r.model[s->late.page];
	uint64_t seen = *(volatile uint64_t *)(void *)(at(s, s->late.page) + 128);

	if (seen == s->late.value) {
		mpage_begin(m);
		mpage_end(m, m->key);
		m->npatch = 1;
		m->off[0] = 128;
		m->len[0] = 8;
		m->val[0] = s->late.value;
		mpage_check(m, at(s, s->late.page), "after a late write", s->late.page);
		s->self->vm->late_writes++;
		s->late.state = LATE_IDLE;
	} else if (t_now() - s->late.since <= LATE_BACK ||
		   cpu_seconds() - s->late.cpu <= LATE_CPU) {
		return;
	} else if (!s->late.sure) {
		s->self->vm->late_missed++;
		s->late.state = LATE_IDLE;
	} else {
		t_fail("a late write into the page taken out from %p is lost: word 16 is %016lx, "
		       "a device wrote %016lx %.1f s ago",
		       (void *)at(s, s->late.page), seen, s->late.value, t_now() - s->late.since);
	}
}

static void late_turn(struct splice *s)
{
	double now = t_now();
	uint64_t entry;

	switch (s->late.state) {
	case LATE_IDLE:
		if (t_now() - s->late.since > LATE_EVERY)
			late_begin(s);
		break;
	case LATE_RESIDENT:
		entry = entry_of(s, s->late.page);
		if (entry & PM_FILE)
			late_write(s);
		else if (t_now() - s->late.since > LATE_WAIT)
			s->late.state = LATE_IDLE;
		else if (entry & PM_PRESENT) {
			/* it may have been brought back into another frame */
			s->late.pfn = pm_pfn(entry);
			s->late.seen = now;
		}
		break;
	case LATE_WRITTEN:
		late_look(s);
		break;
	}
}

static void check(struct splice *s, const char *when)
{
	for (uint32_t p = 0; p < SPLICE_PAGES; p++)
		if (p != s->late.page)
			mpage_check(&s->r.model[p], at(s, p), when, p);
}

void *torture_splice(void *arg)
{
	static struct splice s;

	s.self = arg;
	s.pagemap = pm_open(0);
	s.r = (struct hregion){.npages = SPLICE_PAGES, .nohuge = s.self->h.seed & 1};
	s.r.model = mmap(NULL, SPLICE_PAGES * sizeof(struct mpage), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	t_check(s.r.model != MAP_FAILED, "%m");
	hammer_map(&s.r, NULL);
	for (uint32_t p = 0; p < SPLICE_PAGES; p++)
		mpage_write(&s.r.model[p], at(&s, p), pool_key(p % MODEL_POOL));
	for (uint32_t i = 0; i < SPLICE_SLOTS; i++)
		t_sys(pipe(s.slot[i].pipe));
	while (!s.self->stop) {
		turn(&s);
		if (!s.self->opts->bare)
			late_turn(&s);
		check(&s, "beside splices");
		t_sleep(0.02);
	}
	for (uint32_t i = 0; i < SPLICE_SLOTS; i++)
		if (s.slot[i].held)
			release(&s, &s.slot[i]);
	check(&s, "after all splices");
	close(s.pagemap);
	t_sys(munmap(s.r.base, SPLICE_PAGES * T_PAGE));
	return NULL;
}
