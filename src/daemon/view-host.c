/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The books of the host as the API shows them (view.h): the sum over domains and VMs, and what VMs
 * that are gone had done.
 */

#include "daemon/view.h"

#include <stddef.h>
#include <string.h>

#include "daemon/member.h"
#include "daemon/session.h"
#include "daemon/view-memory.h"
#include "daemon/view-vm.h"
#include "policy/progress.h"
#include "sys/process.h"

static void add_domains(struct daemon *daemon, struct view_host *out)
{
	list_for_each(domain, &daemon->domains, struct domain, link) {
		struct frames_stats frames = frames_stats(domain->frames);
		struct index_stats index = index_stats(domain->index);

		out->common += frames.live * PS_PAGE_SIZE;
		out->metadata += frames.bytes + index.bytes + sizeof(*domain);
		out->metadata += domain->nslots * sizeof(struct member *);
		for (uint32_t i = 0; i < domain->nslots; i++)
			if (domain->slot[i])
				out->metadata +=
					vmmap_bytes(domain->slot[i]->map) + sizeof(struct member) +
					domain->slot[i]->parked_cap * sizeof(struct parked);
	}
}

static uint64_t ring_bytes(const struct vm *vm)
{
	uint64_t bytes = offsetof(struct ps_ring_map, content);

	if (!vm->session)
		return 0;
	if (vm->session->ring.content_until)
		bytes += sizeof(vm->session->ring.map->content);
	if (vm->session->samples)
		bytes += sizeof(struct ps_likeness);
	return vm->session->draws ? bytes + sizeof(struct ps_picture) : bytes;
}

static void add_vms(struct daemon *daemon, struct view_host *out)
{
	list_for_each(vm, &daemon->vms, struct vm, link) {
		struct ps_agent_stats stats;
		uint64_t unknown;

		vm_stats(vm, &stats);
		unknown = view_unknown_pages(vm, &stats) * PS_PAGE_SIZE;
		/* how many share a frame of an earlier store nobody knows: it saves nothing */
		out->common += unknown;
		out->shared += unknown;
		out->shared += view_mapped_pages(vm) * PS_PAGE_SIZE + view_claim(vm, stats.zero);
		out->zero += view_claim(vm, stats.zero);
		out->metadata += stats.agent_bytes +
				 view_bytes_of(stats.mappings, VM_MAPPING_BYTES) + sizeof(*vm) +
				 ring_bytes(vm);
		counts_add(&out->cpu_agents_ns, stats.cpu_ns);
		counts_add(&out->scanned, stats.scanned);
		counts_add(&out->shares, stats.shares);
		counts_add(&out->zeroed, stats.zeroed);
		counts_add(&out->unshares, stats.unshares);
		for (unsigned int i = 0; i < PS_CAUSE_END; i++)
			counts_add(&out->refused[i], stats.refused[i]);
	}
}

/* The sum over the VMs that take part: it has settled when all of them have. */
struct progress_sum {
	struct view_progress progress;
	double looked, granted;
};

static int add_progress(const struct view_vm *vm, void *arg)
{
	bool off = strcmp(vm->state, "off") == 0 && vm->reason != PS_CAUSE_NONE;
	struct progress_sum *sum = arg;

	if (off || strcmp(vm->state, "gone") == 0 || !vm->size)
		return 0;
	sum->looked += vm->progress.looked * (double)vm->grant;
	sum->granted += (double)vm->grant;
	sum->progress.saved += vm->progress.saved;
	sum->progress.expected += vm->progress.expected;
	sum->progress.remaining += vm->progress.remaining;
	if (vm->progress.left_ns > sum->progress.left_ns)
		sum->progress.left_ns = vm->progress.left_ns;
	sum->progress.settled &= vm->progress.settled;
	sum->progress.first |= vm->progress.first;
	return 0;
}

static void host_progress(struct daemon *daemon, struct view_progress *out)
{
	struct progress_sum sum = {.progress = {.settled = true}};

	if (view_vms(daemon, add_progress, &sum) < 0)
		sum.progress.settled = false;
	*out = sum.progress;
	out->looked = sum.granted > 0 ? sum.looked / sum.granted : out->settled ? 100 : 0;
	out->done = progress_done(out->saved, out->expected, out->looked, out->settled);
}

void view_host(struct daemon *daemon, struct view_host *out)
{
	const struct agent_sum *ended = &daemon->ended;

	*out = (struct view_host){
		.state = memstate_name(daemon->memstate),
		.pid = sys_self_pid(),
		.uptime_ns = daemon->now - daemon->started,
		.domains = daemon->ndomains,
		.vms = daemon->nvms,
		.cpu_agents_ns = ended->cpu_ns,
		.scanned = ended->scanned,
		.shares = ended->shares,
		.zeroed = ended->zeroed,
		.unshares = ended->unshares,
		.verified = daemon->verify.verified,
		.damaged = daemon->verify.damaged,
		.mended = daemon->verify.mended,
	};
	(void)sys_self_cpu(&out->cpu_daemon_ns);
	for (unsigned int i = 0; i < PS_CAUSE_END; i++)
		out->refused[i] = ended->refused[i];
	out->refused[PS_CAUSE_LIMIT] += daemon->count.refused[PS_CAUSE_LIMIT];
	out->refused[PS_CAUSE_NO_MEMORY] += daemon->count.refused[PS_CAUSE_NO_MEMORY];
	add_domains(daemon, out);
	add_vms(daemon, out);
	host_progress(daemon, &out->progress);
	view_memory_host(daemon, &out->memory);
	out->saving = out->shared > out->common ? out->shared - out->common : 0;
}
