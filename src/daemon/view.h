/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view: all that the HTTP API may see of the daemon and do to it. The core fills it, the API
 * (api*.c, json*.c, metrics.c) uses nothing else; so the API can be built and tested against a
 * core of a few lines, and the core knows nothing of HTTP.
 *
 * Sizes are in bytes, times in nanoseconds. Everything is called from the daemon's one thread.
 * A salt goes in, and never comes out: what is shown of it is its domain's fingerprint.
 */
#ifndef PSHARE_DAEMON_VIEW_H
#define PSHARE_DAEMON_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/role.h"
#include "policy/sketch.h"
#include "sys/proc.h"
#include "wire/wire.h"

struct daemon;

#define VIEW_FINGERPRINT 9u /* 8 hex digits and the NUL; "-" where there is no domain */
#define VIEW_REASON 256u    /* one line for a person, no newline */

struct view_region {
	uint64_t base; /* first page number, as on the wire */
	uint64_t size;
	unsigned int cause; /* enum ps_cause: PS_CAUSE_NONE if it takes part, else why not */
};

/* Has it settled? See policy/progress.h. */
struct view_progress {
	double looked;	    /* percent of what is there */
	double done;	    /* 0 to 1: 1 if it has settled */
	uint64_t remaining; /* still expected to be given back */
	uint64_t saved;	    /* given back to the host */
	uint64_t expected;  /* at the end of the pass */
	uint64_t left_ns;   /* UINT64_MAX: nobody can say */
	bool settled;
	bool first; /* the first pass is under way */
};

/* A VM's balloon, by QEMU's and the guest's word; bytes, rates a second; UINT64_MAX: not known. */
struct view_balloon {
	const char *state; /* ps_balloon_state_name() */
	const char *why;   /* what it means */
	const char *mend;  /* what would do; NULL */
	char says[128];	   /* QEMU's own words, or "" */
	bool usable;	   /* it does what it is asked */
	bool known;	   /* QEMU has answered */
	bool device;	   /* it has a virtio-balloon */
	bool oom, reporting, fresh, guest_short;
	bool hold, held, paused; /* to stand still; it does by our order; by another's */
	uint64_t memory;	 /* the guest's, what was plugged in too */
	uint64_t size, target;	 /* MCTLSZ, MCTLTGT */
	uint64_t by_hand;	 /* of target, what an administrator asked for */
	uint64_t goal, max,
		most; /* of this step; MCTLMAX; what it can be without hurting the guest */
	uint64_t total, available, free, swap_in, major_faults, stalls, age_ns;
};

#define VIEW_WHY 120u /* half a sentence */

/* What has been done to a VM's memory by command, or is. Bytes. */
struct view_action {
	const char *what; /* "none", "reclaim", "suspend", "resume" */
	bool over;
	int error;	 /* why it ended early: 0, or -errno */
	uint64_t wanted; /* UINT64_MAX: as far as it goes */
	uint64_t moved;
	uint64_t time_ns;
};

/* What a VM takes of the host's memory, is to have, and has given. Bytes; rates: a second. */
struct view_memory {
	uint64_t consumed, target;			       /* SZTGT */
	uint64_t overhead;				       /* beside its guest */
	uint64_t active, active_slow, active_fast, active_now; /* ACTV, ACTVS, ACTVF, ACTVN */
	uint64_t shares;
	int64_t set_shares, min_mb, max_mb, maxmemctl_mb; /* as set */
	const char *swap_dir;
	uint64_t mctlsz, mctltgt, mctlmax;
	uint64_t staged, twin;
	uint64_t zipped, cachesz,
		cacheusd;		  /* guest memory compressed; what the cache takes; uses */
	uint64_t swcur, swtgt, swap_file; /* swapped; all that is to be out; of the file, in use */
	uint64_t zip_rate, unzip_rate, swap_write_rate, swap_read_rate;
	double latency; /* percent of the time in which accesses waited for pages to come in */
	uint64_t wait_ns;
	/* counts of pages, ever growing */
	uint64_t stagings, staged_back, twins, twinins, zips, unzips, swapouts, swapins;
	uint64_t promotions, breaks, collapses, swap_errors;
	struct ps_times page_in[PS_TIERS];
	bool held;	/* held back: the state is low */
	bool suspended; /* by command */
	/* why not, half a sentence each; "" where it is used, or would be */
	char why_break[VIEW_WHY], why_balloon[VIEW_WHY], why_zip[VIEW_WHY], why_swap[VIEW_WHY];
	struct view_action action;
};

struct view_vm {
	char name[PS_NAME_MAX];
	char comm[16];
	char domain[VIEW_FINGERPRINT];
	unsigned int reason; /* enum ps_cause: why it shares nothing; PS_CAUSE_NONE: it does */
	uint64_t error;	     /* the errno behind refused[PS_CAUSE_ERROR]: its agent's claim */
	const char *state;   /* "sharing", "off", "leaving" (its domain), "gone" (socket closed) */
	pid_t pid;
	uid_t uid;
	bool enable;   /* sched.mem.pshare.enable */
	bool has_salt; /* sched.mem.pshare.salt is present */
	uint64_t size;
	uint64_t grant;	  /* GRANT: mapped for the guest */
	uint64_t shrd;	  /* SHRD: of it, mapped from frames or the zero page (ZERO is in SHRD) */
	uint64_t shrdsvd; /* SHRDSVD: its part of what its domain saves */
	uint64_t zero;	  /* ZERO: given back as the zero page */
	uint64_t priv;	  /* GRANT less SHRD */
	uint64_t large;
	uint64_t quarantined;
	uint64_t broken;	  /* written since it was shared, and not brought back yet */
	uint64_t overhead_agent;  /* memory of the agent itself */
	uint64_t overhead_kernel; /* of the kernel for its mappings */
	uint64_t cowh;		  /* COWH: what breaking large blocks would share */
	uint64_t mappings;	  /* a count: mappings that exist because of sharing */
	uint64_t cpu_ns;
	/* counts, ever growing */
	uint64_t passes, looked, scanned, hinted, shares, zeroed, unshares, discards, late_writes,
		faults, stuck, brought_back, reshares, batches, pin_forks;
	uint64_t stall_max_ns; /* longest time for which a batch held writes */
	const char *pins;      /* how pinned pages are told, see enum ps_pins */
	uint64_t refused[PS_CAUSE_END];
	/* hints in its domain's index */
	uint64_t hints, hints_quota, hints_evicted, hints_lost, rehints;
	struct view_progress progress;
	struct view_balloon balloon;
	char parent[PS_NAME_MAX]; /* the VM that it was forked from; empty: none */
	uint64_t image;		  /* the image that it began with; 0: none */
	const char *birth;	  /* "waiting", "born", "failed"; NULL: it is nobody's child */
	int birth_error;	  /* positive errno */
	struct view_memory memory;
	struct ps_times timed[PS_TIMED_END];
	unsigned int nregions;
	struct view_region regions[PS_REGIONS_MAX];
};

/* A VM that is, or is about to be, forked (image.h). Counts are of pages. */
struct view_fork {
	const char *state; /* "none", "publishing", "freezing", "copying", "ready", "failed" */
	const char *why;   /* FAILED: a line for a person; valid until the loop goes on */
	uint64_t image;	   /* 0: none */
	bool running;	   /* its agent holds still no more: the guest may run */
	uint64_t size, grant, zero;	       /* bytes, as its agent claims */
	uint64_t quarantined;		       /* the same */
	uint64_t out;			       /* staged, compressed, swapped: the same */
	uint64_t passes;		       /* whole looks at its memory, the same */
	uint64_t framed;		       /* bytes in frames, on the daemon's books */
	uint64_t frames, copied, found, zeros; /* of the image */
};

/* Where free memory is counted. Bytes. */
struct view_source {
	const char *state;
	uint64_t managed, free, min_free; /* managed 0: there is no such source */
};

/* The host's memory, and what VMs take of it and have given. Bytes. */
struct view_host_memory {
	struct view_source host, budget;
	uint64_t managed, free, min_free; /* of the one that counts for reservations */
	bool stalled;			  /* tasks wait for memory (PSI) */
	uint64_t consumed;		  /* by VMs, frames once */
	uint64_t reserved, unreserved;
	uint64_t balloon, balloon_target, balloon_max;
	uint64_t staged, twin, zipped, zip_bytes, swapped, out_target;
	unsigned int held; /* VMs held back */
	uint64_t state_ns; /* since when the state is what it is */
};

struct view_host {
	const char *state; /* of the host's memory: "high", "clear", "soft", "hard", "low" */
	pid_t pid;
	uint64_t uptime_ns;
	unsigned int domains;
	unsigned int vms;
	uint64_t shared; /* guest memory that is mapped from frames or the zero page */
	uint64_t common; /* the frames behind it */
	uint64_t saving; /* shared - common */
	uint64_t zero;	 /* of shared */
	struct view_progress progress; /* of all VMs that take part */
	uint64_t metadata;	       /* of daemon, agents and kernel, for all this */
	uint64_t cpu_daemon_ns;
	uint64_t cpu_agents_ns; /* of all VMs since the daemon started, ended ones too */
	/* counts of pages, ever growing, ended VMs included */
	uint64_t scanned, shares, zeroed, unshares;
	uint64_t refused[PS_CAUSE_END];
	uint64_t verified, damaged, mended; /* frames; see verify.h */
	struct view_host_memory memory;
};

#define VIEW_NO_UID UINT32_MAX

/* Who asks: from SO_PEERCRED of the connection; what is behind role only where he changes
 * something, and as /proc has it then. */
struct view_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	enum role role;
	uint32_t login_uid; /* who logged in to that; VIEW_NO_UID: nobody is known */
	char comm[SYS_COMM_MAX];
	char group[SYS_GROUP_TEXT_MAX]; /* control group: session, unit or container */
};

/* One line that says why not. */
struct view_reason {
	char text[VIEW_REASON];
};

/*
 * The end of a change that took time: error is 0 or -errno, reason a line for a person (NULL if
 * error is 0). Called exactly once, from the daemon's loop, never from within the call that
 * started the change; not called any more after view_cancel().
 */
typedef void (*view_done)(void *arg, int error, const char *reason);

struct view_change {
	struct view_peer peer;
	view_done done;
	void *arg;
};

void view_host(struct daemon *daemon, struct view_host *out);

/* ---- what an audit compares with the kernel's word (view-audit.c) --------------------------- */

struct view_store {
	uint64_t generation;
	char domain[VIEW_FINGERPRINT];
	bool closed; /* a VM was made to leave it: nothing new is written there */
	uint64_t device, inode;
	uint64_t window; /* frames that it could have */
	uint64_t live, references,
		other; /* frames: in use, their references, on the way in or out */
};

#define VIEW_STAKES_MAX 16u
struct view_stake { /* of a VM in a store, of this session or an earlier one */
	uint64_t generation;
	uint64_t mapped, pending; /* pages */
};

struct view_account {
	char name[PS_NAME_MAX];
	pid_t pid;
	uid_t uid;
	uint64_t group;			    /* of users who may meet */
	bool has_salt, salt_empty, unknown; /* unknown: maps frames of an earlier daemon's stores */
	char salt[VIEW_FINGERPRINT];	    /* "-": it has none, or may not use it */
	uint64_t unshared;		    /* pages, ever */
	unsigned int nstakes;
	struct view_stake stake[VIEW_STAKES_MAX];
};

/* A frame that is not what it was made with (verify.h). */
struct view_damage {
	char domain[VIEW_FINGERPRINT];
	uint64_t generation, frame;
	bool mended;  /* it was one bit, and is as it was again */
	bool present; /* its store is still there */
	uint64_t pages;
	char vms[VIEW_REASON]; /* the names of some that map it */
};

/* Each calls each() until it returns non-zero, which is returned. */
int view_stores(struct daemon *daemon, int (*each)(const struct view_store *store, void *arg),
		void *arg);
int view_accounts(struct daemon *daemon, int (*each)(const struct view_account *account, void *arg),
		  void *arg);
int view_damages(struct daemon *daemon, int (*each)(const struct view_damage *damage, void *arg),
		 void *arg);
/* Which of the VIEW_LIVE frames from first on are live: a bit each, lowest first. 0 or -ENOENT. */
#define VIEW_LIVE 65536u
int view_live(struct daemon *daemon, uint64_t generation, uint64_t first,
	      uint8_t bits[VIEW_LIVE / 8]);

/* Calls each() for all VMs, in a stable order (names), until it returns non-zero, which is
 * returned. *vm is valid for that call only. */
int view_vms(struct daemon *daemon, int (*each)(const struct view_vm *vm, void *arg), void *arg);

/* A change, or a try, as the audit log has it. */
enum view_result { VIEW_DONE, VIEW_REFUSED, VIEW_FAILED };
struct view_record {
	const char *what;		    /* "set", "reload", ... */
	const char *vm;			    /* its name; NULL: the host */
	const char *setting;		    /* or what else was changed; NULL: nothing of a name */
	const char *asked, *before, *after; /* JSON; NULL: there is none, or it is a secret */
	const char *via;		    /* "api.sock", "SIGHUP", "pshared" */
	const struct view_peer *peer;	    /* NULL: the daemon itself */
	enum view_result result;
	const char *reason; /* why not; or NULL */
};
void view_record(struct daemon *daemon, const struct view_record *record);

/* Calls each() with the lines of the audit log that are held in memory, one JSON object each,
 * oldest first: those with numbers above after, and of these the newest max. Until it returns
 * non-zero, which is returned. */
int view_log(struct daemon *daemon, uint64_t after, unsigned int max,
	     int (*each)(const char *line, void *arg), void *arg);

/* What the audit log itself is like. */
struct view_log_state {
	const char *path;   /* of the file that grows */
	uint64_t last;	    /* number of the newest record; 0: none */
	uint64_t written;   /* of the newest that is in the file; 0: none */
	uint64_t unwritten; /* the newest ones, that could not be written to the file */
	const char *head;   /* hash of the file's last line, in hex digits */
	uint64_t lost;	    /* all that could not be written since the daemon started */
	uint64_t withheld;  /* tries of those who may not that were only counted: too many */
};
void view_log_state(struct daemon *daemon, struct view_log_state *out);

/* 0 or -ENOENT. */
int view_vm(struct daemon *daemon, const char *name, struct view_vm *out);

/* What a VM's memory is in, as its agent draws it. */
struct view_picture {
	struct ps_picture picture; /* checked: cells of regions follow each other */
	uint32_t cells;		   /* of all regions; 0: there is no picture */
	uint64_t age_ns;	   /* UINT64_MAX: it was never whole */
};
/* From here on for some seconds it is drawn anew each second. 0 or -ENOENT. */
int view_picture(struct daemon *daemon, const char *name, struct view_picture *out);

/* What a VM's pages are like, as its agent samples them. */
struct view_likeness {
	struct sketch sketch; /* n 0: there is none */
	uint64_t key;	      /* tells keys apart */
	uint64_t user;	      /* VMs with different numbers never share */
	bool has_salt;
	uint64_t salt; /* equal exactly for equal salts, on hosts with one key */
};
/* 0 or -ENOENT. */
int view_likeness(struct daemon *daemon, const char *name, struct view_likeness *out);

/* With whom a VM shares: calls each() with the bytes that it has from the same frames at the same
 * place as another VM of its domain, until that returns non-zero. Of large families some pages
 * stand for all. 0, -ENOENT, or what each() returned. */
int view_family(struct daemon *daemon, const char *name,
		int (*each)(const char *other, uint64_t bytes, void *arg), void *arg);
/* 0 or -ENOENT. */
int view_fork(struct daemon *daemon, const char *name, struct view_fork *out);
/* what: "publish" (its pages are made frames), "freeze" (its guest stands still: an image of it),
 * "copy PID" (that process, of another domain, may have a copy), "drop" (no more of all that). 0;
 * -EINVAL, -ENOENT, -EPERM, or what failed: *why. */
int view_fork_set(struct daemon *daemon, const char *name, const char *what,
		  const struct view_peer *peer, struct view_reason *why);

/* The value in force of a setting of the host (policy/settings.h), as text. 0 or -ENOENT. */
int view_setting(struct daemon *daemon, const char *name, char *value, size_t size);
/* Where that value comes from: "default", a file and its line, ... */
int view_setting_origin(struct daemon *daemon, const char *name, char *origin, size_t size);
/* What somebody who has just set it ought to know, as that it is not kept; "": nothing. */
int view_setting_note(struct daemon *daemon, const char *name, char *note, size_t size);

/*
 * Changes. 0: true already. -EINPROGRESS: change->done() is to follow, when it is true. Else
 * nothing was changed, and *why says why: -EINVAL (value), -ENOENT (no such setting or VM), -EPERM
 * (this peer may not), -EBUSY (another change of it is under way), or what failed.
 * In done() also: -ETIMEDOUT (the line names who did not answer), -ESHUTDOWN.
 */
int view_set(struct daemon *daemon, const char *name, const char *value,
	     const struct view_change *change, struct view_reason *why);
/* Forgets what was set: the value that the files give, or else the default, is in force. */
int view_reset(struct daemon *daemon, const char *name, const struct view_change *change,
	       struct view_reason *why);
int view_vm_set(struct daemon *daemon, const char *vm, const char *name, const char *value,
		const struct view_change *change, struct view_reason *why);
/* salt NULL: absent; length 0: the empty salt. The bytes are copied at once or not at all. */
int view_vm_salt(struct daemon *daemon, const char *vm, const void *salt, size_t length,
		 const struct view_change *change, struct view_reason *why);

/* A balloon of at least so many bytes from now on; 0: what was asked so is taken back. force: below
 * what the guest needs too. 0, -ENOENT, -EINVAL (there is no balloon). */
int view_vm_balloon(struct daemon *daemon, const char *vm, uint64_t bytes, bool force,
		    struct view_reason *why);

/* Begins reclaim (of so many bytes), suspend or resume of a VM: "reclaim", ... 0, or -ENOENT,
 * -EPERM, -EINVAL, and *why. How it goes is in view_memory.action. */
int view_act(struct daemon *daemon, const char *vm, const char *what, uint64_t bytes,
	     const struct view_peer *peer, struct view_reason *why);

/* A setting of a VM that is to come. */
struct view_wish {
	const char *name, *value;
};
/* The process that asks is about to become a VM: may it, with these settings? 0: they are set when
 * it has; -ENOSPC: its reservation does not fit; -EPERM, -EINVAL; and *why. */
int view_admit(struct daemon *daemon, const struct view_wish *wishes, unsigned int n,
	       const struct view_peer *peer, struct view_reason *why);
#define VIEW_WISHES_MAX 16u

/* Forgets a change's done(); the change itself goes on. */
void view_cancel(struct daemon *daemon, const void *arg);

#endif
