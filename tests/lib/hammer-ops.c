/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hammer-ops: the single operations of a hammer thread, chosen by weight. An operation touches
 * pages that the thread owns, unless its name says that it peeks.
 */
#include "hammer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define COLD_WRITES 2000 /* one write of so many goes outside of the hot pages */
#define PEEK_TRIES 4

struct spot {
	struct hregion *r;
	uint32_t page;
	struct mpage *m;
	uint8_t *at;
};

static struct spot spot_of(struct hregion *r, uint32_t page)
{
	return (struct spot){r, page, &r->model[page], r->base + (size_t)page * T_PAGE};
}

/* Any plain page of the thread's own. */
static struct spot own_any(struct hthread *t)
{
	struct hregion *r = &t->h->region[t_below(&t->rng, t->h->nregions)];
	uint32_t chunks = (r->npages - r->ncounter) / HAMMER_CHUNK / t->h->nthreads;
	uint32_t c = t_below(&t->rng, chunks) * t->h->nthreads + t->id;

	return spot_of(r, c * HAMMER_CHUNK + t_below(&t->rng, HAMMER_CHUNK));
}

/* A page of the thread's own to write to: mostly a hot one. */
static struct spot own(struct hthread *t)
{
	uint32_t i = t_below(&t->rng, HAMMER_HOT);

	if (t_below(&t->rng, COLD_WRITES) == 0)
		return own_any(t);
	return spot_of(t->hot[i].r, t->hot[i].page);
}

static uint64_t some_pool_key(struct hthread *t)
{
	return pool_key(t_below(&t->rng, MODEL_POOL));
}

static void op_read(struct hthread *t)
{
	struct spot s = own_any(t);

	mpage_check(s.m, s.at, "read", s.page);
}

static void op_read_hot(struct hthread *t)
{
	struct spot s = own(t);

	mpage_check(s.m, s.at, "read of a hot page", s.page);
}

static void op_peek(struct hthread *t)
{
	struct hregion *r = &t->h->region[t_below(&t->rng, t->h->nregions)];
	uint32_t page = t_below(&t->rng, r->npages - r->ncounter);
	struct spot s = spot_of(r, page);
	struct mpage seen;

	for (int i = 0; i < PEEK_TRIES; i++) {
		int right = mpage_peek(s.m, s.at, &seen);

		if (right > 0)
			return;
		if (!right)
			mpage_check(&seen, s.at, "read by another thread", page);
	}
}

static void op_write_pool(struct hthread *t)
{
	struct spot s = own(t);

	mpage_write(s.m, s.at, some_pool_key(t));
}

static void op_write_unique(struct hthread *t)
{
	struct spot s = own(t);

	mpage_write(s.m, s.at, unique_key(&t->rng));
}

static void op_write_zero(struct hthread *t)
{
	struct spot s = own(t);

	mpage_write(s.m, s.at, 0);
}

/* A whole chunk of neighbours, so that runs can form. */
static void op_write_run(struct hthread *t)
{
	struct spot s = own(t);
	uint32_t first = s.page - s.page % HAMMER_CHUNK;
	uint32_t key = t_below(&t->rng, MODEL_POOL);

	for (uint32_t i = 0; i < HAMMER_CHUNK; i++) {
		s = spot_of(s.r, first + i);
		mpage_write(s.m, s.at, pool_key((key + i) % MODEL_POOL));
	}
}

static void op_patch(struct hthread *t)
{
	struct spot s = own(t);
	uint64_t v = t_rand(&t->rng);
	uint8_t len = (uint8_t)(1u << (v & 3));
	uint16_t off = (uint16_t)t_below(&t->rng, T_PAGE / len);

	mpage_patch(s.m, s.at, (uint16_t)(off * len), len, v >> 2);
}

static void op_unpatch(struct hthread *t)
{
	struct spot s = own(t);

	mpage_unpatch(s.m, s.at);
}

static uint64_t *counter_page(struct hthread *t, struct hregion **r, uint32_t *index)
{
	*r = &t->h->region[t_below(&t->rng, t->h->nregions)];
	*index = (t->h->hot_counter + t_below(&t->rng, HAMMER_HOT_COUNTERS)) % (*r)->ncounter;
	return (uint64_t *)(void *)((*r)->base +
				    (size_t)((*r)->npages - (*r)->ncounter + *index) * T_PAGE);
}

static void op_visit(struct hthread *t)
{
	struct hregion *r;
	uint32_t index;
	uint64_t *w = counter_page(t, &r, &index);
	uint64_t add = r->in[t->id][index] ? (uint64_t)-1 : 1;

	for (uint32_t i = 0; i < HAMMER_COUNTERS; i++)
		__atomic_fetch_add(&w[i * 64], add, __ATOMIC_RELAXED);
	r->in[t->id][index] ^= 1;
}

static void op_peek_counter(struct hthread *t)
{
	struct hregion *r;
	uint32_t index;
	uint64_t *w = counter_page(t, &r, &index);
	uint32_t page = r->npages - r->ncounter + index;
	uint64_t key = r->model[page].key;

	for (uint32_t i = 0; i < HAMMER_COUNTERS; i++) {
		uint64_t got = __atomic_load_n(&w[i * 64], __ATOMIC_RELAXED);
		uint64_t count = got - content_word(key, i * 64);

		if (count > t->h->nthreads)
			t_fail("counter page %u is wrong: counter %u: %016lx is %ld visitors of %u",
			       page, i, got, (long)count, t->h->nthreads);
	}
}

static void op_copy(struct hthread *t)
{
	struct spot from = own_any(t), to = own(t);

	if (from.at == to.at || from.m->npatch)
		return;
	mpage_begin(to.m);
	memcpy(to.at, from.at, T_PAGE);
	mpage_end(to.m, from.m->key);
}

static void discard(struct hthread *t, struct spot s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		mpage_begin(&s.m[i]);
	if (madvise(s.at, (size_t)n * T_PAGE, MADV_DONTNEED))
		t_fail("MADV_DONTNEED: %m");
	for (uint32_t i = 0; i < n; i++)
		mpage_end(&s.m[i], 0);
	mpage_check(s.m, s.at, "after a discard", s.page);
	__atomic_fetch_add(&t->h->stats->discards, n, __ATOMIC_RELAXED);
}

static void op_discard(struct hthread *t)
{
	if (!t->h->no_discard)
		discard(t, own(t), 1);
}

static void op_discard_run(struct hthread *t)
{
	struct spot s = own(t);
	uint32_t off = s.page % HAMMER_CHUNK;

	if (!t->h->no_discard)
		discard(t, s, 1 + t_below(&t->rng, HAMMER_CHUNK - off));
}

/* The kernel writes into the page: a fault that no user access makes. */
static void file_read(struct hthread *t, int fd, const char *what)
{
	struct spot s = own(t);
	uint32_t block = t_below(&t->rng, MODEL_POOL);
	ssize_t n;

	if (fd < 0)
		return;
	mpage_begin(s.m);
	n = pread(fd, s.at, T_PAGE, (off_t)block * T_PAGE);
	if (n != T_PAGE)
		t_fail("%s of %u bytes into guest memory gave %zd: %m", what, T_PAGE, n);
	mpage_end(s.m, pool_key(block));
	mpage_check(s.m, s.at, what, s.page);
}

static void op_file_read(struct hthread *t)
{
	file_read(t, t->h->file_fd, "read(2)");
}

static void op_direct_read(struct hthread *t)
{
	file_read(t, t->h->direct_fd, "O_DIRECT read");
	__atomic_fetch_add(&t->h->stats->direct_reads, 1, __ATOMIC_RELAXED);
}

/* The kernel reads from the page, and process_vm_readv through another way in. */
static void op_kernel_reads(struct hthread *t)
{
	struct spot s = own_any(t);
	uint8_t copy[T_PAGE];
	struct iovec local = {copy, T_PAGE}, remote = {s.at, T_PAGE};

	if (t_rand(&t->rng) & 1) {
		if (write(t->pipe[1], s.at, T_PAGE) != T_PAGE ||
		    read(t->pipe[0], copy, T_PAGE) != T_PAGE)
			t_fail("a guest page through a pipe: %m");
		mpage_check(s.m, copy, "write(2) from guest memory", s.page);
	} else if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == T_PAGE) {
		mpage_check(s.m, copy, "process_vm_readv", s.page);
	} else {
		t_fail("process_vm_readv of a guest page: %m");
	}
}

/* MADV_FREE promises nothing until the next write, so that comes at once. A page that maps a
 * frame is no anonymous memory, where the kernel refuses it: the agent may pass that on. */
static void op_free(struct hthread *t)
{
	struct spot s = own(t);

	mpage_begin(s.m);
	if (madvise(s.at, T_PAGE, MADV_FREE) && errno != EINVAL)
		t_fail("MADV_FREE: %m");
	content_fill(s.at, pool_key(s.page % MODEL_POOL));
	mpage_end(s.m, pool_key(s.page % MODEL_POOL));
}

static const struct {
	void (*op)(struct hthread *t);
	uint16_t weight;
} OPS[] = {
	{op_read, 220},	       {op_read_hot, 80},   {op_peek, 180},	   {op_write_pool, 70},
	{op_write_unique, 30}, {op_write_zero, 20}, {op_write_run, 4},	   {op_patch, 150},
	{op_unpatch, 70},      {op_visit, 90},	    {op_peek_counter, 40}, {op_copy, 12},
	{op_discard, 10},      {op_discard_run, 4}, {op_file_read, 6},	   {op_direct_read, 2},
	{op_kernel_reads, 6},  {op_free, 1},
};

void hammer_op(struct hthread *t)
{
	static uint32_t total;
	uint32_t pick, sum = total;

	if (!sum) {
		for (size_t i = 0; i < sizeof(OPS) / sizeof(OPS[0]); i++)
			sum += OPS[i].weight;
		__atomic_store_n(&total, sum, __ATOMIC_RELAXED);
	}
	pick = t_below(&t->rng, sum);
	for (size_t i = 0; i < sizeof(OPS) / sizeof(OPS[0]); i++) {
		if (pick < OPS[i].weight) {
			OPS[i].op(t);
			return;
		}
		pick -= OPS[i].weight;
	}
}
