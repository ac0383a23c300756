/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: know which process may still map a frame, and never take a reference from one that may.
 *
 * A session that ends says nothing about memory: the process may go on with every frame mapped. So
 * the VM stays, a ghost, with its references, until its pidfd says that the process has ended or
 * its agent comes back and later says OLD_GONE. What it holds meanwhile is its user's charge.
 *
 * A process that executes another program keeps its pidfd, but not its memory: what it mapped went
 * with the old program. A process has one agent, and an agent one uuid for life, so a HELLO of the
 * same process under another uuid, from one that maps nothing yet, says that its ghosts are of
 * programs before. (An agent that lies there loses its own pages, nobody else's: it has the store
 * of its domain anyway, and no other.) A program without an agent says nothing: then the ghost
 * stays for as long as the process.
 */

#include "daemon/vm-end.h"

#include "daemon/balloon.h"
#include "daemon/change.h"
#include "daemon/image.h"
#include "daemon/member.h"
#include "daemon/ring.h"
#include "daemon/session.h"
#include "daemon/vm-region.h"

void vm_end_former(struct daemon *d, const struct user *user, pid_t pid)
{
	list_for_each(vm, &d->vms, struct vm, link) {
		if (vm->pid != pid || vm->user != user || vm->session || vm->ended)
			continue;
		log_info("%s: process %d executed another program: its frames are given back",
			 vm->name, (int)pid);
		vm_end(vm);
	}
}

/* Does the process, as far as we know, map nothing of any store? And nothing was set for it? */
static bool holds_nothing(const struct vm *vm)
{
	const struct member *m = vm->member;

	if (vm->enable_set || vm->salt_set || vm->holds_unknown)
		return false;
	return !vm->nold && (!m || (vmmap_mapped(m->map) == 0 && vmmap_pending(m->map) == 0));
}

void vm_end(struct vm *vm)
{
	image_parent_gone(vm);
	if (vm->member)
		member_retire(vm->member);
	vm->member = NULL;
	list_for_each(m, &vm->old, struct member, link)
		member_retire(m);
	vm->nold = 0;
	vm->holds_unknown = false;
	vm_remove(vm);
}

void vm_detach(struct vm *vm)
{
	vm_keep_stats(vm);
	vm->session = NULL;
	vm->memory.swap_cap = 0;
	vm->left_by = 0;
	image_parent_silent(vm);
	vm_forget_regions(vm);
	if (vm_process_ended(vm)) {
		vm->ended = true;
		vm_end(vm);
		return;
	}
	if (vm->member) {
		member_silence(vm->member);
		vm->member->state = MEMBER_OLD;
	}
	if (holds_nothing(vm)) {
		vm_end(vm);
		return;
	}
	log_debug("%s: session ended, process %d lives: its frames stay", vm->name, (int)vm->pid);
}

static void add_ended(struct agent_sum *sum, const struct ps_agent_stats *stats)
{
	counts_add(&sum->cpu_ns, stats->cpu_ns);
	counts_add(&sum->scanned, stats->scanned);
	counts_add(&sum->shares, stats->shares);
	counts_add(&sum->zeroed, stats->zeroed);
	counts_add(&sum->unshares, stats->unshares);
	for (unsigned int i = 0; i < PS_CAUSE_END; i++)
		counts_add(&sum->refused[i], stats->refused[i]);
}

void vm_remove(struct vm *vm)
{
	struct daemon *d = vm->daemon;
	struct ps_agent_stats stats;

	if (!list_empty(&vm->gone))
		return;
	d->nheld -= vm->memory.held;
	vm_stats(vm, &stats);
	add_ended(&d->ended, &stats);
	loop_unwatch(&d->loop, &vm->process);
	balloon_vm_gone(vm);
	list_del(&vm->link);
	vm->user->vms--;
	d->nvms--;
	if (!d->nvms)
		d->idle_since = d->now;
	sessions_configure_soon(d);
	list_add_tail(&d->gone_vms, &vm->gone);
	log_info("%s: gone (process %d)", vm->name, (int)vm->pid);
	changes_vm_gone(vm);
}
