/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * daemon: what pshared is made of: the state that all of it shares, and no more than that. What
 * acts on it stands above (scripts/check-arrows has the levels). One thread, so nothing here has a
 * lock.
 *
 * Who owns what:
 *   daemon -> users    one for each uid with a session or a VM; what its VMs make us hold
 *   daemon -> sessions one for each connection of an agent
 *   daemon -> vms      one for each VM process, from its HELLO until the process has ended; it
 *                      outlives its session (then it is a ghost) as long as it may map frames
 *   vm     -> members  its stakes in domains: the present one, and those of earlier sessions
 *   member -> domain   counted; a domain and its store end with the last member
 */
#ifndef PSHARE_DAEMON_DAEMON_H
#define PSHARE_DAEMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/list.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/options.h"
#include "policy/access.h"
#include "policy/memstate.h"
#include "policy/role.h"
#include "policy/settings.h"
#include "policy/sketch.h"
#include "sys/cgroup.h"
#include "wire/wire.h"

#define MSEC 1000000ull /* ns */
#define SEC (1000 * MSEC)

/* Events, of one VM; the daemon keeps their sum over all VMs that ever were. */
struct counters {
	uint64_t hints, contents;	/* entries handled */
	uint64_t wants, shares;		/* orders given */
	uint64_t shared, unshared;	/* confirmed; references given back */
	uint64_t refused[PS_CAUSE_END]; /* pages not shared, as the agent or the daemon found */
	uint64_t parked_lost;		/* hints dropped because too many waited */
	uint64_t rehints;		/* times that all hints were asked for anew */
	uint64_t bogus;			/* entries that name what the sender does not have */
	uint64_t frames_made, frames_freed, holes_punched;
	uint64_t store_full;
	uint64_t sessions, sessions_refused, disobeyed, salts_refused;
};

/* Adds one to a counter of a VM (struct vm *) and of the daemon. */
#define COUNT(vm, field) ((vm)->count.field++, (vm)->daemon->count.field++)

struct host_facts {
	uint64_t memory;	/* bytes */
	uint64_t pages;		/* of 4 KiB */
	uint64_t mhz;		/* all CPUs */
	uint64_t max_map_count; /* vm.max_map_count */
};

#define DAMAGE_KEPT 64u
struct damage {
	uint32_t fingerprint;
	uint64_t generation;
	uint32_t frame;
	bool mended;
};

struct verify {		     /* verify.h */
	uint64_t at;	     /* when the next slice is due */
	uint64_t generation; /* of the store where it came to */
	uint32_t frame;
	uint64_t verified, damaged, mended;
	struct damage last[DAMAGE_KEPT]; /* ring: damaged % DAMAGE_KEPT is next */
};
#define POLICY_DIGEST_MAX 35u

_Static_assert(SETTING_HOST_END <= 64, "a bit for each");

/* Where free memory is counted, and the state that this says. Bytes. */
struct mem_source {
	uint64_t managed; /* 0: there is no such source */
	uint64_t free, min_free;
	enum memstate state;
};

struct api;
struct auditlog;
struct conffile;
struct agent_sum {
	uint64_t cpu_ns, scanned, shares, zeroed, unshares;
	uint64_t refused[PS_CAUSE_END];
};

struct daemon {
	const struct options *options;
	struct loop loop;
	struct loop_source signal, listen, http, balloon;
	struct loop_source device_source;
	int device, device_sock; /* device.h; -1: none */
	int lock_fd, signal_fd, agent_fd, api_fd;
	int port_fd;	/* --http; -1: it is not asked for */
	int balloon_fd; /* to pshare-balloon; -1: it could not be started */
	struct api *api;

	struct host_settings settings; /* in force */
	struct conffile *conf;	       /* where they come from */
	struct conf set;	       /* while it runs, and kept nowhere */
	uint64_t overridden;	       /* bits by setting_id: set, but a file will have it again */
	struct access_policy *policy;
	char policy_digest[POLICY_DIGEST_MAX]; /* of the file's text */
	struct auditlog *log;
	struct role_groups groups;
	uint8_t likeness_key[SKETCH_KEY_SIZE];
	bool move_loops;
	struct host_facts host;
	enum memstate memstate;	       /* the worse one of */
	struct mem_source host_memory; /* what the host has */
	struct mem_source budget;      /* Mem.ManagedMB */
	bool stalled;		       /* tasks wait for memory: Mem.PsiBrakePct */
	uint64_t vm_bytes;	       /* that VMs take of the host, frames once */
	uint64_t pressure_at;	       /* all of it is looked at again then */
	uint64_t balance_at;	       /* targets are reckoned anew then */
	uint64_t balanced_at;	       /* and were last */
	uint64_t state_since;
	uint64_t held_at; /* a VM was held back last */
	uint32_t nheld;
	struct share_watch {	  /* sharing comes first, as long as it gets on */
		uint64_t began;	  /* 0: not under way */
		uint64_t moved;	  /* it got on last */
		uint64_t worth;	  /* pages that breaking would have given then */
		uint64_t ordered; /* the second of these times began */
		/* pages that blocks will give which were ordered broken in the last two times
		 * that this takes */
		uint64_t coming[2];
	} share;
	struct list admissions;	 /* reservations of VMs that are about to start */
	bool memory_short;	 /* no new frames until there is memory again ... */
	bool books_short;	 /* ... nor new hints, new VMs */
	struct sys_cgroup group; /* of the daemon itself */
	bool group_short;	 /* the reserve is reached */
	bool grouped;		 /* there is one with a memory controller */
	uint64_t group_limit;	 /* bytes; 0: none */
	uint64_t room;		 /* bytes that there were for new frames when it was last read */
	bool ending;		 /* its books are closed; VMs keep the frames that they map */

	struct list users, sessions, vms, domains;
	struct list images;		     /* of VMs that are forked */
	struct list dropping;		     /* members whose references are being given back */
	struct list waiting;		     /* members with parked hints */
	struct list ready;		     /* sessions with entries in their ring */
	struct list unsent;		     /* sessions with messages to send, or bells to ring */
	struct list gone_sessions, gone_vms; /* freed at the end of the turn */
	struct list changes;		     /* settings that are not true yet */
	uint32_t nsessions, nvms, ndomains;
	uint32_t sessions_max;
	uint64_t size;	  /* pages of all VMs, as they claim */
	uint64_t bytes;	  /* held for all users */
	uint64_t granted; /* pages that all VMs verifiably have */
	uint64_t wanted;  /* hints that all would be given */
	uint32_t nusers;  /* that have VMs */

	struct counters count;
	struct agent_sum ended; /* of VMs that are gone, as their agents last said */
	uint64_t next_id;	/* of members and stores: never 0, never used again */

	uint64_t started, now; /* CLOCK_MONOTONIC, ns; now is read at each event */
	uint64_t wake_at;      /* the earliest deadline; 0: none */
	uint64_t holes_at;     /* when holes are looked for again */
	uint64_t host_read_at; /* when /proc/meminfo was read; 0: never */
	uint64_t read_frames;  /* frames made until then, and bytes held then */
	uint64_t read_bytes;
	uint64_t grants_at;    /* what the VMs have is found then; 0: there are none */
	uint64_t grants_round; /* it is read anew of whom it was last read before this */
	bool grants_whole;     /* and has been, of all */
	uint64_t mem_available;
	struct verify verify;
	uint64_t config_at;    /* CONFIG to all is due; 0: not */
	uint64_t accept_at;    /* accepting again is due; 0: it goes on */
	uint64_t saved_until;  /* SHRDSVD is kept up to date until then */
	uint32_t saved_budget; /* pages that may be counted in this turn */
	uint64_t saved_round;  /* when the round under way began; 0: none is */
	uint64_t saved_spent;  /* ns that it has taken */
	uint64_t saved_next;   /* when the next may begin */
	uint64_t idle_since;   /* no VM since */
	bool stop;
};

/* There is a deadline then: the loop wakes up at that time at the latest. */
static inline void daemon_wake_at(struct daemon *d, uint64_t when)
{
	if (!d->wake_at || when < d->wake_at)
		d->wake_at = when ? when : 1;
}

#endif
