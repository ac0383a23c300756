/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon as the HTTP API sees it: functions to read what is so, and to ask for a change.
 *
 * Everything runs in the one thread of the event loop. Nothing here blocks. Pointers to a VM are
 * good until control returns to the loop, no longer: keep its name instead.
 *
 * Bytes and ESX's words: SHRD counts every page that maps a frame, and every zero page given back
 * (ZERO is part of SHRD). common is the memory that stands for them: the frames. saving = shared -
 * common. A VM's SHRDSVD is its share of its domain's saving, in proportion to its SHRD (ESX charges
 * a shared page pro rata). GRANT, ZERO, large, quarantined, COWH, overhead.agent, mappings and cpu
 * are what the agent says of itself; SHRD's frames are from the daemon's own books.
 */
#ifndef PSHARE_DAEMON_PSHARED_H
#define PSHARE_DAEMON_PSHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sys/proc.h"
#include "wire/wire.h"

struct pshared;
struct vm;

#define PSHARED_REASON_MAX 512u	   /* one line for people, with its NUL */
#define PSHARED_FINGERPRINT_MAX 9u /* 8 hex digits and a NUL; "" where there is none */
#define PSHARED_VALUE_MAX 64u	   /* a setting's value as text, with its NUL */

/* ---- numbers ------------------------------------------------------------------------------ */

struct host_numbers {
	pid_t pid;
	uint64_t uptime_s;
	const char *state; /* "high", "clear", "soft", "hard", "low" */
	uint64_t mem_total, mem_available; /* bytes; 0: unknown */
	uint32_t domains, vms, ghosts;	   /* ghosts: VMs without a session whose process lives */
	uint64_t shared, common, saving, zero; /* bytes */
	uint64_t store;			       /* bytes allocated in the stores */
	uint64_t metadata;		       /* bytes: daemon's tables and rings, agents' own memory */
	uint64_t cpu_daemon_ns, cpu_agents_ns; /* agents: also of VMs that are gone */
	uint64_t kernel_overhead;	       /* bytes the kernel spends on mappings */

	/* events since the daemon started, VMs that are gone included */
	uint64_t looked, scanned, hinted;	    /* pages; agents' claims */
	uint64_t hints, wants, contents;	    /* ring entries handled, orders sent */
	uint64_t pages_shared, pages_unshared;	    /* SHARED confirmed; references given up */
	uint64_t pages_zeroed, late_writes, faults; /* agents' claims */
	uint64_t refused[PS_CAUSE_END];		    /* pages not shared, by cause */
	uint64_t frames_made, frames_freed;
	uint64_t hints_evicted;	  /* pushed out of a full index */
	uint64_t orders_dropped;  /* WANT and SHARE that found the agent's ring full */
	uint64_t bogus;		  /* entries that named what the sender does not hold */
	uint64_t sessions;	  /* accepted */
	uint64_t sessions_refused;
	uint64_t store_full;	  /* times the host had no memory for a frame */
	uint64_t salts_refused;	  /* salts that the policy forbids to their VM */
	uint64_t disobeyed;	  /* LEAVE orders that were not answered in time */
};

void pshared_host_numbers(struct pshared *d, struct host_numbers *out);

struct vm_region {
	uint64_t base, size; /* bytes, as the agent numbers its pages */
	unsigned int refused; /* enum ps_cause; PS_CAUSE_NONE: takes part */
};

struct vm_numbers {
	const char *name; /* good as long as the VM is */
	uint8_t uuid[16];
	pid_t pid;
	uid_t uid;
	char comm[SYS_COMM_MAX];
	const char *state; /* "joining", "sharing", "leaving", "apart" (sharing off), "ghost" */
	bool enable;	   /* sched.mem.pshare.enable */
	bool has_salt, salt_refused;
	bool disobeys; /* did not answer LEAVE in time */
	char salt[PSHARED_FINGERPRINT_MAX];   /* of the salt it named */
	char domain[PSHARED_FINGERPRINT_MAX]; /* of the domain it is in; "" if in none */
	uint32_t domain_vms;		      /* VMs in that domain, this one included */
	uint64_t connected_s;
	uint64_t size, grant, shrd, shrdsvd, zero, private_, large, quarantined, cowh; /* bytes */
	uint64_t stuck;				  /* bytes copied in place, no mapping was left */
	uint64_t overhead_agent, overhead_kernel; /* bytes */
	uint64_t overhead_daemon;		  /* bytes of the daemon charged to this VM */
	uint64_t mappings, cpu_ns, pass;
	uint32_t nregions;
	struct vm_region region[PS_REGIONS_MAX];

	uint64_t looked, scanned, hinted, shares, zeroed, unshares, discards, late_writes, faults;
	uint64_t refused[PS_CAUSE_END];
	uint64_t hints, wants, contents, orders_dropped, bogus; /* the daemon's own counts */
};

/* VMs in the order of their arrival; NULL after the last (and for vm NULL: the first). */
struct vm *pshared_vm_next(struct pshared *d, struct vm *vm);
/* By name; a uuid as 32 hex digits will do as well. NULL: no such VM. */
struct vm *pshared_vm_find(struct pshared *d, const char *name);
void pshared_vm_numbers(struct pshared *d, struct vm *vm, struct vm_numbers *out);

/* ---- settings ------------------------------------------------------------------------------ */

struct setting_view {
	const char *name, *text;
	char value[PSHARED_VALUE_MAX];
	char default_[PSHARED_VALUE_MAX];
	char min[PSHARED_VALUE_MAX], max[PSHARED_VALUE_MAX]; /* "" where that means nothing */
	bool boolean;					      /* "TRUE" or "FALSE" */
	bool number;					      /* a decimal number */
	bool writable;
};

/* The index-th setting of the host (vm NULL) or of a VM; false after the last.
 * sched.mem.pshare.salt reads as its fingerprint. */
bool pshared_setting_at(struct pshared *d, struct vm *vm, unsigned int index,
			struct setting_view *out);
bool pshared_setting_find(struct pshared *d, struct vm *vm, const char *name,
			  struct setting_view *out);

/* A change under way. done() is called once, from the loop, when the change is true for every VM
 * (error 0) or the time ran out (error -ETIMEDOUT, text names the VMs that did not answer). The
 * request is gone when it returns. It is never called from inside pshared_set(). */
struct pshared_request;
typedef void (*pshared_done_fn)(void *arg, int error, const char *text);

/* Who asks: SO_PEERCRED of his connection. Host settings: root and the daemon's own user. A VM's:
 * also the VM's user, and a salt only if the policy lets the VM's user have it. */
struct pshared_caller {
	uid_t uid;
};

/*
 * Sets a setting of the host (vm NULL) or of a VM. value need not end in NUL (a salt is bytes) and
 * is not kept; the caller wipes a salt.
 *   0             it is so now; done() will not be called
 *   -EINPROGRESS  *request is under way; done() will be called
 *   -EINVAL       bad value      -ENOENT  no such setting
 *   -EPERM        not for this caller    -EBUSY   another change is under way (try again)
 *   -ENOMEM
 * On an error reason has one line that says what, which value and what would do.
 */
int pshared_set(struct pshared *d, const struct pshared_caller *caller, struct vm *vm,
		const char *name, const char *value, size_t len, pshared_done_fn done, void *arg,
		struct pshared_request **request, char reason[PSHARED_REASON_MAX]);

/* The caller has gone: the change goes on, done() will not be called. */
void pshared_request_forget(struct pshared_request *request);

/* ---- what the API gives to the loop (api.c) ------------------------------------------------ */

struct api;
/* Serves on listener, which stays the daemon's. 0 or -errno. */
int api_new(struct pshared *d, int listener, struct api **api);
/* Drops all connections; pending requests are forgotten. Takes NULL, returns NULL. */
struct api *api_free(struct api *api);
/* A descriptor that is readable when the API has work. The loop watches it, level triggered. */
int api_fd(const struct api *api);
/* Does the work that is ready, and what is due by time. Never blocks. */
void api_run(struct api *api);
/* Milliseconds until api_run() is to be called even if nothing is readable; -1: never. */
int api_timeout_ms(const struct api *api);

#endif
