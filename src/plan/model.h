/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * model: a fleet as the planner has it: hosts, VMs where they run today, and what their memory is
 * made of. Sizes are in pages of 4 KiB.
 *
 * What a VM's memory has in common with another's is told by its parts. A part has an id and a
 * number of pages, and is one of two kinds:
 *
 *	content		a VM has the first so many pages of something named. Two VMs with 300 and
 *			200 pages of one content have 200 in common, and need 300 together.
 *	sample		(PLAN_SAMPLE in the id) one page of a sketch (policy/sketch.h), which stands
 *			for so many. Two VMs that have it both have as many in common as it stands
 *			for in the finer of the two sketches.
 *
 * What no part has is the VM's alone. Parts are sorted by id; no two of a VM have one id.
 */
#ifndef PSHARE_PLAN_MODEL_H
#define PSHARE_PLAN_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan/names.h"
#include "policy/fleetrules.h"

#define PLAN_PAGE 4096u
#define PLAN_NONE UINT32_MAX
#define PLAN_SAMPLE (1u << 31)
#define PLAN_MODES 3u /* Mem.ShareForceSalting: 0, 1, 2 */
#define PLAN_ERROR_MAX 256u

struct plan_part {
	uint32_t id; /* never 0 */
	float pages;
};

enum plan_host_state {
	PLAN_HERE,
	PLAN_AWAY,	  /* not connected: neither it nor its VMs count */
	PLAN_MAINTENANCE, /* its VMs are to run elsewhere */
	PLAN_STANDBY,	  /* runs nothing until another host fails */
};

struct plan_host {
	uint32_t name;	 /* in names */
	uint64_t memory; /* of the machine */
	uint64_t usable; /* of it, for VMs: plan_finish() works it out */
	uint8_t state;	 /* enum plan_host_state */
	uint8_t mode;	 /* Mem.ShareForceSalting there today */
	bool standby;	 /* by the rules or its state, in maintenance too: plan_finish() */
};

struct plan_vm {
	uint32_t name; /* in names */
	uint32_t host;
	uint32_t user;	  /* VMs of different users never share */
	uint32_t salt;	  /* number of the salt, or PLAN_NONE */
	uint32_t group;	  /* number of (user, salt): plan_finish() */
	uint32_t size;	  /* all that it may come to have */
	uint32_t touched; /* what it has now, were nothing shared */
	uint32_t self;	  /* of it, what sharing inside the VM saves: zero pages, doubles */
	uint32_t nparts;
	size_t part; /* the first, in parts */
};

struct plan {
	struct plan_names names; /* all texts */
	struct plan_names host_names, users, salts, contents;
	struct plan_host *hosts;
	struct plan_vm *vms;
	struct plan_part *parts;
	uint32_t *by_host; /* VMs, host after host: plan_finish() */
	uint32_t *first;   /* of host h: by_host[first[h]] to first[h + 1] - 1 */
	uint32_t nhosts, nvms, ngroups;
	size_t nparts, hosts_room, vms_room, parts_room;
	struct fleetrules rules;
	uint64_t measured; /* bytes that sharing saves, by the daemons' own books; 0: not known */
	bool generated;
};

int plan_init(struct plan *plan);
void plan_free(struct plan *plan);

/* A new host, here, mode 2, without memory. Its number, -EEXIST, -ENOMEM. */
int64_t plan_add_host(struct plan *plan, const char *name);
/* A new VM, all else 0, user 0, no salt. name may be NULL. Its number or -ENOMEM. */
int64_t plan_add_vm(struct plan *plan, const char *name, uint32_t host);
/* One more part of the VM that was added last; of an id that it has, the larger holds. -ENOMEM. */
int plan_add_part(struct plan *plan, uint32_t id, double pages);
/* What all that is added makes: usable memory, groups, VMs by host, parts in order. To be called
 * once, and again after VMs have moved. 0 or -ENOMEM. */
int plan_finish(struct plan *plan);

/* The plan without the VMs of hosts that are away. The VMs, here->vms, are to be freed; all else is
 * the plan's, and stays with it (by_host and first have its numbers). 0 or -ENOMEM. */
int plan_without_away(const struct plan *plan, struct plan *here);

const char *plan_host_name(const struct plan *plan, uint32_t host);
/* Made up ("vm-17") where it has none; good until the next call. */
const char *plan_vm_name(const struct plan *plan, uint32_t vm);

/* With whom VM number i shares under a mode: VMs with one number share. i may be beyond nvms: the
 * copy (plan_of) of a VM, which for want of a salt shares with nobody either. */
uint64_t plan_domain(const struct plan *plan, uint64_t i, unsigned int mode);
/* The VM that number i is, or is a copy of: VMs are copied in turn. */
static inline const struct plan_vm *plan_of(const struct plan *plan, uint64_t i)
{
	return &plan->vms[i < plan->nvms ? i : i % plan->nvms];
}

/* What a VM takes of a host, in pages: what it has, and what its VMM takes beside it. */
uint64_t plan_overhead(const struct plan *plan);

/* Does this host run VMs in everyday life? */
static inline bool plan_runs(const struct plan_host *host)
{
	return host->state == PLAN_HERE;
}

#endif
