/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The figures of memory under pressure, under esxtop's names where it has one (view.h). What a VM
 * takes of the host is the kernel's word (usage.c); what is out, and where, is its agent's claim,
 * cut to the size of the VM.
 */
#include "daemon/view-memory.h"

#include <stdio.h>
#include <string.h>

#include "daemon/action.h"
#include "daemon/admission.h"
#include "daemon/balloon.h"
#include "daemon/swapdir.h"
#include "daemon/usage.h"
#include "daemon/view-claim.h"
#include "policy/balloon.h"

static uint64_t bytes_of(uint64_t pages)
{
	return view_bytes_of(pages, PS_PAGE_SIZE);
}

static uint64_t rate_of(double pages_s)
{
	return pages_s > 0 ? (uint64_t)(pages_s * PS_PAGE_SIZE) : 0;
}

static void say(char out[VIEW_WHY], const char *why)
{
	snprintf(out, VIEW_WHY, "%s", why ? why : "");
}

static void fill_why(const struct vm *vm, const struct ps_agent_stats *stats,
		     struct view_memory *out)
{
	const int64_t *value = vm->daemon->settings.value;
	const struct ladder_plan *plan = &vm->memory.plan;
	const char *why = NULL;

	if (!vm->session) {
		why = "its agent is not connected";
		say(out->why_break, why);
		say(out->why_balloon, why);
		say(out->why_zip, why);
		say(out->why_swap, why);
		return;
	}
	if (!vm->enable || !vm->member)
		say(out->why_break, "it does not share");
	else if (!value[SETTING_ALLOC_GUEST_LARGE_PAGE])
		say(out->why_break, "Mem.AllocGuestLargePage is 0: none is left whole");
	else if (!plan->may_break)
		say(out->why_break, ladder_why_text(LADDER_STATE));
	if (!value[SETTING_CTL_MAX_PERCENT] || vm_setting(vm, SETTING_MAXMEMCTL) == 0)
		say(out->why_balloon, "Mem.CtlMaxPercent or sched.mem.maxmemctl is 0");
	else if (!balloon_of_use(vm))
		say(out->why_balloon, balloon_state_text((unsigned int)balloon_state(vm)));
	else if (plan->why_balloon)
		say(out->why_balloon, ladder_why_text(plan->why_balloon));
	if (!value[SETTING_MEM_ZIP_ENABLE])
		say(out->why_zip, "Mem.MemZipEnable is 0");
	else if (stats->cold_error)
		snprintf(out->why_zip, VIEW_WHY, "its agent cannot take pages out: %s",
			 strerror((int)stats->cold_error));
	else if (plan->why_out)
		say(out->why_zip, ladder_why_text(plan->why_out));
	if (!swapdir_ready(vm, &why))
		say(out->why_swap, why);
	else if (stats->cold_error)
		say(out->why_swap, out->why_zip);
	else if (stats->swap_error)
		snprintf(out->why_swap, VIEW_WHY, "its swap file cannot be written: %s",
			 strerror((int)stats->swap_error));
	else if (plan->why_out)
		say(out->why_swap, ladder_why_text(plan->why_out));
}

static void fill_out(const struct vm *vm, const struct ps_agent_stats *stats,
		     struct view_memory *out)
{
	const struct vm_rates *rates = &vm->memory.rates;

	out->staged = view_claim(vm, stats->staged);
	out->twin = view_claim(vm, stats->twin);
	out->zipped = view_claim(vm, stats->zipped);
	out->cachesz = stats->zip_bytes;
	out->cacheusd = stats->zip_payload;
	out->swcur = view_claim(vm, stats->swapped);
	out->swtgt = bytes_of(vm->memory.plan.out);
	out->swap_file = stats->swap_bytes;
	out->zip_rate = rate_of(rates->zip_s);
	out->unzip_rate = rate_of(rates->unzip_s);
	out->swap_write_rate = rate_of(rates->swapout_s);
	out->swap_read_rate = rate_of(rates->swapin_s);
	out->latency = rates->wait * 100;
	out->wait_ns = stats->wait_ns;
	out->stagings = stats->stagings;
	out->staged_back = stats->staged_back;
	out->twins = stats->twins;
	out->twinins = stats->twinins;
	out->zips = stats->zips;
	out->unzips = stats->unzips;
	out->swapouts = stats->swapouts;
	out->swapins = stats->swapins;
	out->promotions = stats->promotions;
	out->breaks = stats->breaks;
	out->collapses = stats->collapses;
	out->swap_errors = stats->swap_errors;
	memcpy(out->page_in, vm->seen.page_in, sizeof(out->page_in));
}

static void fill_action(const struct vm *vm, struct view_action *out)
{
	const struct vm_action *action = &vm->memory.action;

	*out = (struct view_action){
		.what = action_name(action->what),
		.over = action->over || action->what == VM_ACT_NONE,
		.error = action->error,
		.wanted = action->wanted == UINT64_MAX ? UINT64_MAX : bytes_of(action->wanted),
		.moved = bytes_of(action->moved),
		.time_ns = action->began ? (action->over ? action->ended : vm->daemon->now) -
						   action->began :
					   0,
	};
}

void view_memory_vm(struct vm *vm, const struct ps_agent_stats *stats, struct view_memory *out)
{
	const struct vm_memory *memory = &vm->memory;

	*out = (struct view_memory){
		.consumed = bytes_of(memory->has),
		.target = bytes_of(memory->target),
		.overhead = bytes_of(memory->overhead),
		.active = view_claim(vm, stats->active),
		.active_slow = view_claim(vm, stats->active_slow),
		.active_fast = view_claim(vm, stats->active_fast),
		.active_now = view_claim(vm, stats->active_now),
		.shares = memory->shares,
		.set_shares = vm_setting(vm, SETTING_MEM_SHARES),
		.min_mb = vm_setting(vm, SETTING_MEM_MIN),
		.max_mb = vm_setting(vm, SETTING_MEM_MAX),
		.maxmemctl_mb = vm_setting(vm, SETTING_MAXMEMCTL),
		.swap_dir = vm->swap_dir,
		.mctlsz = balloon_size(vm),
		.mctltgt = balloon_target(vm),
		.mctlmax = balloon_max(vm),
		.held = memory->held,
		.suspended = memory->suspended,
	};
	fill_out(vm, stats, out);
	fill_why(vm, stats, out);
	fill_action(vm, &out->action);
}

static struct view_source source_of(const struct mem_source *source)
{
	return (struct view_source){
		.state = memstate_name(source->state),
		.managed = source->managed,
		.free = source->free,
		.min_free = source->min_free,
	};
}

void view_memory_host(struct daemon *d, struct view_host_memory *out)
{
	const struct mem_source *source;

	if (!d->nvms)
		usage_read(d); /* nobody else does */
	source = usage_source(d);
	*out = (struct view_host_memory){
		.host = source_of(&d->host_memory),
		.budget = source_of(&d->budget),
		.managed = source->managed,
		.free = source->free,
		.min_free = source->min_free,
		.stalled = d->stalled,
		.consumed = d->vm_bytes,
		.reserved = admission_reserved(d),
		.unreserved = admission_left(d),
		.held = d->nheld,
		.state_ns = d->now - d->state_since,
	};
	list_for_each(vm, &d->vms, struct vm, link) {
		struct ps_agent_stats stats;
		struct view_memory memory;

		vm_stats(vm, &stats);
		view_memory_vm(vm, &stats, &memory);
		out->balloon += memory.mctlsz;
		out->balloon_target += memory.mctltgt;
		out->balloon_max += memory.mctlmax;
		out->staged += memory.staged;
		out->twin += memory.twin;
		out->zipped += memory.zipped;
		out->zip_bytes += memory.cachesz;
		out->swapped += memory.swcur;
		out->out_target += memory.swtgt;
	}
}
