/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm: one fake VMM. It maps its guest's memory as QEMU does, lets the hammer loose on it, and
 * beside the hammer what else happens to a guest's memory: chaos (moves, unmaps, forks, advice),
 * io (O_DIRECT, io_uring fixed buffers), splice (plain references, late writes). When the parent
 * asks for the next phase it stops, verifies every byte and waits.
 */
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXEC_SECONDS 12.0 /* one VM executes itself anew that often */
#define POLL_SECONDS 0.02

void torture_publish_regions(struct torture_self *self)
{
	for (uint32_t i = 0; i < self->h.nregions; i++) {
		self->vm->region[i].base = (uintptr_t)self->h.region[i].base;
		self->vm->region[i].npages = self->h.region[i].npages;
	}
}

static void open_files(struct torture_self *self)
{
	if (!*self->opts->file)
		return;
	self->h.file_fd = t_sys(open(self->opts->file, O_RDONLY | O_CLOEXEC));
	self->h.direct_fd = open(self->opts->file, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (self->h.direct_fd < 0)
		t_note("no O_DIRECT on %s: %m", self->opts->file);
}

/* Three regions: as QEMU has its main memory, one that a fork sees, and one without huge pages.
 * Every second pair of VMs has no huge pages at all: where the kernel cannot take a part of one
 * out, an agent leaves alone what ever was one. */
static void map_regions(struct torture_self *self, bool nohuge)
{
	uint32_t pages = self->opts->mib << 8;
	uint32_t blocks = pages / 512;

	hammer_region(&self->h, (blocks - blocks / 4 - blocks / 8) * 512, true, nohuge);
	hammer_region(&self->h, blocks / 4 * 512, false, nohuge);
	hammer_region(&self->h, blocks / 8 * 512 + 100, false, true);
	torture_publish_regions(self);
}

static void join(pthread_t *thread)
{
	if (*thread)
		pthread_join(*thread, NULL);
	*thread = 0;
}

static pthread_t start(void *(*body)(void *), struct torture_self *self, bool off)
{
	pthread_t thread = 0;

	if (off)
		return 0;
	errno = pthread_create(&thread, NULL, body, self);
	t_check(!errno, "%m");
	return thread;
}

/* Runs until the parent wants another phase, or until it is time to execute anew. */
static void run(struct torture_self *self, double seconds)
{
	const struct torture_opts *o = self->opts;
	pthread_t chaos, io, splice;
	double end = t_now() + seconds;

	hammer_start(&self->h);
	chaos = start(torture_chaos, self, o->no_chaos);
	io = start(torture_io, self, o->no_io || self->h.direct_fd < 0);
	splice = start(torture_splice, self, o->no_splice);
	while (self->ctl->phase == TORTURE_RUN && t_now() < end) {
		t_sleep(POLL_SECONDS);
		hammer_publish(&self->h);
	}
	self->stop = 1;
	join(&chaos);
	join(&io);
	join(&splice);
	hammer_stop(&self->h);
	hammer_verify(&self->h, "when all had stopped");
}

static void exec_anew(struct torture_self *self, char *const argv[])
{
	self->vm->ops_before += self->vm->stats.ops;
	self->vm->stats.ops = 0;
	self->vm->execs++;
	execv("/proc/self/exe", argv);
	t_fail("executing anew: %m");
}

static void wait_phase(struct torture_self *self, int32_t reached)
{
	__atomic_store_n(&self->vm->phase, reached, __ATOMIC_SEQ_CST);
	while (self->ctl->phase <= reached)
		t_sleep(POLL_SECONDS);
}

/* Chaos leaves regions that consist of pieces; what is judged last begins whole. */
static void map_fresh(struct torture_self *self)
{
	for (uint32_t i = 0; i < self->h.nregions; i++) {
		struct hregion *r = &self->h.region[i];

		t_sys(munmap(r->base, (size_t)r->npages * T_PAGE));
		r->nohuge = true;
		hammer_map(r, NULL);
		hammer_zeroed(&self->h, r, 0, r->npages);
		hammer_fill(&self->h, r);
	}
	torture_publish_regions(self);
	hammer_verify(&self->h, "in fresh memory");
}

static void write_unique(struct torture_self *self)
{
	for (uint32_t i = 0; i < self->h.nregions; i++) {
		struct hregion *r = &self->h.region[i];

		r->ncounter = 0;
		for (uint32_t p = 0; p < r->npages; p++)
			mpage_write(&r->model[p], r->base + (size_t)p * T_PAGE,
				    unique_key(&self->rng));
	}
	hammer_verify(&self->h, "after writing every page");
}

void torture_vm_main(const struct torture_opts *opts, int ctl_fd, uint32_t index,
		     char *const argv[])
{
	static struct torture_self self;
	bool exec = index == 0 && !opts->no_exec;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	self.ctl = mmap(NULL, sizeof(*self.ctl), PROT_READ | PROT_WRITE, MAP_SHARED, ctl_fd, 0);
	t_check(self.ctl != MAP_FAILED, "%m");
	self.vm = &self.ctl->vm[index];
	self.opts = opts;
	self.rng = opts->seed ^ t_mix(index + 1) ^ (uint64_t)self.vm->execs << 32;
	hammer_init(&self.h, opts->threads, t_rand(&self.rng));
	self.h.stats = &self.vm->stats;
	self.h.no_discard = opts->no_discard;
	self.vm->pid = getpid();
	open_files(&self);
	map_regions(&self, index / 2 % 2);
	run(&self, exec ? EXEC_SECONDS : 1e9);
	if (self.ctl->phase == TORTURE_RUN)
		exec_anew(&self, argv);
	wait_phase(&self, TORTURE_QUIET);
	hammer_verify(&self.h, "after standing still");
	map_fresh(&self);
	wait_phase(&self, TORTURE_FRESH);
	write_unique(&self);
	wait_phase(&self, TORTURE_UNIQUE);
	hammer_verify(&self.h, "at the end");
	_exit(0);
}
