/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An action is not a state of the VM but something done once: when a VM has been pushed out as far
 * as it goes, it is left alone again, and what it touches comes back and stays. (An order that
 * stood on would push out again and again what a guest just needs.)
 *
 * Progress is what the VM takes less of the host than at the beginning, by the kernel's count, so
 * that whatever the agent says, pages are reported as given back only if they were; for
 * resume it is what the agent says is still out. Where nothing moves for some seconds the rest is
 * not asked of the balloon any more, but taken out; where nothing moves for STILL seconds it is
 * over: the rest is in use, pinned, or has no tier to go to.
 *
 * A VM that is about to be forked is brought in (pressure.c). That ends what suspends it, with
 * EBUSY; while it lasts nobody may suspend it.
 */
#include "daemon/action.h"

#include <errno.h>

#include "daemon/session.h"

#define STILL (30 * SEC) /* a page is staged for ten seconds before it goes on */
#define STOOD (5 * SEC)	 /* so long a balloon may take for a step */
#define STILL_SUSPEND (15 * SEC)
#define STEP 64u       /* pages that count as a move; of a guest that is put out, ... */
#define STEP_PART 256u /* ... a part of it: one that idles touches some all the time */

bool action_is(const struct vm *vm, enum vm_act what)
{
	return vm->memory.action.what == what && !vm->memory.action.over;
}

static bool is_under_way(const struct vm *vm)
{
	return vm->memory.action.what != VM_ACT_NONE && !vm->memory.action.over;
}

void action_begin(struct vm *vm, enum vm_act what, uint64_t pages)
{
	uint64_t now = vm->daemon->now;

	vm->memory.action = (struct vm_action){
		.what = what,
		.wanted = what == VM_ACT_RECLAIM ? pages : UINT64_MAX,
		.begin_has = vm->memory.has,
		.began = now,
		.moved_at = now,
	};
	vm->memory.suspended = what == VM_ACT_SUSPEND ||
			       (vm->memory.suspended && what == VM_ACT_RECLAIM);
	log_info("%s: %s", vm->name, action_name(what));
}

uint64_t action_push(const struct vm *vm)
{
	const struct vm_action *action = &vm->memory.action;

	if (action_is(vm, VM_ACT_SUSPEND))
		return vm->memory.guest;
	if (!action_is(vm, VM_ACT_RECLAIM))
		return 0;
	return action->wanted > action->moved ? action->wanted - action->moved : 0;
}

bool action_balloons(const struct vm *vm)
{
	return !vm->memory.suspended && !(is_under_way(vm) && vm->memory.action.stood);
}

static void end(struct vm *vm, int error)
{
	struct vm_action *action = &vm->memory.action;

	action->over = true;
	action->error = error;
	action->ended = vm->daemon->now;
	log_info("%s: %s: %llu MiB in %.1f s", vm->name, action_name(action->what),
		 (unsigned long long)(action->moved >> (20 - PS_PAGE_SHIFT)),
		 (double)(action->ended - action->began) / (double)SEC);
}

static uint64_t step_of(const struct vm *vm)
{
	uint64_t part = action_is(vm, VM_ACT_SUSPEND) ? vm->pages / STEP_PART : 0;

	return part > STEP ? part : STEP;
}

static uint64_t moved_so_far(const struct vm *vm)
{
	const struct vm_memory *memory = &vm->memory;
	uint64_t begin = memory->action.begin_has;

	if (memory->action.what == VM_ACT_RESUME)
		return memory->has > begin ? memory->has - begin : 0;
	return begin > memory->has ? begin - memory->has : 0;
}

/* Does the agent say that it has done all of it? */
static bool is_done(const struct vm *vm, const struct ps_agent_stats *stats)
{
	const struct vm_action *action = &vm->memory.action;

	switch (action->what) {
	case VM_ACT_RECLAIM:
		return action->moved >= action->wanted;
	case VM_ACT_SUSPEND:
		return (stats->target_flags & PS_TARGET_SUSPEND) && stats->moving_total &&
		       !stats->moving_todo;
	case VM_ACT_RESUME:
		return !(stats->twin + stats->zipped + stats->swapped + stats->staged);
	case VM_ACT_NONE:
		break;
	}
	return true;
}

void action_look(struct vm *vm)
{
	struct vm_action *action = &vm->memory.action;
	struct ps_agent_stats stats;
	uint64_t moved;

	if (!is_under_way(vm))
		return;
	vm_stats(vm, &stats);
	moved = moved_so_far(vm);
	if (moved >= action->then + step_of(vm)) {
		action->moved_at = vm->daemon->now;
		action->then = moved;
	}
	if (moved > action->moved)
		action->moved = moved;
	action->stood |= vm->daemon->now - action->moved_at >= STOOD;
	if (!vm->session)
		end(vm, -ENOTCONN);
	else if (action->what == VM_ACT_SUSPEND && vm->publishing)
		end(vm, -EBUSY);
	else if (is_done(vm, &stats))
		end(vm, 0);
	else if (vm->daemon->now - action->moved_at >=
		 (action->what == VM_ACT_SUSPEND ? STILL_SUSPEND : STILL))
		end(vm, action->what == VM_ACT_SUSPEND ? 0 : -ETIMEDOUT);
}

const char *action_name(enum vm_act what)
{
	switch (what) {
	case VM_ACT_RECLAIM:
		return "reclaim";
	case VM_ACT_SUSPEND:
		return "suspend";
	case VM_ACT_RESUME:
		return "resume";
	case VM_ACT_NONE:
		break;
	}
	return "none";
}
