/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hammer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void hammer_init(struct hammer *h, uint32_t nthreads, uint64_t seed)
{
	pthread_rwlockattr_t attr;

	memset(h, 0, sizeof(*h));
	h->nthreads = nthreads;
	h->seed = seed;
	h->direct_fd = h->file_fd = -1;
	h->stats = &h->own_stats;
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&h->world, &attr);
	pthread_rwlockattr_destroy(&attr);
}

uint8_t *hammer_reserve(size_t bytes)
{
	size_t room = bytes + 2 * (size_t)T_BLOCK;
	uint8_t *p =
		mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *at;

	if (p == MAP_FAILED)
		t_fail("reserving %zu bytes: %m", room);
	at = (uint8_t *)(((uintptr_t)p + T_BLOCK) & ~(uintptr_t)(T_BLOCK - 1));
	munmap(p, (size_t)(at - p));
	munmap(at + bytes, room - bytes - (size_t)(at - p));
	return at;
}

bool hammer_tolerant;

static void advise(uint8_t *p, size_t size, int advice)
{
	if (madvise(p, size, advice) && !hammer_tolerant)
		t_fail("madvise(%d) of a region: %m", advice);
}

void hammer_map(struct hregion *r, void *at)
{
	size_t size = (size_t)r->npages * T_PAGE;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	uint8_t *p = MAP_FAILED;

	/* another thread of the process, not least the agent's, may have been quicker */
	if (at)
		p = mmap(at, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, -1, 0);
	if (p == MAP_FAILED)
		p = mmap(hammer_reserve(size), size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1,
			 0);
	if (p == MAP_FAILED)
		t_fail("mmap of a region: %m");
	advise(p, size, MADV_MERGEABLE);
	advise(p, size, r->nohuge ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	if (r->dontfork)
		advise(p, size, MADV_DONTFORK);
	r->base = p;
}

/* Consecutive pages get consecutive pool contents, so frames can form runs; some are zero, a few
 * are unique. Counter pages keep one of four contents for ever. */
static uint64_t first_key(const struct hregion *r, uint32_t page, uint64_t *rng)
{
	if (page >= r->npages - r->ncounter)
		return pool_key(page % 4);
	if (page / 32 % 8 == 7)
		return 0;
	if (page / 32 % 8 == 6)
		return unique_key(rng);
	return pool_key(page % MODEL_POOL);
}

void hammer_fill(struct hammer *h, struct hregion *r)
{
	uint64_t rng = h->seed ^ (uintptr_t)r->base;

	for (uint32_t p = 0; p < r->npages; p++)
		mpage_write(&r->model[p], r->base + (size_t)p * T_PAGE, first_key(r, p, &rng));
	for (uint32_t t = 0; t < h->nthreads; t++)
		memset(r->in[t], 0, r->ncounter);
}

struct hregion *hammer_region(struct hammer *h, uint32_t npages, bool dontfork, bool nohuge)
{
	struct hregion *r = &h->region[h->nregions];

	t_check(h->nregions < HAMMER_REGIONS, "too many regions");
	r->npages = npages;
	r->ncounter = npages / 16;
	r->dontfork = dontfork;
	r->nohuge = nohuge;
	/* mmap, not malloc: nothing of the model may ever be near the managed memory */
	r->model = mmap(NULL, (size_t)npages * sizeof(*r->model), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	t_check(r->model != MAP_FAILED, "%m");
	for (uint32_t t = 0; t < h->nthreads; t++)
		r->in[t] = calloc(r->ncounter + 1, 1);
	hammer_map(r, NULL);
	hammer_fill(h, r);
	h->nregions++;
	return r;
}

void hammer_zeroed(struct hammer *h, struct hregion *r, uint32_t page, uint32_t n)
{
	uint32_t counters = r->npages - r->ncounter;

	for (uint32_t p = page; p < page + n; p++) {
		mpage_begin(&r->model[p]);
		mpage_end(&r->model[p], 0);
		for (uint32_t t = 0; p >= counters && t < h->nthreads; t++)
			r->in[t][p - counters] = 0;
	}
}

void hammer_lock(struct hammer *h)
{
	pthread_rwlock_wrlock(&h->world);
}

void hammer_unlock(struct hammer *h)
{
	pthread_rwlock_unlock(&h->world);
}

static uint64_t now_ns(void)
{
	return (uint64_t)(t_now() * 1e9);
}

/* What is left behind can be shared, most of it: neighbours get neighbouring contents. */
static void cool_down(struct hthread *t)
{
	for (uint32_t i = 0; i < HAMMER_HOT; i++) {
		struct hregion *r = t->hot[i].r;
		uint32_t page = t->hot[i].page;

		if (r && page < r->npages - r->ncounter && t_below(&t->rng, 5))
			mpage_write(&r->model[page], r->base + (size_t)page * T_PAGE,
				    first_key(r, page, &t->rng));
	}
}

static void draw_hot(struct hthread *t)
{
	struct hammer *h = t->h;

	cool_down(t);
	if (!t->id)
		h->hot_counter = (uint32_t)t_rand(&t->rng);
	for (uint32_t i = 0; i < HAMMER_HOT; i += HAMMER_CHUNK) {
		struct hregion *r = &h->region[t_below(&t->rng, h->nregions)];
		uint32_t chunks = (r->npages - r->ncounter) / HAMMER_CHUNK / h->nthreads;
		uint32_t c = t_below(&t->rng, chunks) * h->nthreads + t->id;

		for (uint32_t k = 0; k < HAMMER_CHUNK; k++) {
			t->hot[i + k].r = r;
			t->hot[i + k].page = c * HAMMER_CHUNK + k;
		}
	}
}

static void *hammer_main(void *arg)
{
	struct hthread *t = arg;
	struct hammer *h = t->h;

	while (!h->stop) {
		uint64_t start, end;

		pthread_rwlock_rdlock(&h->world);
		start = now_ns();
		if (start > t->next_hot) {
			draw_hot(t);
			t->next_hot = start + h->hot_ns;
		}
		for (uint32_t i = 0; i < HAMMER_BATCH; i++)
			hammer_op(t);
		end = now_ns();
		pthread_rwlock_unlock(&h->world);
		__atomic_store_n(&t->ops, t->ops + HAMMER_BATCH, __ATOMIC_RELAXED);
		if (end - start > t->max_batch_ns)
			__atomic_store_n(&t->max_batch_ns, end - start, __ATOMIC_RELAXED);
	}
	return NULL;
}

void hammer_start(struct hammer *h)
{
	uint64_t pages = 0;

	for (uint32_t i = 0; i < h->nregions; i++)
		pages += h->region[i].npages;
	t_check(pages, "nothing to hammer");
	/* cppcheck-suppress zerodiv ; t_check() ends the program */
	h->hot_ns = HAMMER_QUIET_MS * 1000000ull * HAMMER_HOT * h->nthreads / pages;
	h->stop = 0;
	for (uint32_t i = 0; i < h->nthreads; i++) {
		struct hthread *t = &h->thread[i];

		t->h = h;
		t->id = i;
		t->rng = h->seed * 1000003 + i;
		if (!t->pipe[1])
			t_sys(pipe(t->pipe));
		errno = pthread_create(&t->thread, NULL, hammer_main, t);
		t_check(!errno, "%m");
	}
}

void hammer_stop(struct hammer *h)
{
	h->stop = 1;
	for (uint32_t i = 0; i < h->nthreads; i++)
		pthread_join(h->thread[i].thread, NULL);
	hammer_publish(h);
}

void hammer_publish(struct hammer *h)
{
	uint64_t ops = 0, stall = 0;

	for (uint32_t i = 0; i < h->nthreads; i++) {
		uint64_t ns = __atomic_load_n(&h->thread[i].max_batch_ns, __ATOMIC_RELAXED);

		ops += __atomic_load_n(&h->thread[i].ops, __ATOMIC_RELAXED);
		stall = ns > stall ? ns : stall;
	}
	__atomic_store_n(&h->stats->ops, ops, __ATOMIC_RELAXED);
	__atomic_store_n(&h->stats->max_batch_ns, stall, __ATOMIC_RELAXED);
}

/* A counter page: its content, with the sum of all visits added to each of the counters. */
static void verify_counter(struct hammer *h, struct hregion *r, uint32_t page, const char *when)
{
	const uint8_t *memory = r->base + (size_t)page * T_PAGE;
	uint32_t index = page - (r->npages - r->ncounter);
	uint64_t want[T_PAGE / 8], sum = 0;

	for (uint32_t t = 0; t < h->nthreads; t++)
		sum += r->in[t][index];
	content_fill(want, r->model[page].key);
	for (uint32_t i = 0; i < HAMMER_COUNTERS; i++)
		want[i * 64] += sum;
	if (!memcmp(want, memory, T_PAGE))
		return;
	for (uint32_t i = 0; i < T_PAGE / 8; i++) {
		uint64_t got;

		memcpy(&got, memory + i * 8, 8);
		if (got != want[i])
			t_fail("%s: counter page %u at %p: word %u is %016lx, must be %016lx "
			       "(%lu visitors; off by %ld)",
			       when, page, (const void *)memory, i, got, want[i], sum,
			       (long)(got - want[i]));
	}
	t_fail("%s: counter page %u: wrong when first read, right a moment later", when, page);
}

void hammer_verify_region(struct hammer *h, struct hregion *r, const char *when)
{
	uint32_t plain = r->npages - r->ncounter;

	for (uint32_t p = 0; p < plain; p++)
		mpage_check(&r->model[p], r->base + (size_t)p * T_PAGE, when, p);
	for (uint32_t p = plain; p < r->npages; p++)
		verify_counter(h, r, p, when);
	h->stats->verified += r->npages;
}

void hammer_verify(struct hammer *h, const char *when)
{
	for (uint32_t i = 0; i < h->nregions; i++)
		if (h->region[i].base)
			hammer_verify_region(h, &h->region[i], when);
}
