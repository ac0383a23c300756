/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: when a change of who may share with whom is answered, it is true: no frame is shared by VMs
 * that may not share.
 *
 * A VM's target is the domain key that the settings of now give it. Where it holds references in
 * a domain with another key it is told to LEAVE; LEFT says that it maps no frame any more, of
 * this session or an earlier one, and gives all references back; then it joins the domain of its
 * target. Frames of earlier sessions (old members) are judged the same, and end with OLD_GONE or
 * LEFT. Of frames of an earlier daemon nobody here knows the domain, so after a change they have to
 * go wherever they are.
 *
 * LEFT is not believed. Who was made to leave may keep the store's descriptor, and whatever is
 * written there later he could read. So the domain that a VM is made to leave is closed, at once,
 * also when the VM has no session by which it could be told; and the VMs that remain move to a
 * fresh one with the same key, in the same way; no frame is made in the old store from the moment
 * of the change. It costs them that they share anew. Rejected: to let them keep the frames that
 * they have, which the leaver knows anyway, and only make new ones elsewhere: a VM has one store
 * that it may get orders for, and everything that takes pages from one store to another would have
 * to work between two that live. VMs of other domains are not touched.
 *
 * The new DOMAIN is told only when the agent has taken every order of the old one out of its
 * ring: an order carries a frame's number, and a number means something else in another store.
 *
 * A VM that does not answer in time disobeys: it keeps its references (nobody can take them from a
 * living process), its domain is closed to newcomers, and it is still awaited. The time grows with
 * what it has to unshare. change.c answers whoever asked for the change.
 */
#include "daemon/rehome.h"

#include <errno.h>
#include <string.h>

#include "daemon/grant.h"
#include "daemon/member.h"
#include "daemon/session.h"
#include "daemon/vm-salt.h"
#include "sys/unsafe.h"

#define LEAVE_NS (10 * SEC)	/* a VM has its quarantine and this long to leave a domain ... */
#define LEAVE_PAGE_NS 100000ull /* ... and so much more for each page it has to unshare */
#define OLD_MAX 8u /* earlier sessions whose frames a VM may still map, to join again */
#define JOIN_RETRY (1 * SEC)
#define DRAIN_POLL (5 * MSEC)

/* May it have references in that domain? */
static bool may_hold(const struct vm *vm, const struct member *m, const struct domain_key *target)
{
	return vm->enable && domain_key_equal(&m->domain->key, target);
}

/* May it stay there, and get new ones? Of a session that has ended there is nothing to move. */
static bool belongs(const struct vm *vm, const struct member *m, const struct domain_key *target)
{
	return may_hold(vm, m, target) && (!m->domain->closed || m->state == MEMBER_OLD);
}

bool rehome_settled(const struct vm *vm)
{
	struct domain_key target = vm_target(vm);

	if (vm->member && !belongs(vm, vm->member, &target))
		return false;
	list_for_each(m, &vm->old, struct member, link)
		if (!may_hold(vm, m, &target))
			return false;
	return !(vm->must_leave && vm->holds_unknown);
}

static uint64_t pages_held(const struct vm *vm)
{
	uint64_t pages = vm->member ? vmmap_mapped(vm->member->map) : 0;

	list_for_each(m, &vm->old, struct member, link)
		pages += vmmap_mapped(m->map);
	return pages;
}

uint64_t rehome_time_to_leave(const struct vm *vm)
{
	const struct daemon *d = vm->daemon;

	return d->now + LEAVE_NS + pages_held(vm) * LEAVE_PAGE_NS +
	       (uint64_t)d->settings.value[SETTING_SHARE_QUARANTINE_MS] * MSEC;
}

bool rehome_is_moving(const struct vm *vm)
{
	return vm->session && vm->member && vm->member->domain->closed && !vm->disobeys;
}

/* Somebody was made to leave it, and may keep its store: the others leave too. */
static void close_domain(struct domain *domain)
{
	if (domain->closed)
		return;
	domain->closed = true;
	for (uint32_t i = 0; i < domain->nslots && !ps_without(DEFENCE_STORE_LEFT); i++)
		if (domain->slot[i] && domain->slot[i]->vm)
			rehome_vm(domain->slot[i]->vm);
}

/* The domains that the VM may not be in any more. Of one that it was not told of it has nothing. */
static void close_former_domains(struct vm *vm)
{
	struct domain_key target = vm_target(vm);
	bool told = !vm->session || !vm->session->say_domain;

	if (vm->member && told && !may_hold(vm, vm->member, &target))
		close_domain(vm->member->domain);
	list_for_each(m, &vm->old, struct member, link)
		if (!may_hold(vm, m, &target))
			close_domain(m->domain);
}

/* The present domain is left, and with it all frames. */
static void order_leave(struct vm *vm)
{
	struct domain_key target = vm_target(vm);
	struct member *m = vm->member;

	if (vm->session->say_domain) { /* it was not told of it yet: nothing to leave */
		if (belongs(vm, m, &target)) {
			/* only frames of before have to go: when it has been told */
			daemon_wake_at(vm->daemon, vm->daemon->now + DRAIN_POLL);
			return;
		}
		vm->session->say_domain = false;
		vm->member = NULL;
		member_retire(m);
		rehome_vm(vm);
		return;
	}
	m->state = MEMBER_LEAVING;
	member_silence(m);
	vm->leave_generation = m->domain->generation;
	vm->left_by = rehome_time_to_leave(vm);
	daemon_wake_at(vm->daemon, vm->left_by);
	vm->session->say_leave = true;
	session_mark(vm->session);
}

static enum ps_cause join_cause(int err)
{
	switch (err) {
	case 0:
		return PS_CAUSE_NONE;
	case -EFBIG:
		return PS_CAUSE_RLIMIT_FSIZE;
	case -ENOMEM:
	case -ENOSPC:
		return PS_CAUSE_NO_MEMORY;
	case -EUSERS:
		return PS_CAUSE_LIMIT;
	default:
		return PS_CAUSE_ERROR;
	}
}

static void join_target(struct vm *vm)
{
	struct daemon *d = vm->daemon;
	struct domain_key target = vm_target(vm);
	int r;

	if (!session_drained(vm->session)) {
		daemon_wake_at(d, d->now + DRAIN_POLL);
		return;
	}
	r = member_join(d, vm, &target, &vm->member);
	vm->join_cause = join_cause(r);
	if (r < 0) {
		if (log_gate_pass(&vm->user->gate, d->now))
			log_warn("%s: no domain for it: %s", vm->name, strerror(-r));
		vm->join_at = d->now + JOIN_RETRY;
		daemon_wake_at(d, vm->join_at);
		return;
	}
	vm->session->say_domain = true;
	session_mark(vm->session);
	grants_changed(vm);
}

void rehome_vm(struct vm *vm)
{
	close_former_domains(vm); /* nobody has to be asked for that */
	if (!vm->session || vm->left_by)
		return;
	if (vm->member && !rehome_settled(vm))
		order_leave(vm);
	else if (!vm->member && vm->enable && !vm->cause && vm->nold <= OLD_MAX &&
		 vm->join_at <= vm->daemon->now)
		join_target(vm);
}

void rehome_all(struct daemon *d)
{
	list_for_each(vm, &d->vms, struct vm, link) {
		vm->must_leave = vm->holds_unknown;
		rehome_vm(vm);
	}
}

int rehome_left(struct vm *vm, uint64_t generation)
{
	if (!vm->left_by || generation != vm->leave_generation)
		return -EPROTO;
	vm->left_by = 0;
	vm->disobeys = false;
	session_left(vm->session);
	if (vm->member)
		member_retire(vm->member);
	vm->member = NULL;
	rehome_old_gone(vm);
	return 0;
}

void rehome_old_gone(struct vm *vm)
{
	close_former_domains(vm); /* while it is known which they were */
	list_for_each(m, &vm->old, struct member, link)
		member_retire(m);
	vm->nold = 0;
	vm->holds_unknown = vm->must_leave = false;
	rehome_vm(vm);
}

static void disobeyed(struct vm *vm)
{
	vm->disobeys = true;
	COUNT(vm, disobeyed);
	log_warn("%s: process %d did not leave its domain when told", vm->name, (int)vm->pid);
}

void rehome_tick(struct daemon *d)
{
	list_for_each(vm, &d->vms, struct vm, link) {
		if (vm->left_by && !vm->disobeys && vm->left_by <= d->now)
			disobeyed(vm);
		else if (vm->left_by > d->now)
			daemon_wake_at(d, vm->left_by);
		else if (vm->session && !vm->member && vm->join_at > d->now)
			daemon_wake_at(d, vm->join_at);
		else if (vm->session &&
			 (!vm->member || vm->must_leave || (vm->nold && !rehome_settled(vm))))
			rehome_vm(vm);
	}
}
