/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a VM takes of the host: the anonymous memory of its process, as the kernel counts it
 * (/proc/PID/statm), and its part of the frames that it maps. Frames are counted once: of a
 * domain's frames a VM has as much as it has of the references to them, so all parts together are
 * the frames. A page of zeros is nobody's. What the VMM has beside its guest, and what the agent
 * holds for pages that are out (compressed ones, staged ones), is in there: it is the host's too.
 *
 * A process that plays many VMs has its memory once: it is split by their claims (grant.c).
 *
 * The kernel's count is believed, the agent's is not: who says that he has little would be left
 * alone. Only how much of it is the guest's, and how much of that is in use, is the agent's word:
 * that bounds what can be taken from this very VM, and a lie there gets the liar no more than
 * his shares allow (policy/entitle.c).
 *
 * Where /proc hides a process, what its agent says it has counts.
 */
#include "daemon/usage.h"

#include "daemon/grant.h"
#include "daemon/member.h"
#include "policy/headroom.h"
#include "sys/cgroup.h"
#include "sys/proc.h"

#define GROUP_NS (2 * SEC)
#define GROUP_NEAR 3u	      /* times what is to be left: read more often */
#define GROUP_EACH (5 * MSEC) /* of each VM: it takes some 0.1 ms */
/* What a VMM has beside its guest is at most that: more is an agent that makes its guest small. */
#define OVERHEAD_MIN (256ull << (20 - PS_PAGE_SHIFT))
#define OVERHEAD_PART 8u

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t anonymous_of(const struct vm *vm, const struct ps_agent_stats *stats)
{
	uint64_t claims = vm->many ? grant_process_claims(vm) : vm->pages, pages;
	struct sys_process_memory memory;

	if (sys_process_memory(vm->pid, &memory) < 0 || vm_process_ended(vm))
		return least(stats->grant, vm->pages);
	pages = memory.anonymous / PS_PAGE_SIZE;
	if (!vm->many)
		return pages;
	return claims ? (uint64_t)((double)pages * (double)vm->pages / (double)claims) : 0;
}

/* Its part of what a domain's frames take. */
static uint64_t frames_of(const struct member *m)
{
	struct frames_stats stats = frames_stats(m->domain->frames);

	if (!stats.refs)
		return 0;
	return (uint64_t)((double)vmmap_mapped(m->map) * (double)stats.live / (double)stats.refs);
}

static uint64_t all_frames_of(struct vm *vm)
{
	uint64_t pages = vm->member ? frames_of(vm->member) : 0;

	list_for_each(m, &vm->old, struct member, link)
		pages += frames_of(m);
	return pages;
}

/* How far its control group has to come down to have room again: the VMM's, with a limit that the
 * host's memory says nothing of. */
static void read_group(struct vm *vm)
{
	struct daemon *d = vm->daemon;
	struct sys_cgroup_memory memory;
	uint64_t left, goal;
	struct sys_cgroup group;

	if (vm->memory.group_at && d->now - vm->memory.group_at < vm->memory.group_every)
		return;
	vm->memory.group_at = d->now;
	vm->memory.group_every = GROUP_NS;
	vm->memory.group_lacks = 0;
	if (sys_cgroup_of(vm->pid, &group) < 0 || sys_cgroup_memory(&group, &memory) < 0 ||
	    memory.limit == UINT64_MAX)
		return;
	left = memory.limit > memory.used ? memory.limit - memory.used : 0;
	goal = memstate_min_free(memory.limit,
				 (uint32_t)d->settings.value[SETTING_MEM_MIN_FREE_PCT]);
	if (left < goal * GROUP_NEAR) /* a VM that comes fills it in a second */
		vm->memory.group_every = least(GROUP_NS, d->nvms * GROUP_EACH);
	if (left >= goal)
		return;
	vm->memory.group = memory.id;
	vm->memory.group_lacks = (goal - left) / PS_PAGE_SIZE;
}

/* Many VMs may be in one group, or below it (machine.slice): each gives its part of what is
 * missing, not all of it. What waits in quarantine is on its way already. */
static void limit_by_group(struct daemon *d, struct vm *vm)
{
	struct vm_memory *memory = &vm->memory;
	uint64_t lacks = 0, has = 0, coming = 0, gives;

	memory->group_limit = UINT64_MAX;
	if (!memory->group_lacks)
		return;
	list_for_each(other, &d->vms, struct vm, link) {
		if (!other->memory.group_lacks || other->memory.group != memory->group)
			continue;
		has += other->memory.settled;
		coming += other->memory.has - other->memory.settled;
		if (other->memory.group_lacks > lacks)
			lacks = other->memory.group_lacks;
	}
	/* what is on its way is the agents' word: half of it comes from elsewhere in any case */
	coming = least(coming, lacks / 2);
	gives = headroom_part(lacks - coming, memory->settled, has);
	if (gives)
		memory->group_limit = memory->settled - gives;
}

/* The agent learns a look later than the kernel that the guest has grown, so what is not the
 * guest's by its word may be the guest's all the same: the least of the last readings counts, and
 * never more than `most`. */
static uint64_t overhead_of(struct vm_memory *memory, uint64_t now, uint64_t most)
{
	uint64_t overhead = most;

	memory->beside[memory->readings++ % VM_READINGS] = now;
	for (uint64_t i = 0; i < least(memory->readings, VM_READINGS); i++)
		overhead = least(overhead, memory->beside[i]);
	return overhead;
}

/* Pages that it maps from frames, by the books. */
static uint64_t mapped_of(struct vm *vm)
{
	uint64_t pages = vm->member ? vmmap_mapped(vm->member->map) : 0;

	list_for_each(m, &vm->old, struct member, link)
		pages += vmmap_mapped(m->map);
	return pages;
}

/* What the kernel has for its mappings, and page tables. It counts in the budget of all, so no
 * claim is believed beyond the books: a frame alone is two mappings, and there are page tables for
 * what is there. */
static uint64_t kernel_of(struct vm *vm, const struct ps_agent_stats *stats)
{
	uint64_t mapped = mapped_of(vm), mappings = least(stats->mappings, 2 * mapped);
	uint64_t tables = (vm->memory.anonymous + mapped) * sizeof(uint64_t);

	return (mappings * VM_MAPPING_BYTES + tables) / PS_PAGE_SIZE;
}

/* As far as the books bear it out: what was shared. (Zeros are nobody's word but the agent's.) */
static uint64_t quarantine_of(struct vm *vm, const struct ps_agent_stats *stats)
{
	return vm->session ? least(stats->quarantined, mapped_of(vm)) : 0;
}

static void read_vm(struct vm *vm)
{
	struct vm_memory *memory = &vm->memory;
	struct ps_agent_stats stats;
	uint64_t given, claimed;

	vm_stats(vm, &stats);
	memory->anonymous = anonymous_of(vm, &stats);
	memory->kernel = kernel_of(vm, &stats);
	memory->has = memory->anonymous + all_frames_of(vm) + memory->kernel;
	memory->settled = memory->has;
	if (vm->daemon->memstate < MEMSTATE_LOW) /* there, what is not free yet is of no use */
		memory->settled -= least(quarantine_of(vm, &stats), memory->anonymous);
	given = stats.shared + stats.zero;
	claimed = stats.grant > given ? stats.grant - given : 0;
	memory->guest = least(least(claimed, vm->pages), memory->anonymous);
	if (memory->has > memory->peak)
		memory->peak = memory->has;
	/* by the size that it was seen to have: what is taken for overhead is never reclaimed */
	memory->overhead =
		overhead_of(memory, memory->anonymous - memory->guest,
			    OVERHEAD_MIN + least(vm->pages, memory->peak) / OVERHEAD_PART) +
		memory->kernel;
	/* one that does not sample counts as in use all through */
	memory->active = stats.sampled ? least(stats.active, memory->has) : memory->has;
	read_group(vm);
}

static uint64_t all_frames(const struct daemon *d)
{
	uint64_t pages = 0;

	list_for_each(domain, &d->domains, struct domain, link)
		pages += frames_stats(domain->frames).live;
	return pages;
}

static void read_budget(struct daemon *d)
{
	struct mem_source *budget = &d->budget;

	budget->managed = (uint64_t)d->settings.value[SETTING_MANAGED_MB] << 20;
	if (!budget->managed)
		budget->state = MEMSTATE_HIGH;
	budget->free = budget->managed > d->vm_bytes ? budget->managed - d->vm_bytes : 0;
	budget->min_free = memstate_min_free(budget->managed,
					     (uint32_t)d->settings.value[SETTING_MEM_MIN_FREE_PCT]);
}

void usage_read(struct daemon *d)
{
	uint64_t pages = all_frames(d);

	list_for_each(vm, &d->vms, struct vm, link) {
		read_vm(vm);
		pages += vm->memory.anonymous + vm->memory.kernel;
	}
	list_for_each(vm, &d->vms, struct vm, link)
		limit_by_group(d, vm);
	d->vm_bytes = pages * PS_PAGE_SIZE;
	read_budget(d);
}

const struct mem_source *usage_source(const struct daemon *d)
{
	return d->budget.managed ? &d->budget : &d->host_memory;
}
