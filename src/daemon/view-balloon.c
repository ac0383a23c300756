/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All figures of a balloon are QEMU's and the guest's word, told by a process that a hostile QEMU
 * may have taken over: shown, and that VM's alone.
 */
#include "daemon/view-balloon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/balloon.h"
#include "policy/balloon.h"

void view_balloon_fill(const struct vm *vm, struct view_balloon *out)
{
	const struct vm_balloon *b = &vm->balloon;
	const struct ps_balloon_report *r = &b->report;
	enum ps_balloon_state state = balloon_state(vm);

	*out = (struct view_balloon){
		.state = ps_balloon_state_name(state),
		.why = balloon_state_text(state),
		.mend = balloon_state_mend(state),
		.usable = balloon_of_use(vm),
		.known = b->reported,
		.size = balloon_size(vm),
		.target = balloon_target(vm),
		.by_hand = b->manual,
		.max = balloon_max(vm),
		.most = balloon_most(vm),
		.hold = b->hold,
	};
	memcpy(out->says, r->text, sizeof(r->text));
	if (!b->reported)
		return;
	out->held = r->flags & PS_BALLOON_HELD;
	out->paused = r->flags & PS_BALLOON_PAUSED;
	out->memory = r->size;
	if (!(r->flags & PS_BALLOON_DEVICE))
		return;
	out->device = true;
	out->goal = r->goal;
	out->oom = r->flags & PS_BALLOON_OOM;
	out->reporting = r->flags & PS_BALLOON_REPORTING;
	out->fresh = r->flags & PS_BALLOON_FRESH;
	out->guest_short = r->flags & PS_BALLOON_GUEST_SHORT;
	out->total = r->total;
	out->available = r->available;
	out->free = r->free;
	out->swap_in = r->swap_in;
	out->major_faults = r->major_faults;
	out->stalls = r->stalls;
	out->age_ns = r->age_ms < UINT64_MAX / MSEC ? r->age_ms * MSEC : UINT64_MAX;
}

int view_vm_balloon(struct daemon *daemon, const char *name, uint64_t bytes, bool force,
		    struct view_reason *why)
{
	struct vm *vm = vm_by_name(daemon, name);

	if (!vm) {
		snprintf(why->text, sizeof(why->text), "there is no VM \"%.64s\"", name);
		return -ENOENT;
	}
	if (bytes && !vm->balloon.reported) {
		snprintf(why->text, sizeof(why->text), "%s has no balloon: %s", vm->name,
			 balloon_state_text(balloon_state(vm)));
		return -EINVAL;
	}
	balloon_want_by_hand(vm, bytes, force);
	return 0;
}
