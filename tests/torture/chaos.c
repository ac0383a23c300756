/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chaos: what a VMM may do to its guest's memory beside using it, one thing every few hundred
 * milliseconds. What keeps the content goes on under the running threads (advice, spawn, mlock);
 * what moves or drops it is done with the world lock held, and changes the model with it.
 */
#include "torture.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define CHILD_SECONDS 60.0
#define NAP_MS_MIN 40
#define NAP_MS_SPREAD 200

extern char **environ;

static struct hregion *some_region(struct torture_self *self)
{
	return &self->h.region[t_below(&self->rng, self->h.nregions)];
}

/* A range of whole pages of a region, up to max pages. */
static void some_range(struct torture_self *self, struct hregion *r, uint32_t max, uint32_t *page,
		       uint32_t *n)
{
	*page = t_below(&self->rng, r->npages);
	*n = 1 + t_below(&self->rng, max);
	if (*n > r->npages - *page)
		*n = r->npages - *page;
}

static void verify_all(struct torture_self *self)
{
	hammer_lock(&self->h);
	hammer_verify(&self->h, "with all threads halted");
	hammer_unlock(&self->h);
}

static void must_end(struct torture_self *self, pid_t pid, const char *what)
{
	int status = 0;

	(void)self;
	if (t_wait(pid, CHILD_SECONDS, &status)) {
		kill(pid, SIGKILL);
		t_fail("%s did not end within %.0f s", what, CHILD_SECONDS);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		t_fail("%s: status 0x%x", what, status);
}

/* The child finds what the parent had at the fork, writes to its own copy, finds that too. */
static void child_checks(struct torture_self *self)
{
	static struct hammer_stats mine;

	self->h.stats = &mine;
	for (uint32_t i = 0; i < self->h.nregions; i++) {
		struct hregion *r = &self->h.region[i];

		if (r->dontfork)
			continue;
		hammer_verify_region(&self->h, r, "in a forked child");
		for (uint32_t p = 0; p < r->npages - r->ncounter; p += 3)
			mpage_patch(&r->model[p], r->base + (size_t)p * T_PAGE, 8, 8, 0x6368696c64);
		hammer_verify_region(&self->h, r, "in a forked child that wrote");
	}
	_exit(0);
}

static void do_fork(struct torture_self *self)
{
	pid_t pid;

	hammer_lock(&self->h);
	pid = fork();
	if (!pid)
		child_checks(self);
	hammer_unlock(&self->h);
	t_check(pid > 0, "fork: %m");
	must_end(self, pid, "a forked child");
	self->vm->forks++;
}

static void do_spawn(struct torture_self *self)
{
	static char name[] = "true";
	char *argv[] = {name, NULL};
	pid_t pid;

	errno = posix_spawnp(&pid, name, NULL, NULL, argv, environ);
	t_check(!errno, "posix_spawn: %m");
	must_end(self, pid, "a spawned program");
	self->vm->spawns++;
}

static void do_move(struct torture_self *self)
{
	struct hregion *r = some_region(self);
	size_t size = (size_t)r->npages * T_PAGE;
	uint8_t *to = hammer_reserve(size), *old, *p;

	hammer_lock(&self->h);
	old = r->base;
	p = mremap(old, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (p != to)
		t_fail("mremap of a region of %zu bytes: %m", size);
	r->base = p;
	torture_publish_regions(self);
	hammer_verify_region(&self->h, r, "after mremap");
	hammer_unlock(&self->h);
	self->vm->moves++;
}

static void do_unmap(struct torture_self *self)
{
	struct hregion *r = some_region(self);
	size_t size = (size_t)r->npages * T_PAGE;

	hammer_lock(&self->h);
	t_sys(munmap(r->base, size));
	hammer_map(r, t_rand(&self->rng) & 1 ? r->base : NULL);
	hammer_zeroed(&self->h, r, 0, r->npages);
	torture_publish_regions(self);
	hammer_verify_region(&self->h, r, "after munmap and mmap");
	hammer_fill(&self->h, r);
	hammer_unlock(&self->h);
	self->vm->unmaps++;
}

/* An agent may leave a region alone for good once a part of it was replaced or protected. So that
 * sharing goes on, the whole of it is offered again. */
static void offer_again(struct hregion *r)
{
	size_t size = (size_t)r->npages * T_PAGE;

	t_sys(madvise(r->base, size, MADV_MERGEABLE));
	t_sys(madvise(r->base, size, r->nohuge ? MADV_NOHUGEPAGE : MADV_HUGEPAGE));
	t_sys(madvise(r->base, size, r->dontfork ? MADV_DONTFORK : MADV_DOFORK));
}

/* Not writable for a moment: the content stays, and nobody's write is let in meanwhile. */
static void do_protect(struct torture_self *self)
{
	struct hregion *r = some_region(self);
	uint8_t bytes[8] = {0}, *at;
	struct iovec local = {bytes, sizeof(bytes)}, remote = {NULL, sizeof(bytes)};
	uint32_t page, n;

	some_range(self, r, 40, &page, &n);
	hammer_lock(&self->h);
	at = r->base + (size_t)page * T_PAGE;
	t_sys(mprotect(at, (size_t)n * T_PAGE, PROT_READ));
	t_sleep(0.001 * t_below(&self->rng, 30));
	hammer_verify_region(&self->h, r, "with a part made read-only");
	for (uint32_t i = 0; i < n; i++) {
		remote.iov_base = at + (size_t)i * T_PAGE;
		if (process_vm_writev(getpid(), &local, 1, &remote, 1, 0) != -1 || errno != EFAULT)
			t_fail("page %u: PROT_READ, but a write was let in", page + i);
	}
	t_sys(mprotect(at, (size_t)n * T_PAGE, PROT_READ | PROT_WRITE));
	hammer_verify_region(&self->h, r, "after mprotect");
	offer_again(r);
	hammer_unlock(&self->h);
	self->vm->protects++;
}

/* New memory over a part of a region, as a VMM does for a page with a memory error. */
static void do_remap(struct torture_self *self)
{
	struct hregion *r = some_region(self);
	uint32_t page, n;
	uint8_t *at, *p;

	some_range(self, r, 600, &page, &n);
	hammer_lock(&self->h);
	at = r->base + (size_t)page * T_PAGE;
	p = mmap(at, (size_t)n * T_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	if (p != at)
		t_fail("mmap(MAP_FIXED) over %u pages of a region: %m", n);
	offer_again(r);
	hammer_zeroed(&self->h, r, page, n);
	hammer_verify_region(&self->h, r, "after mmap over a part");
	hammer_unlock(&self->h);
	self->vm->remaps++;
}

/* The end is cut off with mremap; then the region grows back in place, or, where another thread of
 * the process has mapped something there meanwhile, as a whole in another. */
static void do_resize(struct torture_self *self)
{
	struct hregion *r = some_region(self);
	size_t size = (size_t)r->npages * T_PAGE;
	uint32_t cut = 1 + t_below(&self->rng, 511);
	size_t less = size - (size_t)cut * T_PAGE;
	uint8_t *p;

	hammer_lock(&self->h);
	p = mremap(r->base, size, less, 0);
	if (p != r->base)
		t_fail("mremap to fewer pages: %m");
	p = mmap(r->base + less, size - less, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (p == MAP_FAILED && errno == EEXIST) {
		p = mremap(r->base, less, size, MREMAP_MAYMOVE);
		if (p == MAP_FAILED)
			t_fail("mremap to more pages: %m");
		r->base = p;
		torture_publish_regions(self);
	} else if (p != r->base + less) {
		t_fail("mmap behind a region that was cut: %m");
	}
	offer_again(r);
	hammer_zeroed(&self->h, r, r->npages - cut, cut);
	hammer_verify_region(&self->h, r, "after cutting and growing");
	hammer_unlock(&self->h);
	self->vm->resizes++;
}

/* A long discard, as a balloon or free page reporting makes them. */
static void do_discard(struct torture_self *self)
{
	struct hregion *r = some_region(self);
	uint32_t page, n;

	if (self->opts->no_discard)
		return;
	some_range(self, r, 1500, &page, &n);
	hammer_lock(&self->h);
	t_sys(madvise(r->base + (size_t)page * T_PAGE, (size_t)n * T_PAGE, MADV_DONTNEED));
	hammer_zeroed(&self->h, r, page, n);
	hammer_verify_region(&self->h, r, "after a long discard");
	hammer_unlock(&self->h);
	__atomic_fetch_add(&self->vm->stats.discards, n, __ATOMIC_RELAXED);
}

/* Advice that keeps the content. The memory may come under it while threads use it, so regions
 * are looked at without the lock: only this thread moves them. */
static void advise(struct torture_self *self, int advice, uint32_t max, bool may_fail)
{
	struct hregion *r = some_region(self);
	uint32_t page = 0, n = r->npages;

	if (max)
		some_range(self, r, max, &page, &n);
	if (madvise(r->base + (size_t)page * T_PAGE, (size_t)n * T_PAGE, advice) && !may_fail)
		t_fail("madvise(%d) of %u pages: %m", advice, n);
	self->vm->advices++;
}

static void do_huge(struct torture_self *self)
{
	advise(self, t_rand(&self->rng) & 1 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE,
	       t_rand(&self->rng) & 1 ? 2000 : 0, false);
}

static void do_collapse(struct torture_self *self)
{
	struct hregion *r = some_region(self);
	uint32_t block = t_below(&self->rng, r->npages / 512);

	/* refused wherever pages are shared, zero or tracked: that is fine */
	madvise(r->base + (size_t)block * T_BLOCK, T_BLOCK, MADV_COLLAPSE);
	self->vm->collapses++;
}

static void do_unmergeable(struct torture_self *self)
{
	struct hregion *r = some_region(self);
	size_t size = (size_t)r->npages * T_PAGE;

	t_sys(madvise(r->base, size, MADV_UNMERGEABLE));
	t_sleep(0.001 * t_below(&self->rng, 300));
	t_sys(madvise(r->base, size, MADV_MERGEABLE));
	self->vm->advices++;
}

static void do_populate(struct torture_self *self)
{
	static const int ADVICE[] = {MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_COLD,
				     MADV_WILLNEED};
	int advice = ADVICE[t_below(&self->rng, 4)];

	/* WILLNEED: EBADF on anonymous memory; COLD: fine on all */
	advise(self, advice, 700, advice == MADV_WILLNEED);
}

static void do_mlock(struct torture_self *self)
{
	struct hregion *r = some_region(self);
	uint32_t page, n;
	uint8_t *at;

	some_range(self, r, 64, &page, &n);
	/* with the lock: the kernel refuses to discard locked memory */
	hammer_lock(&self->h);
	at = r->base + (size_t)page * T_PAGE;
	if (!mlock(at, (size_t)n * T_PAGE)) { /* else: a limit of this machine */
		t_sleep(0.001 * t_below(&self->rng, 30));
		t_sys(munlock(at, (size_t)n * T_PAGE));
		hammer_verify_region(&self->h, r, "after mlock and munlock");
		self->vm->locks++;
	}
	hammer_unlock(&self->h);
}

static const struct {
	void (*op)(struct torture_self *self);
	uint8_t weight;
	uint8_t needs; /* 1: fork, 2: remap */
} OPS[] = {
	{verify_all, 6, 0}, {do_fork, 8, 1},	  {do_spawn, 8, 1},	  {do_move, 5, 2},
	{do_unmap, 4, 2},   {do_remap, 6, 2},	  {do_resize, 4, 2},	  {do_discard, 6, 0},
	{do_huge, 6, 0},    {do_collapse, 10, 0}, {do_unmergeable, 3, 0}, {do_populate, 10, 0},
	{do_mlock, 4, 0},   {do_protect, 3, 2},
};

void *torture_chaos(void *arg)
{
	struct torture_self *self = arg;

	while (!self->stop) {
		size_t i = t_below(&self->rng, sizeof(OPS) / sizeof(OPS[0]));

		if (t_below(&self->rng, 10) >= OPS[i].weight)
			continue;
		if ((OPS[i].needs == 1 && self->opts->no_fork) ||
		    (OPS[i].needs == 2 && self->opts->no_remap))
			continue;
		OPS[i].op(self);
		t_sleep(0.001 * (NAP_MS_MIN + t_below(&self->rng, NAP_MS_SPREAD)));
	}
	return NULL;
}
