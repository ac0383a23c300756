/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * agent: what the parts of the agent share. One per process, made at the first opted-in region.
 *
 * Threads
 *   worker   (worker.c) looks, hashes, takes out, maps, empties the quarantine, talks to the daemon
 *   settler  (settler.c) settles write faults where frames are guarded; else there are none
 *   readers  (reader.c) bring back what is out when it is touched, fill holes behind gates
 *   hold     (sys/hold.c) keeps the two userfaultfds open, whatever the VMM closes
 *   the VMM's own threads, inside the calls that interpose.c catches
 *
 * Locks, in this order, never the other way:
 *   act     whoever changes mappings of guest RAM: the worker for one run, a VMM thread for one
 *           call.
 *   (Readers take neither; see reader.h.)
 *   settle  the settler for one fault; others for moments, while the table of regions, or the
 *           state of a page that may be guarded, changes.
 *
 * Two userfaultfds
 *   tracker  all guest RAM: asynchronous write-protect (what changed?). While a run of pages is
 *            out, that run is registered MISSING too (the gate): an access waits for a wake; while
 *            pages are staged, twin, zipped or swapped, their block is.
 *   guard    pages in a store's mapping, while they are closed: synchronous write-protect. A
 *            mapping of frames is registered with nothing otherwise.
 */
#ifndef PSHARE_AGENT_AGENT_H
#define PSHARE_AGENT_AGENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/birth.h"
#include "agent/census.h"
#include "agent/cold.h"
#include "agent/freeze.h"
#include "agent/large.h"
#include "agent/leftover.h"
#include "agent/likeness.h"
#include "agent/link.h"
#include "agent/monitor.h"
#include "agent/picture.h"
#include "agent/pins.h"
#include "agent/probe.h"
#include "agent/quarantine.h"
#include "agent/reader.h"
#include "agent/region.h"
#include "agent/reshare.h"
#include "agent/sample.h"
#include "agent/spans.h"
#include "agent/store.h"
#include "agent/times.h"
#include "agent/walk.h"
#include "sys/cgroup.h"
#include "sys/sigblock.h"
#include "wire/wire.h"

#define AGENT_STACK_BYTES (256u << 10)
#define AGENT_STACK_SEEN (128u << 10) /* deeper than any of ours goes */
enum agent_thread {
	AGENT_WORKER,
	AGENT_SETTLER,
	AGENT_READER, /* the first of them */
	AGENT_THREADS = AGENT_READER + READERS
};

/* MUTE: it cannot share, and says why to whoever asks its daemon; every call passes through. */
enum agent_life { AGENT_NOT_STARTED, AGENT_RUNS, AGENT_MUTE, AGENT_FAILED };

struct agent {
	_Atomic enum agent_life life; /* changed by start.c alone */
	pthread_mutex_t act;
	pthread_mutex_t settle;
	int tracker;
	int guard;
	int pagemap;
	int bell;	       /* eventfd: wakes the worker */
	atomic_bool dead;      /* the child of a fork: every call passes through */
	atomic_bool untracked; /* some block has pages that are not registered with the tracker */
	atomic_bool unrefs;    /* some block has them */
	atomic_bool gave_up;   /* something unexpected happened: nothing is taken out any more */
	bool no_share;	       /* PSHARE_NO_SHARE */
	bool locks_future;     /* mlockall(MCL_FUTURE): nothing is shared */
	bool dumps_frames;     /* core dumps have private mappings of files */
	enum ps_cause cause;   /* why this process cannot share at all; NONE: it can. The worker's,
				  once there is one */

	struct region region[PS_REGIONS_MAX];
	uint32_t next_base; /* first page number never given to a region */
	uint32_t changes;   /* counts what may have changed a region */
	struct spans spans; /* where regions and leftovers are: read by anyone, no lock */
	struct leftovers leftovers;
	struct sigblock blocked; /* of the VMM's thread that has both locks */

	struct store_set stores;
	struct quarantine quarantine;
	struct walk walk;
	struct large large;
	struct census census;
	struct picture picture;
	struct likeness likeness;
	struct cold cold;
	struct readers readers;
	struct sample sample;
	uint64_t count_at; /* ns: when to look again how much of the tables is memory */
	struct link link;
	struct monitor monitor;
	struct budget {
		uint64_t limit;	   /* vm.max_map_count */
		uint64_t baseline; /* mappings of the process that sharing did not make */
		uint64_t next;	   /* ns: when to count again */
	} budget;
	pthread_t worker, settler;
	char *stack[AGENT_THREADS]; /* of each, where its first frame is; NULL: not begun */
	struct order sorted[LINK_ORDERS_MAX];
	struct reshare reshare;
	struct freeze freeze;
	struct birth birth[PS_FORK_RAMS_MAX]; /* by number of the RAM file */
	struct sys_cgroup cgroup;	      /* of the process, if has_cgroup */
	bool has_cgroup;
	uint64_t homeless_until; /* ns: frames of before, and no domain: they go then; 0: not so */
	uint64_t limit_next;	 /* ns: when to ask again for its limit */
	uint64_t pass_told;	 /* looks, of those that the daemon knows of */
	uint64_t fork_ns;	 /* how long the last fork that told pins took */
	uint64_t pins_next;	 /* ns: when to ask again how pins are told */
	struct probe probe;
	struct times timed[PS_TIMED_END];
	struct closed closed[CLOSED_MAX]; /* scratch of whoever closes pages; under act */
	struct streak {	       /* of write faults on pages that follow each other; the settler's */
		uint32_t next; /* page in the VM */
		uint32_t len;
	} streak;
	struct ps_agent_stats stats; /* the worker's copy; counters of others are atomics below */
	_Atomic uint64_t faults, unshares, discards, broken;
};

/* The agent of this process if it runs, else NULL; start.h has the one that starts it. */
struct agent *agent_alive(void);
/* The same, whatever its life. */
struct agent *agent_of_process(void);
/* Where the calling thread's stack begins: what the agent says of its own memory. */
void agent_note_stack(struct agent *a, enum agent_thread thread, char *top);
/* Both locks, by a thread of the VMM: until it lets them go it runs no signal handler and is not
 * cancelled, for a handler may touch shared memory, or make a call that needs these locks. */
void agent_lock(struct agent *a);
void agent_unlock(struct agent *a);

#endif
