/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: who claims memory that he does not have gains nothing by it, and takes nothing from others.
 *
 * What a VM is granted is the smaller of what its regions claim and what the kernel says that its
 * process has resident (/proc/PID/statm: frames that are mapped count, they are the guest's). A
 * process that plays many VMs has its memory once: it is split by their claims. A user never
 * counts for more than the host has; a process can make itself look larger by mapping one page
 * often, which this bounds. From it come
 *
 *   rates	a VM's part of Mem.ShareScanGHz, and the pass over what it has (session-say.c)
 *   hints	how many it may have in an index (hints.h): a quarter more than it has, and
 *		HINTS_FREE; less where all quotas together are more than the daemon has memory for
 *   bytes	what the daemon holds for all VMs of a user (user_bytes_max())
 *
 * Figures are rounded up to an eighth of their size, so that rates do not change all the time. They
 * are read in rounds, one a second at most, READS_MAX processes at a time: with more VMs a round
 * takes longer, and each of them has its turn in it. Where /proc hides other users' processes, the
 * claim counts, as far as the host has so much.
 *
 * Rejected: GRANT as the agent says it (it is a claim like the others), and RssAnon (of a VM that
 * shares well there is little left).
 */
#include "daemon/grant.h"

#include "daemon/host.h"
#include "daemon/member.h"
#include "daemon/session.h"
#include "daemon/vm.h"
#include "sys/entropy.h"
#include "sys/proc.h"
#include "sys/unsafe.h"

#define GRANT_NS (1 * SEC)
#define GRANT_SOON (100 * MSEC)
#define READS_MAX 256u
#define HINTS_FREE 4096u
#define HINT_COST 13u		/* bytes of a hint: its entry in an index, its page's note */
#define HINTS_PART 4u		/* of the memory that the daemon may have, for all hints */
#define INDEX_EXPECT (1u << 18) /* hints that an index is made for, where fewer are claimed ... */
#define INDEX_AHEAD 16u		/* ... or so many times what its VMs may put there now */
#define INDEX_FACTOR 2u		/* hints of all, at most so many times the host's pages */

struct fair grant_of(const struct vm *vm)
{
	return (struct fair){
		.vm = vm->granted,
		.user = vm->user->granted,
		.all = vm->daemon->granted,
		.users = vm->daemon->nusers,
	};
}

/* Up to the next eighth of its own size. */
static uint64_t round_up(uint64_t pages)
{
	uint64_t step = 1;

	while (step < pages / 16)
		step *= 2;
	return (pages + step - 1) / step * step;
}

uint64_t grant_process_claims(const struct vm *vm)
{
	uint64_t pages = 0;

	if (!vm->many)
		return vm->pages;
	list_for_each(each, &vm->daemon->vms, struct vm, link)
		if (each->pid == vm->pid && each->user == vm->user)
			pages += each->pages;
	return pages;
}

/* Reads what the process has resident, if this round has not. True if it was read. */
static bool read_resident(struct vm *vm)
{
	const struct daemon *d = vm->daemon;
	uint64_t bytes;

	if (vm->resident_at && vm->resident_at >= d->grants_round)
		return false;
	vm->resident_at = d->now;
	/* the process of that number is still ours if it has not ended after it was read */
	if (sys_resident(vm->pid, &bytes) == 0 && !vm_process_ended(vm))
		vm->resident = bytes / PS_PAGE_SIZE;
	else
		vm->resident = host_pages(d);
	return true;
}

static uint64_t granted(const struct vm *vm)
{
	uint64_t claims = grant_process_claims(vm), pages;

	if (!claims)
		return 0;
	if (ps_without(DEFENCE_GRANT))
		return vm->pages;
	pages = (uint64_t)((double)vm->resident * (double)vm->pages / (double)claims);
	pages = round_up(pages);
	return pages < vm->pages ? pages : vm->pages;
}

/* Hints that a VM would be given if there was memory for all. */
static uint64_t hints_wanted(const struct vm *vm)
{
	uint64_t pages = vm->granted + vm->granted / 4 + HINTS_FREE;

	return pages < vm->pages ? pages : vm->pages;
}

/* Sums up; true if a VM's figure is another now. */
static bool sum_up(struct daemon *d)
{
	bool changed = false;
	unsigned int reads = 0;

	if (d->grants_whole && d->now - d->grants_round >= GRANT_NS)
		d->grants_round = d->now;
	list_for_each(user, &d->users, struct user, link)
		user->granted = user->wanted = 0;
	list_for_each(vm, &d->vms, struct vm, link) {
		uint64_t had = vm->granted;

		if (reads < READS_MAX)
			reads += read_resident(vm);
		vm->granted = granted(vm);
		changed |= vm->granted != had;
		vm->user->granted += vm->granted;
		vm->user->wanted += hints_wanted(vm);
	}
	d->grants_whole = reads < READS_MAX;
	d->granted = d->wanted = d->nusers = 0;
	list_for_each(user, &d->users, struct user, link) {
		if (user->granted > host_pages(d))
			user->granted = host_pages(d);
		d->granted += user->granted;
		d->wanted += user->wanted;
		d->nusers += user->vms > 0;
	}
	return changed;
}

/* How many bits of a hash are compared is settled when an index is made. A domain is made before
 * its first VM has told its size, so an index that has nothing in it yet is made anew for that: as
 * far as the claims are backed by memory, for the table of its buckets is paid at once. */
static void fit_index(struct domain *domain)
{
	struct index_stats now = index_stats(domain->index);
	uint64_t claimed = 0, quota = 0, entries;
	struct page_index *index;
	uint64_t secret;

	for (uint32_t i = 0; i < domain->nslots; i++) {
		const struct member *m = domain->slot[i];

		claimed += m && m->vm ? m->vm->pages : 0;
		quota += m && m->vm ? m->hints.quota : 0;
	}
	entries = quota * INDEX_AHEAD > INDEX_EXPECT ? quota * INDEX_AHEAD : INDEX_EXPECT;
	entries = entries < claimed ? entries : claimed;
	if (now.hints || now.frames || domain->index_for >= entries)
		return;
	if (sys_random(&secret, sizeof(secret)) < 0)
		return;
	index = index_new(entries, secret);
	if (!index)
		return;
	index_free(domain->index);
	domain->index = index;
	domain->index_for = entries;
}

static void set_quotas(struct daemon *d)
{
	uint64_t budget = host_pages(d) * INDEX_FACTOR;
	uint64_t affordable = host_daemon_memory(d) / HINTS_PART / HINT_COST;

	budget = budget < affordable ? budget : affordable;
	list_for_each(vm, &d->vms, struct vm, link) {
		struct fair fair = {hints_wanted(vm), vm->user->wanted, d->wanted, d->nusers};
		uint64_t quota = fair.vm;

		if (!vm->member)
			continue;
		if (d->wanted > budget && fair_part(&fair, budget) < quota)
			quota = fair_part(&fair, budget);
		vm->member->hints.quota = quota;
		fit_index(vm->member->domain);
	}
}

void grants_changed(struct vm *vm)
{
	struct daemon *d = vm->daemon;
	uint64_t begin = vm->pages < HINTS_FREE ? vm->pages : HINTS_FREE;

	if (vm->member && vm->member->hints.quota < begin)
		vm->member->hints.quota = begin;
	if (vm->member)
		fit_index(vm->member->domain);
	if (!d->grants_at || d->grants_at > d->now + GRANT_SOON)
		d->grants_at = d->now + GRANT_SOON;
	daemon_wake_at(d, d->grants_at);
}

void grants_tick(struct daemon *d)
{
	if (!d->nvms) {
		d->grants_at = 0;
		return;
	}
	if (d->grants_at <= d->now) {
		if (sum_up(d))
			sessions_configure_soon(d);
		set_quotas(d);
		d->grants_at = d->now + GRANT_NS;
	}
	daemon_wake_at(d, d->grants_at);
}
