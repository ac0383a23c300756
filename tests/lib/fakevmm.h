/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fakevmm: a VMM under remote control. The program tests/system/fakevmm runs under the agent and
 * does to its memory what a test tells it, one command at a time, over a socket; it keeps the
 * model of its pages (model.h) outside of the managed memory, and ends at the first wrong byte.
 *
 * With FAKEVMM_TOLERANT in its environment it goes on when its own madvise() fails.
 *
 * Every fv_... call fails the test if the VMM has died, does not answer within FV_SECONDS, or
 * could not do what it was told.
 */
#ifndef PSHARE_TEST_FAKEVMM_H
#define PSHARE_TEST_FAKEVMM_H

#include <stdlib.h>

#include "model.h"
#include "pmap.h"
#include "vm.h"

#define FV_REGIONS 8u
#define FV_SECONDS 60

enum fv_op {
	FV_MAP = 1, /* n pages, arg: FV_MAP_... ; value: the address */
	FV_UNMAP,   /* the region; arg FV_UNMAP_...; value: the address */
	FV_POOL,    /* pages page..page+n-1 get pool contents key, key+1, ... (arg: step) */
	FV_UNIQUE,  /* each gets a content of its own */
	FV_ZERO,    /* written with zeros */
	FV_PATCH,   /* one word of each is written; value: ns of the slowest */
	FV_DISCARD, /* MADV_DONTNEED */
	FV_CHECK,   /* every byte */
	FV_READ,    /* reads one word of each; value: ns of the slowest */
	FV_MADVISE, /* arg: advice */
	FV_PROTECT, /* mprotect; arg: protection */
	FV_LOCK,    /* mlock of the region */
	FV_MOVE,    /* mremap to another place; value: the address */
	FV_FORK,    /* a child checks every region, writes, checks again; arg: FV_BY_... */
	FV_HAMMER,  /* starts arg threads on all regions (hammer.h) */
	FV_STOP,    /* ends them, verifies; value: operations done */
	FV_STALL,   /* value: ns of the slowest batch since it was last asked */
	FV_OPS,	    /* value: operations done so far */
	FV_EAT,	    /* uses up mappings until arg are left below vm.max_map_count */
	FV_SPIT,    /* gives them back */
	FV_HEAP,    /* malloc's own memory is offered for sharing, and used meanwhile (arg: step) */
	FV_LATE,    /* arg 0: note the frame of page; 1: write a word into it wherever it is now */
	FV_FIXED,   /* arg 1: registers n pages as io_uring fixed buffers; 0: lets them go */
	FV_FIXED_READ,	/* READ_FIXED of pool content key into page */
	FV_HOLD,	/* arg 1: keeps a plain reference to page (vmsplice); 0: lets all go */
	FV_DIRECT,	/* arg 1: opens a file with O_DIRECT; 0: closes it */
	FV_DIRECT_READ, /* an O_DIRECT read of pool content key into page */
	FV_SANDBOX,	/* a seccomp filter ends it when it makes a child with memory of its own */
	FV_GROW,  /* maps one shared page anew with mremap() growing over what follows in the file;
		      * value: pages that could be read */
	FV_PAUSE, /* arg 1: the hammer stands still, its model goes into $FAKEVMM_RAM.model<key>;
		   * 0: it goes on */
	FV_LOAD,  /* a child: its memory must be what $FAKEVMM_MODEL says; then its hammer goes on,
		   * if its parent's did */
	FV_CLOSE, /* closes descriptors that are not its own: userfaultfds; value: how many */
	FV_EXEC,  /* after the answer it executes itself anew: fv_exec() */
	FV_END,
};

#define FV_UNMAP_AND_MAP 1 /* and map it anew, in the same place if it is still free */
#define FV_UNMAP_WRONG 2   /* from an address that is no page's: the kernel refuses */
#define FV_BY_FORK 0
#define FV_BY_FORK_ALONE 1 /* _Fork(): no handlers of pthread_atfork() run */
#define FV_BY_CLONE 2	   /* the bare system call, of which the agent does not hear */
#define FV_MAP_DONTFORK 1
#define FV_MAP_NOHUGE 2
#define FV_MAP_PLAIN 4 /* not offered for sharing */
#define FV_MAP_LOCKED 8
#define FV_MAP_RAM 16 /* a shared file, as it believes: $FAKEVMM_RAM */

struct fv_cmd {
	uint32_t op, region;
	uint32_t page, n;
	uint64_t key;
	int64_t arg;
};

struct fv_answer {
	int64_t error; /* 0 or -errno */
	uint64_t value;
};

struct fakevmm {
	pid_t pid;
	int sock;
	int pagemap;
	char name[64];
	uint32_t nregions;
	uint64_t base[FV_REGIONS];
	uint32_t npages[FV_REGIONS];
};

/* Starts one. opts->keep_fd is used by this. */
void fv_start(struct fakevmm *v, const struct t_daemon *d, struct t_vm_opts opts);
/* One command. Returns value; fails the test on an error. */
uint64_t fv_do(struct fakevmm *v, enum fv_op op, uint32_t region, uint32_t page, uint32_t n,
	       uint64_t key, int64_t arg);
/* The same, but an error is the caller's business. */
struct fv_answer fv_try(struct fakevmm *v, struct fv_cmd cmd);
/* Sent, and answered later: fv_wait must follow. */
void fv_send(struct fakevmm *v, struct fv_cmd cmd);
struct fv_answer fv_wait(struct fakevmm *v);

uint32_t fv_map(struct fakevmm *v, uint32_t npages, int flags); /* returns the region */
void fv_pool(struct fakevmm *v, uint32_t region, uint32_t page, uint32_t n, uint32_t key);
void fv_check(struct fakevmm *v, uint32_t region);
/* Pages of a region that map a frame, as the kernel says. */
uint32_t fv_shared(struct fakevmm *v, uint32_t region);
uint32_t fv_zero(struct fakevmm *v, uint32_t region);
/* Waits until at least so many pages are shared; false if they are not within the seconds. */
bool fv_wait_shared(struct fakevmm *v, uint32_t region, uint32_t pages, double seconds);
/* Page frame number of a page, 0 if it is not present. */
uint64_t fv_pfn(struct fakevmm *v, uint32_t region, uint32_t page);

/* It executes itself anew: the same process, a new program, without a region. */
void fv_exec(struct fakevmm *v);
void fv_end(struct fakevmm *v);	 /* it ends by itself, well */
void fv_kill(struct fakevmm *v); /* SIGKILL, and waits */
bool fv_alive(struct fakevmm *v);

/* FV_EAT takes minutes where vm.max_map_count is very large: then the test is skipped. */
#define MAPPINGS_MAX 1100000
#define T_NEED_FEW_MAPPINGS()                                                                  \
	do {                                                                                   \
		char text_[32];                                                                \
		t_slurp("/proc/sys/vm/max_map_count", text_, sizeof(text_));                   \
		if (atol(text_) > MAPPINGS_MAX)                                                \
			SKIP("vm.max_map_count is %ld here: too many to use up", atol(text_)); \
	} while (0)

#endif
