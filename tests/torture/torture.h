/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * torture: fake VMMs under the agent, and all that a VMM and its devices may do to guest memory,
 * at the same time, with a model of every byte. See torture.c for how it is run and judged.
 */
#ifndef PSHARE_TORTURE_H
#define PSHARE_TORTURE_H

#include "lib/hammer.h"
#include "lib/pmap.h"

#define TORTURE_VMS 16u

enum torture_phase {
	TORTURE_RUN,	/* everything goes */
	TORTURE_QUIET,	/* all threads joined, all memory verified, nothing is written */
	TORTURE_FRESH,	/* all memory mapped anew and filled with contents that have twins */
	TORTURE_UNIQUE, /* every page was written with a content of its own: nothing to share */
	TORTURE_END,
};

/* Lies in shared memory that no agent manages: the VMs report, the parent judges. */
struct torture_vm {
	int32_t pid;
	int32_t phase; /* the phase that the VM has reached */
	struct hammer_stats stats;
	uint64_t ops_before; /* done before it executed itself anew */
	uint32_t execs;
	struct {
		uint64_t base;
		uint32_t npages;
		uint32_t pad;
	} region[HAMMER_REGIONS];
	uint64_t forks, spawns, moves, unmaps, remaps, resizes, advices, collapses, locks, protects;
	uint64_t fixed_reads, async_reads, direct_writes, shared_when_registered;
	uint64_t splices, splices_shared;
	uint64_t late_writes, late_missed;
};

struct torture_ctl {
	volatile int32_t phase; /* what the VMs are to reach */
	struct torture_vm vm[TORTURE_VMS];
};

struct torture_opts {
	uint32_t vms, threads, mib;
	double seconds;
	uint64_t ops, seed;
	bool bare;
	bool no_chaos, no_io, no_splice, no_exec, no_discard, no_fork, no_remap, no_settings;
	bool no_budget;
	char file[256]; /* of pool contents, on a real file system */
};

struct torture_self {
	struct torture_ctl *ctl;
	struct torture_vm *vm;
	const struct torture_opts *opts;
	struct hammer h;
	uint64_t rng;
	volatile int stop; /* for the threads of chaos, io and splice */
	uint64_t next_region;
};

/* The whole life of one fake VMM (vm.c). Ends the process. */
_Noreturn void torture_vm_main(const struct torture_opts *opts, int ctl_fd, uint32_t index,
			       char *const argv[]);
void torture_publish_regions(struct torture_self *self);

/* Threads of a fake VMM, each until self->stop. */
void *torture_chaos(void *arg);
void *torture_io(void *arg);
void *torture_splice(void *arg);

#endif
