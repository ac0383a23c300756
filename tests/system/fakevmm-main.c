/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VMM under remote control (lib/fakevmm.h says what it can do). Commands come in on the
 * descriptor that its argument names. With hammer threads running it takes only the commands
 * that do not change content.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fakevmm-main.h"

#define STACK_BYTES (256u << 10)

struct vmm vmm;

static uint64_t now_ns(void)
{
	return (uint64_t)(t_now() * 1e9);
}

static uint8_t *at(struct hregion *r, uint32_t page)
{
	return r->base + (size_t)page * T_PAGE;
}

static int do_map(struct fv_cmd *c, uint64_t *value)
{
	struct hregion *r = &vmm.h.region[c->region];
	size_t size = (size_t)c->n * T_PAGE;

	*r = (struct hregion){.npages = c->n,
			      .dontfork = c->arg & FV_MAP_DONTFORK,
			      .nohuge = c->arg & FV_MAP_NOHUGE};
	r->model = mmap(NULL, c->n * sizeof(*r->model), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->model == MAP_FAILED)
		return -errno;
	if (c->arg & FV_MAP_RAM) {
		int err = vmm_map_ram(r);

		if (err)
			return err;
	} else if (c->arg & (FV_MAP_PLAIN | FV_MAP_LOCKED)) {
		r->base = mmap(hammer_reserve(size), size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (c->arg & FV_MAP_LOCKED &&
		    (mlock(r->base, size) || madvise(r->base, size, MADV_MERGEABLE)))
			return -errno;
	} else {
		hammer_map(r, NULL);
	}
	if (c->region >= vmm.h.nregions)
		vmm.h.nregions = c->region + 1;
	*value = (uintptr_t)r->base;
	return 0;
}

static int do_unmap(struct hregion *r, const struct fv_cmd *c, uint64_t *value)
{
	uint8_t *base = r->base;

	if (c->arg == FV_UNMAP_WRONG)
		return munmap(base - 8, (size_t)r->npages * T_PAGE + 8) ? -errno : -EIO;
	if (munmap(base, (size_t)r->npages * T_PAGE))
		return -errno;
	r->base = NULL;
	if (c->arg == FV_UNMAP_AND_MAP)
		hammer_map(r, base);
	hammer_zeroed(&vmm.h, r, 0, r->npages);
	*value = (uintptr_t)r->base;
	return 0;
}

static int do_write(struct hregion *r, struct fv_cmd *c)
{
	for (uint32_t i = 0; i < c->n; i++) {
		uint64_t key = 0;

		if (c->op == FV_POOL)
			key = pool_key((uint32_t)((c->key + i * (uint64_t)c->arg) % MODEL_POOL));
		else if (c->op == FV_UNIQUE)
			key = unique_key(&vmm.rng);
		mpage_write(&r->model[c->page + i], at(r, c->page + i), key);
	}
	return 0;
}

/* One word of each page, at offset key, becomes arg + i; or is read. The slowest is told. */
static int do_touch(struct hregion *r, struct fv_cmd *c, uint64_t *value)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct mpage *m = &r->model[c->page + i];
		uint64_t start = now_ns(), ns;

		if (c->op == FV_PATCH)
			mpage_patch(m, at(r, c->page + i), (uint16_t)(c->key % (T_PAGE - 7) & ~7u),
				    8, (uint64_t)c->arg + i);
		else
			(void)*(volatile uint64_t *)(void *)at(r, c->page + i);
		ns = now_ns() - start;
		*value = ns > *value ? ns : *value;
	}
	return 0;
}

static int do_check(struct hregion *r, struct fv_cmd *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		mpage_check(&r->model[c->page + i], at(r, c->page + i), "check", c->page + i);
	return 0;
}

static int do_move(struct hregion *r, uint64_t *value)
{
	size_t size = (size_t)r->npages * T_PAGE;
	uint8_t *to = hammer_reserve(size);

	if (mremap(r->base, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		return -errno;
	r->base = to;
	*value = (uintptr_t)to;
	return 0;
}

/* Memory that the child does not have: which? */
static void on_segv(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	t_fail("the forked child has nothing at %p", info->si_addr);
}

static void fork_child(void)
{
	struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &action, NULL);
	for (uint32_t i = 0; i < vmm.h.nregions; i++) {
		struct hregion *r = &vmm.h.region[i];
		struct fv_cmd all = {.n = r->npages};

		if (r->dontfork || !r->base)
			continue;
		do_check(r, &all);
		for (uint32_t p = 0; p < r->npages; p += 2)
			mpage_patch(&r->model[p], at(r, p), 16, 8, 0x6368696c64);
		do_check(r, &all);
	}
	_exit(0);
}

static pid_t make_child(int64_t by)
{
	if (by == FV_BY_FORK_ALONE)
		return _Fork();
	if (by == FV_BY_CLONE)
		return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	return fork();
}

static int do_fork(int64_t by)
{
	pid_t pid = make_child(by);
	int status = 0;

	if (!pid)
		fork_child();
	if (pid < 0)
		return -errno;
	if (t_wait(pid, 0.5 * FV_SECONDS, &status))
		t_fail("a forked child hangs");
	if (status)
		t_note("the forked child ended with status 0x%x", status);
	return status ? -ECHILD : 0;
}

static int do_hammer(struct fv_cmd *c)
{
	vmm.h.nthreads = (uint32_t)c->arg;
	for (uint32_t i = 0; i < vmm.h.nregions; i++) {
		struct hregion *r = &vmm.h.region[i];

		r->ncounter = r->npages / 16;
		for (uint32_t t = 0; t < vmm.h.nthreads; t++)
			r->in[t] = calloc(r->ncounter + 1, 1);
		hammer_fill(&vmm.h, r);
	}
	hammer_start(&vmm.h);
	return 0;
}

/* The counter pages become plain pages again: the model says what is in them. */
static int do_stop(uint64_t *value)
{
	hammer_stop(&vmm.h);
	hammer_verify(&vmm.h, "after the hammer had stopped");
	for (uint32_t i = 0; i < vmm.h.nregions; i++) {
		struct hregion *r = &vmm.h.region[i];

		for (uint32_t p = r->npages - r->ncounter; p < r->npages; p++)
			mpage_write(&r->model[p], at(r, p), pool_key(p % MODEL_POOL));
		r->ncounter = 0;
	}
	*value = vmm.h.stats->ops;
	return 0;
}

static int do_stall(uint64_t *value)
{
	for (uint32_t t = 0; t < vmm.h.nthreads; t++) {
		uint64_t ns =
			__atomic_exchange_n(&vmm.h.thread[t].max_batch_ns, 0, __ATOMIC_RELAXED);

		*value = ns > *value ? ns : *value;
	}
	return 0;
}

static int on_region(struct hregion *r, struct fv_cmd *c, uint64_t *value)
{
	switch (c->op) {
	case FV_UNMAP:
		return do_unmap(r, c, value);
	case FV_POOL:
	case FV_UNIQUE:
	case FV_ZERO:
		return do_write(r, c);
	case FV_PATCH:
	case FV_READ:
		return do_touch(r, c, value);
	case FV_DISCARD:
		if (madvise(at(r, c->page), (size_t)c->n * T_PAGE, MADV_DONTNEED))
			return -errno;
		hammer_zeroed(&vmm.h, r, c->page, c->n);
		return 0;
	case FV_CHECK:
		return do_check(r, c);
	case FV_MADVISE:
		return madvise(at(r, c->page), (size_t)c->n * T_PAGE, (int)c->arg) ? -errno : 0;
	case FV_PROTECT:
		return mprotect(at(r, c->page), (size_t)c->n * T_PAGE, (int)c->arg) ? -errno : 0;
	case FV_LOCK:
		return mlock(r->base, (size_t)r->npages * T_PAGE) ? -errno : 0;
	case FV_MOVE:
		return do_move(r, value);
	case FV_PAUSE:
		return vmm_pause(r, c);
	case FV_LOAD:
		return vmm_load(r);
	default:
		return vmm_special(r, c, value);
	}
}

static int run_command(struct fv_cmd *c, uint64_t *value)
{
	struct hregion *r;

	if (c->region >= FV_REGIONS)
		return -EINVAL;
	r = &vmm.h.region[c->region];
	switch (c->op) {
	case FV_MAP:
		return do_map(c, value);
	case FV_FORK:
		return do_fork(c->arg);
	case FV_HAMMER:
		return do_hammer(c);
	case FV_STOP:
		return do_stop(value);
	case FV_STALL:
		return do_stall(value);
	case FV_OPS:
		hammer_publish(&vmm.h);
		*value = vmm.h.stats->ops;
		return 0;
	case FV_EAT:
	case FV_SPIT:
	case FV_HEAP:
	case FV_DIRECT:
	case FV_SANDBOX:
		return vmm_special(NULL, c, value);
	default:
		if (!r->base || c->page > r->npages || c->n > r->npages - c->page)
			return -ERANGE;
		return on_region(r, c, value);
	}
}

/* The stack's pages are there before a test takes away the right to have more memory. */
static void grow_stack(void)
{
	volatile char room[STACK_BYTES];

	for (size_t i = 0; i < sizeof(room); i += T_PAGE)
		room[i] = 1;
}

int main(int argc, char **argv)
{
	int sock = argc == 2 ? atoi(argv[1]) : -1;
	struct fv_answer answer;
	struct fv_cmd cmd;

	grow_stack();
	hammer_tolerant = getenv("FAKEVMM_TOLERANT");
	hammer_init(&vmm.h, 1, (uint64_t)getpid());
	vmm.rng = t_mix((uint64_t)getpid());
	while (recv(sock, &cmd, sizeof(cmd), 0) == sizeof(cmd) && cmd.op != FV_END) {
		answer.value = 0;
		answer.error = cmd.op == FV_EXEC ? 0 : run_command(&cmd, &answer.value);
		if (send(sock, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
			break;
		if (cmd.op == FV_EXEC)
			execv("/proc/self/exe", argv);
	}
	return 0;
}
