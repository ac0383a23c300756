/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm: one virtual machine, which is one process that said HELLO, with or without a session. */
#ifndef PSHARE_DAEMON_VM_H
#define PSHARE_DAEMON_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/birth.h"
#include "daemon/daemon.h"
#include "daemon/secret.h"
#include "daemon/user.h"
#include "daemon/vm-balloon.h"
#include "policy/counts.h"
#include "policy/ladder.h"
#include "policy/salt.h"
#include "sys/proc.h"
#include "wire/wire.h"

struct image;
struct member;
struct session;

enum vm_act { VM_ACT_NONE, VM_ACT_RECLAIM, VM_ACT_SUSPEND, VM_ACT_RESUME };

/* What somebody ordered done to a VM's memory, until it is done, and how it went. Pages. */
struct vm_action {
	enum vm_act what;
	bool over;
	int error;	 /* why it ended early: 0, or -errno */
	uint64_t wanted; /* UINT64_MAX: as far as it goes */
	uint64_t moved;	 /* so far */
	uint64_t then;	 /* at moved_at */
	uint64_t begin_has;
	uint64_t began, moved_at, ended; /* ns */
	bool stood;			 /* the balloon did not give what it was asked for */
};

/* Events a second, of the last seconds. */
struct vm_rates {
	uint64_t at; /* ns: when the counts were read */
	uint64_t zips, unzips, swapouts, swapins, wait_ns;
	double zip_s, unzip_s, swapout_s, swapin_s, wait; /* wait: part of the time, 0 to 1 */
};

#define VM_READINGS 4u

/* What a mapping costs the kernel: an isolated run of one page makes two, and 510 to 540 bytes
 * (vm_area_struct, anon_vma_chain, its part of a maple node). */
#define VM_MAPPING_BYTES 262u

/* Blocks broken since then, by the agent's count. */
struct vm_breaks {
	uint64_t since; /* ns */
	uint64_t then;
};

/* What a VM takes of the host's memory and is to have: pressure.c keeps it. Pages. */
struct vm_memory {
	uint64_t anonymous; /* of its process, its part of it: the kernel's word */
	uint64_t has;	    /* with its part of the frames that it maps */
	uint64_t kernel;    /* of that, for its mappings and page tables */
	uint64_t settled;   /* of that, what it will have when its quarantine is over */
	uint64_t guest;	    /* of anonymous, the guest's: the agent's word, bounded */
	uint64_t overhead;  /* of anonymous, the rest, bounded: the least of the last readings */
	uint64_t beside[VM_READINGS]; /* of anonymous, the rest, at the last readings */
	uint64_t readings;
	uint64_t active;		/* ACTV: the agent's word, bounded */
	uint64_t peak;			/* the most that it had */
	uint64_t group_limit;		/* what its control group leaves it; UINT64_MAX: enough */
	uint64_t group;			/* which one that is, if it is short ... */
	uint64_t group_lacks;		/* ... of so much, to be given by all VMs in it */
	uint64_t group_at, group_every; /* ns: when it was read, and the time until the next */
	uint64_t shares, target;
	uint64_t had;  /* settled, as it was when the target was reckoned */
	uint64_t came; /* ns: when it said HELLO */
	struct ladder_plan plan;
	uint64_t break_order, breaks_then; /* blocks ordered broken, and how many had been before */
	struct vm_breaks lately;
	uint64_t gives_at;	    /* ns: it had nothing to give then */
	struct ps_msg_target order; /* as it is to be told */
	uint64_t swap_cap;	    /* of the file that the agent has; 0: it has none */
	uint64_t swap_at;	    /* no file could be made: not tried before */
	int swap_error;
	struct vm_rates rates;
	struct vm_action action;
	bool suspended;	   /* pushed out by command, and not called back */
	bool held;	   /* held back, for the host's state is low */
	bool slowed;	   /* the same, by its agent, for it cannot be paused */
	uint64_t held_at;  /* ns: since then */
	uint64_t freed_at; /* was let go last; 0: never held */
};

struct region {
	uint32_t base, npages;
	unsigned int cause; /* PS_CAUSE_NONE: takes part */
};

/* Pages of a region that went: their references and hints are still being given back. */
struct vm_sweep {
	uint32_t first, last;
	uint32_t page; /* references before it are given back */
	uint64_t cursor;
};

struct vm {
	struct list link;
	struct list gone;
	struct daemon *daemon;
	struct user *user;
	struct loop_source process; /* readable when it has ended */
	int pidfd;
	pid_t pid;
	uint8_t uuid[VM_UUID_SIZE];   /* what the agent says: finds the VM after a reconnect */
	uint8_t own_id[VM_UUID_SIZE]; /* ours, random: the domain of its own has this id */
	char name[PS_NAME_MAX];
	char comm[SYS_COMM_MAX];
	struct session *session; /* NULL: a ghost */
	bool ended;		 /* the process is gone */
	enum ps_cause cause;	 /* its agent says that it cannot share at all: it gets no domain */
	enum ps_cause join_cause; /* why the last try to get it a domain failed */

	bool enable; /* sched.mem.pshare.enable */
	/* set over the API: what a later HELLO of the same process says does not undo it */
	bool enable_set, salt_set;
	bool has_salt, salt_empty, salt_refused;
	struct salt_digest salt;
	uint32_t fingerprint; /* of the salt */

	struct region region[PS_REGIONS_MAX];
	uint32_t nregions;
	uint32_t last_region; /* where the last page was found */
	uint64_t pages;	      /* of the regions that take part, as the agent claims */
	uint64_t granted;     /* of them, as far as the kernel says that the process has memory */
	uint64_t resident;    /* pages that the process has, and when that was read */
	uint64_t resident_at;
	bool many; /* its process is other VMs too */
	struct vm_sweep sweep[PS_REGIONS_MAX];
	uint32_t nsweeps;

	struct member *member; /* in its present domain, or NULL */
	struct list old;       /* members of earlier sessions: frames that may still be mapped */
	uint32_t nold;
	bool holds_unknown; /* maps frames of an earlier daemon's stores, whatever their domain */
	bool must_leave;    /* they are to go too, for a setting changed since */

	uint64_t left_by; /* LEFT is due then; 0: no LEAVE is out */
	uint64_t leave_generation;
	uint64_t join_at; /* no domain could be had: not tried before */
	bool disobeys;

	/* fork: of a parent, and of a child */
	struct image *image;	  /* what its children begin with, or NULL */
	uint64_t publish_until;	  /* ns: unless it is asked for again */
	bool publishing;	  /* its pages are made frames before they have a twin */
	char parent[PS_NAME_MAX]; /* empty: it is nobody's child */
	uint64_t parent_image;	  /* 0: the same */
	struct vm_birth birth[PS_FORK_RAMS_MAX];
	int64_t set[SETTING_END - SETTING_HOST_END]; /* its settings that are numbers */
	char swap_dir[SETTING_PATH_MAX + 1];	     /* sched.swap.dir; "": the daemon's */
	struct vm_memory memory;

	struct vm_balloon balloon;

	struct counters count;
	struct ps_agent_stats last_stats; /* of the session that ended */
	struct counts seen;		  /* of its agent, ever */
};

/* The VM of that process, or NULL. */
struct vm *vm_find(struct daemon *d, const uint8_t uuid[VM_UUID_SIZE]);
struct vm *vm_by_name(struct daemon *d, const char *name);
/* True if its process has ended. */
bool vm_process_ended(const struct vm *vm);

/* May this process say that it is another VM? If not, *why (PS_REASON_MAX bytes) says which cap. */
bool vm_has_room(struct daemon *d, const struct user *user, pid_t pid, char *why);
/* A VM for that HELLO; pidfd becomes the VM's on success. 0 or -errno. */
int vm_new(struct daemon *d, struct user *user, pid_t pid, int *pidfd,
	   const struct ps_msg_hello *hello, struct vm **out);
/* After vm_end() or vm_remove(), at the end of the turn. */
void vm_free(struct vm *vm);

/* Why it shares nothing; NONE: it does, or is about to. */
enum ps_cause vm_reason(const struct vm *vm, const struct ps_agent_stats *stats);

/* A setting of its own that is a number. */
static inline int64_t vm_setting(const struct vm *vm, enum setting_id id)
{
	return vm->set[id - SETTING_HOST_END];
}

/* Whole looks that its agent says it has made. */
uint64_t vm_looks(struct vm *vm);
/* What the agent says of itself, now or last: its counters never shrink (policy/counts.h). */
void vm_stats(struct vm *vm, struct ps_agent_stats *stats);
/* The same, as it is kept when a session ends. */
void vm_keep_stats(struct vm *vm);

#endif
