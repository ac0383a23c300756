/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The books of one VM as the API shows them (view.h).
 *
 * Whose word is it? References, and so SHRD, common and SHRDSVD, are counted by the daemon
 * itself. What only the agent can see (GRANT, ZERO, large, quarantined, COWH, mappings, CPU) is
 * its claim: shown, cut to the size of the VM where it is a part of it, and used for nothing.
 */

#include "daemon/view-vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/member.h"
#include "daemon/saved.h"
#include "daemon/session.h"
#include "daemon/view-balloon.h"
#include "daemon/view-memory.h"
#include "daemon/view.h"
#include "policy/firstpass.h"
#include "policy/progress.h"
#include "sys/cleanup.h"

uint64_t view_mapped_pages(const struct vm *vm)
{
	uint64_t pages = vm->member ? vmmap_mapped(vm->member->map) : 0;

	list_for_each(m, &vm->old, struct member, link)
		pages += vmmap_mapped(m->map);
	return pages;
}

uint64_t view_unknown_pages(const struct vm *vm, const struct ps_agent_stats *stats)
{
	uint64_t mapped = view_mapped_pages(vm);

	if (!vm->holds_unknown || stats->shared <= mapped || stats->shared > vm->pages)
		return 0;
	return stats->shared - mapped;
}

static const char *state_of(const struct vm *vm)
{
	if (!vm->session)
		return "gone";
	if (vm->left_by)
		return "leaving";
	return vm->member ? "sharing" : "off";
}

static void fill_counts(const struct ps_agent_stats *stats, const struct vm *vm,
			struct view_vm *out)
{
	out->passes = stats->pass;
	out->looked = stats->looked;
	out->scanned = stats->scanned;
	out->hinted = stats->hinted;
	out->shares = stats->shares;
	out->zeroed = stats->zeroed;
	out->unshares = stats->unshares;
	out->discards = stats->discards;
	out->late_writes = stats->late_writes;
	out->faults = stats->faults;
	out->stuck = stats->stuck;
	out->brought_back = stats->brought_back;
	out->reshares = stats->reshares;
	out->batches = stats->batches;
	out->pin_forks = stats->pin_forks;
	out->stall_max_ns = stats->stall_max_ns;
	out->pins = ps_pins_name((unsigned int)stats->pins);
	out->broken = view_bytes_of(stats->broken, PS_PAGE_SIZE);
	for (unsigned int i = 0; i < PS_CAUSE_END; i++)
		out->refused[i] = stats->refused[i];
	/* these two only the daemon knows */
	out->refused[PS_CAUSE_LIMIT] += vm->count.refused[PS_CAUSE_LIMIT];
	out->refused[PS_CAUSE_NO_MEMORY] += vm->count.refused[PS_CAUSE_NO_MEMORY];
	out->mappings = stats->mappings;
	out->cpu_ns = stats->cpu_ns;
	memcpy(out->timed, vm->seen.timed, sizeof(out->timed));
	out->overhead_agent = stats->agent_bytes;
	out->overhead_kernel = view_bytes_of(stats->mappings, VM_MAPPING_BYTES);
}

static void fill_sizes(const struct ps_agent_stats *stats, struct vm *vm, struct view_vm *out)
{
	uint64_t mapped = view_mapped_pages(vm) + view_unknown_pages(vm, stats), saved;

	out->size = vm->pages * PS_PAGE_SIZE;
	out->grant = view_claim(vm, stats->grant);
	out->zero = view_claim(vm, stats->zero);
	out->shrd = mapped * PS_PAGE_SIZE + out->zero;
	/* counted up to a second ago, when more may have been shared */
	saved = saved_pages(vm);
	out->shrdsvd = (saved < mapped ? saved : mapped) * PS_PAGE_SIZE + out->zero;
	out->priv = out->grant > out->shrd ? out->grant - out->shrd : 0;
	out->large = view_claim(vm, stats->large);
	out->quarantined = view_claim(vm, stats->quarantined);
	out->cowh = view_claim(vm, stats->cowh);
}

static uint64_t parts_waiting(const struct member *m)
{
	return vmmap_pending(m->map) + m->parked_count + (PS_CONTENT_SLOTS - m->free_slots);
}

/* A look is a 60th of a pass, within a second and a minute, as the agents have it. */
static uint64_t look_ms(const struct vm *vm, const struct ps_agent_stats *stats)
{
	uint64_t ms = vm->session->config.pass_seconds * 1000ull / 60;
	uint64_t most = 60000;

	if (stats->first_pass && vm->session->config.first_pages_per_second)
		most = FIRST_PASS_LOOK_MS;

	return ms < 1000 ? 1000 : ms > most ? most : ms;
}

/* Pages a second that it may hash now. */
static uint64_t config_rate(const struct vm *vm, const struct ps_agent_stats *stats)
{
	const struct ps_msg_config *config = &vm->session->config;
	struct first_pass first = {.over = !stats->first_pass};

	return first_pass_rate(&first, config->pages_per_second, config->first_pages_per_second);
}

static void fill_progress(const struct ps_agent_stats *stats, const struct vm *vm,
			  struct view_vm *out)
{
	const struct member *m = vm->member;
	struct progress_input in = {
		.active = vm->session && m && m->state == MEMBER_ACTIVE && vm->pages,
		.present = out->grant / PS_PAGE_SIZE,
		.unseen = stats->unseen,
		.saved = out->shrdsvd / PS_PAGE_SIZE,
		.quarantined = out->quarantined / PS_PAGE_SIZE,
		.quarantine_ms = (uint64_t)vm->daemon->settings.value[SETTING_SHARE_QUARANTINE_MS],
	};
	struct progress got;

	if (in.active) {
		in.waiting = parts_waiting(m) +
			     (stats->batch_waiting < vm->pages ? stats->batch_waiting : vm->pages);
		in.looks = stats->pass > m->looks_before ? stats->pass - m->looks_before : 0;
		in.lost = m->hints.lost || m->restarting;
		in.rate = config_rate(vm, stats);
		in.look_ms = look_ms(vm, stats);
	}
	got = progress_of(&in);
	out->progress = (struct view_progress){
		.looked = got.looked,
		.done = got.done,
		.remaining = got.remaining * PS_PAGE_SIZE,
		.saved = got.saved * PS_PAGE_SIZE,
		.expected = got.expected * PS_PAGE_SIZE,
		.left_ns = got.left_ms == PROGRESS_NEVER ? UINT64_MAX : got.left_ms * MSEC,
		.settled = got.settled,
		.first = stats->first_pass,
	};
	if (!m)
		return;
	out->hints = vmmap_hinted(m->map);
	out->hints_quota = m->hints.quota;
	out->hints_evicted = m->hints.evicted;
	out->hints_lost = m->hints.lost;
	out->rehints = vm->count.rehints;
}

/* Of several RAM files the one that has come least far. */
static void fill_family(const struct vm *vm, struct view_vm *out)
{
	bool waits = false, any = false;

	memcpy(out->parent, vm->parent, sizeof(out->parent));
	out->image = vm->parent_image;
	for (uint32_t i = 0; i < PS_FORK_RAMS_MAX; i++) {
		const struct vm_birth *birth = &vm->birth[i];

		any |= birth->state != VM_BIRTH_NONE;
		waits |= birth->state != VM_BIRTH_NONE && birth->state != VM_BIRTH_BORN;
		if (birth->error)
			out->birth_error = birth->error;
	}
	if (any)
		out->birth = out->birth_error ? "failed" : waits ? "waiting" : "born";
}

static void fill_vm(struct vm *vm, struct view_vm *out)
{
	struct ps_agent_stats stats;

	*out = (struct view_vm){
		.state = state_of(vm),
		.pid = vm->pid,
		.uid = vm->user->uid,
		.enable = vm->enable,
		.has_salt = vm->has_salt,
		.nregions = vm->nregions,
	};
	vm_stats(vm, &stats);
	out->reason = vm_reason(vm, &stats);
	out->error = stats.error;
	memcpy(out->name, vm->name, sizeof(out->name));
	memcpy(out->comm, vm->comm, sizeof(out->comm));
	fill_family(vm, out);
	snprintf(out->domain, sizeof(out->domain), "-");
	if (vm->member)
		snprintf(out->domain, sizeof(out->domain), "%08x", vm->member->domain->fingerprint);
	fill_sizes(&stats, vm, out);
	fill_counts(&stats, vm, out);
	fill_progress(&stats, vm, out);
	view_balloon_fill(vm, &out->balloon);
	view_memory_vm(vm, &stats, &out->memory);
	for (uint32_t i = 0; i < vm->nregions; i++)
		out->regions[i] = (struct view_region){
			.base = vm->region[i].base,
			.size = (uint64_t)vm->region[i].npages * PS_PAGE_SIZE,
			.cause = vm->region[i].cause,
		};
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct vm *const *)a)->name, (*(struct vm *const *)b)->name);
}

int view_vms(struct daemon *daemon, int (*each)(const struct view_vm *vm, void *arg), void *arg)
{
	_cleanup_free_ struct vm **sorted = calloc(daemon->nvms + 1, sizeof(struct vm *));
	_cleanup_free_ struct view_vm *view = malloc(sizeof(*view));
	uint32_t n = 0;
	int r = 0;

	if (!sorted || !view)
		return -ENOMEM;
	list_for_each(vm, &daemon->vms, struct vm, link)
		if (n < daemon->nvms)
			sorted[n++] = vm;
	qsort(sorted, n, sizeof(struct vm *), by_name);
	for (uint32_t i = 0; i < n && r == 0; i++) {
		fill_vm(sorted[i], view);
		r = each(view, arg);
	}
	return r;
}

int view_vm(struct daemon *daemon, const char *name, struct view_vm *out)
{
	struct vm *vm = vm_by_name(daemon, name);

	if (!vm)
		return -ENOENT;
	fill_vm(vm, out);
	return 0;
}
