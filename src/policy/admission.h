/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * admission: may one more VM be started, so that all of them can still run when hosts fail?
 * vSphere HA's three policies; and where the VMs of a host would fit if it were emptied.
 *
 * Sizes are in bytes. Nothing here allocates but what its caller gave room for.
 */
#ifndef PSHARE_POLICY_ADMISSION_H
#define PSHARE_POLICY_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMISSION_NOWHERE UINT32_MAX

enum admission_policy {
	ADMISSION_SLOTS,     /* so many hosts may fail, counted in slots of the largest VM */
	ADMISSION_PERCENT,   /* so much of all memory stays unused */
	ADMISSION_DEDICATED, /* hosts of their own stand by */
};

struct admission_host {
	uint64_t memory; /* that VMs may have */
	bool out;	 /* not connected, or in maintenance: neither it nor its VMs count */
	bool failover;	 /* ADMISSION_DEDICATED: runs nothing until another host fails */
};

struct admission_vm {
	uint32_t host;	/* index */
	uint64_t bytes; /* its memory and what comes with it, shared or not */
	uint64_t saved; /* of it, what sharing saves today */
};

struct admission_rules {
	enum admission_policy policy;
	uint32_t failures; /* SLOTS: hosts that may fail */
	uint32_t percent;  /* PERCENT: 0 to 100 */
	uint64_t slot_max; /* SLOTS: no slot is larger; 0: no limit. A larger VM takes several */
	uint64_t vm_min;   /* no VM counts as less */
	uint32_t count_sharing; /* percent of what sharing saves that counts as free; 0: none */
};

enum admission_answer {
	ADMISSION_YES,
	ADMISSION_NO_ROOM,     /* the host itself has too little left */
	ADMISSION_NO_FAILOVER, /* the fleet could not take in what a failure leaves homeless */
	ADMISSION_STANDBY,     /* the host stands by for others */
};

struct admission_verdict {
	enum admission_answer answer;
	uint64_t vm; /* what the VM counts as */
	/* the host */
	uint64_t host_memory, host_used;
	/* the fleet: hosts that count, their memory, what all VMs of theirs count as, with the
	 * new */
	uint32_t hosts;
	uint64_t memory, used;
	/* SLOTS */
	uint64_t slot;
	uint64_t slots_needed, slots_left; /* left: after the largest hosts failed */
	uint32_t failures_tolerated;	   /* without the new VM */
	/* PERCENT, in thousandths, after the new VM */
	uint32_t free_permille;
	/* DEDICATED: the host whose failure the standby ones could not take in, or NOWHERE; what
	 * its VMs count as, with the new one, and what the standby hosts have left that count */
	uint32_t unsafe_host;
	uint64_t failover_needed, failover_left;
};

/* What a VM counts as under these rules. */
uint64_t admission_size(const struct admission_vm *vm, const struct admission_rules *rules);

/* Judges one more VM on hosts[vm->host], which counts even if it says to be out. slots: room for
 * nhosts numbers, order: for nvms + 1, both used up. */
void admission_judge(const struct admission_host *hosts, uint32_t nhosts,
		     const struct admission_vm *vms, uint32_t nvms, const struct admission_vm *vm,
		     const struct admission_rules *rules, uint64_t *slots, uint32_t *order,
		     struct admission_verdict *verdict);

/*
 * Where do VMs fit? free[nhosts]: bytes left on each, which are used up; size[nvms]; place[nvms]
 * is set to the host of each, or to ADMISSION_NOWHERE. order: room for nvms numbers. Returns how
 * many found no place. Best fit, the largest first; where that leaves some and there are few, every
 * way is tried, up to ADMISSION_TRIES steps.
 */
#define ADMISSION_TRIES 200000u
uint32_t admission_fit(uint64_t *free, uint32_t nhosts, const uint64_t *size, uint32_t nvms,
		       uint32_t *order, uint32_t *place);

#endif
