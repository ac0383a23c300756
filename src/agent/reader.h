/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reader: the threads that bring back what the guest touches.
 */
#ifndef PSHARE_AGENT_READER_H
#define PSHARE_AGENT_READER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/region.h"

#define READERS 3u	      /* the first listens, the others wait for disks in its place */
#define READER_WORKER READERS /* the worker reads too, and has a place of its own */
#define READER_JOBS 256u
#define READER_STREAMS 4u
#define READER_SCAN 64u /* pages touched one after the other: somebody reads all memory */

struct agent;

struct reader_job {
	uintptr_t addr;
	uint64_t since; /* ns: when it was heard */
	bool paced;	/* a moment later */
};

/* Accesses in order. */
struct reader_stream {
	uint32_t next; /* page in the VM */
	uint32_t len;
	uint64_t at; /* ns: the latest */
};

struct readers {
	struct region *_Atomic in[READERS + 1]; /* where each of them is; see reader.c */
	char *room[READERS + 1];		/* PAGEIN_ROOM pages each */
	pthread_t thread[READERS];
	_Atomic uint32_t begun; /* threads that have a number */
	pthread_mutex_t lock;	/* of the jobs: held for moments, by readers alone */
	pthread_cond_t more;
	struct reader_job job[READER_JOBS];
	uint32_t head, tail;
	pthread_mutex_t stream_lock;
	struct reader_stream stream[READER_STREAMS];
};

/* Room for their contents. 0 or -ENOMEM. */
int readers_init(struct agent *a);
/* A reader's life; arg is the struct agent. */
void *reader_main(void *arg);
/* The region is no longer MANAGED: returns when no reader looks at it any more. */
void readers_quiesce(struct agent *a, const struct region *r);
/* A region has become MANAGED: returns when every reader that may not have seen that has done what
 * it does with an address of no region. */
void readers_meet(struct agent *a);

/* The region that has this address, and its page, for thread number `who`: it stays until
 * reader_leave(), which is to be called in any case. NULL: there is none, and none becomes managed
 * there until then. No lock is needed. */
struct region *reader_enter(struct agent *a, uint32_t who, uintptr_t addr, uint32_t *page);
void reader_leave(struct agent *a, uint32_t who);

#endif
