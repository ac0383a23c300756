/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * vSphere HA admits a VM when, were hosts to fail, those left could run all VMs. What a VM counts
 * as is its memory as a whole: what sharing saves today may be gone in a minute, when guests
 * write, and least of all can it be had when the VMs of a failed host boot elsewhere, all of them
 * unshared. So sharing counts for nothing unless the administrator says otherwise
 * (count_sharing).
 *
 *	SLOTS		a slot is what the largest VM counts as (at most slot_max, then larger
 *			VMs take several). A host has memory / slot of them, rounded down. The hosts
 *			with the most slots fail; those left must have a slot for each that is
 *			needed.
 *	PERCENT		(memory - used) / memory, of all hosts, must be percent at least.
 *	DEDICATED	VMs do not start on a standby host; and of any other host all VMs must fit
 *			on the standby ones. (vSphere leaves the second to the administrator's eye.)
 *
 * In all three the host itself must have room, and hosts that are out count for nothing, nor do
 * their VMs: as vSphere leaves out what is disconnected or in maintenance.
 *
 * Packing is hard in general. Best fit with the largest first is within 22 % of the best; a few VMs
 * are packed by trying every way, within a bound, because "does not fit" about a host that would
 * fit is an evening's work for nothing. Beyond the bound the answer may be too careful, never too
 * bold.
 *
 * Rejected: counting GRANT, what a guest has touched so far. It grows to the VM's size in time, and
 * a failover starts from nothing.
 */
#include "policy/admission.h"

#include <string.h>

#define PERMILLE 1000u
#define PERCENT_WHOLE 100u

uint64_t admission_size(const struct admission_vm *vm, const struct admission_rules *rules)
{
	uint32_t percent = rules->count_sharing < PERCENT_WHOLE ? rules->count_sharing :
								  PERCENT_WHOLE;
	uint64_t saved = vm->saved < vm->bytes ? vm->saved : vm->bytes;
	uint64_t counted = saved / PERCENT_WHOLE * percent + saved % PERCENT_WHOLE * percent / 100;
	uint64_t size = vm->bytes - counted;

	return size > rules->vm_min ? size : rules->vm_min;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* ---- packing ------------------------------------------------------------------------------- */

/* order: the VMs, largest first, equal ones as they came. Heap sort: qsort() knows no context. */
static bool comes_later(const uint64_t *size, uint32_t a, uint32_t b)
{
	return size[a] != size[b] ? size[a] < size[b] : a > b;
}

static void sift(const uint64_t *size, uint32_t *order, uint32_t root, uint32_t n)
{
	for (;;) {
		uint32_t child = 2 * root + 1, kept;

		if (child >= n)
			return;
		/* the heap's top is what comes last */
		if (child + 1 < n && comes_later(size, order[child + 1], order[child]))
			child++;
		if (!comes_later(size, order[child], order[root]))
			return;
		kept = order[root];
		order[root] = order[child];
		order[child] = kept;
		root = child;
	}
}

static void largest_first(const uint64_t *size, uint32_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n / 2; i-- > 0;)
		sift(size, order, i, n);
	for (uint32_t i = n; i-- > 1;) {
		uint32_t last = order[0];

		order[0] = order[i];
		order[i] = last;
		sift(size, order, 0, i);
	}
}

static uint32_t best_fit(const uint64_t *free, uint32_t nhosts, uint64_t size)
{
	uint32_t best = ADMISSION_NOWHERE;

	for (uint32_t h = 0; h < nhosts; h++)
		if (free[h] >= size && (best == ADMISSION_NOWHERE || free[h] < free[best]))
			best = h;
	return best;
}

/* The same free space earlier: to try it again would be the same search. */
static bool seen_before(const uint64_t *free, uint32_t h)
{
	for (uint32_t i = 0; i < h; i++)
		if (free[i] == free[h])
			return true;
	return false;
}

/* Every way, depth first, from the VM order[at] on. place[] holds the way so far; no recursion. */
static bool try_all(uint64_t *free, uint32_t nhosts, const uint64_t *size, uint32_t n,
		    const uint32_t *order, uint32_t *place)
{
	uint32_t tries = ADMISSION_TRIES, at = 0, next = 0;

	while (at < n) {
		uint32_t vm = order[at], h = next;

		while (h < nhosts && (free[h] < size[vm] || seen_before(free, h)))
			h++;
		if (h < nhosts && tries-- > 0) {
			free[h] -= size[vm];
			place[vm] = h;
			at++;
			next = 0;
			continue;
		}
		if (at == 0 || tries == 0 || tries == UINT32_MAX)
			break;
		vm = order[--at];
		next = place[vm] + 1;
		free[place[vm]] += size[vm];
	}
	if (at == n)
		return true;
	while (at > 0) { /* as it was */
		uint32_t vm = order[--at];

		free[place[vm]] += size[vm];
	}
	return false;
}

uint32_t admission_fit(uint64_t *free, uint32_t nhosts, const uint64_t *size, uint32_t nvms,
		       uint32_t *order, uint32_t *place)
{
	uint32_t homeless = 0;

	largest_first(size, order, nvms);
	for (uint32_t i = 0; i < nvms; i++) {
		uint32_t h = best_fit(free, nhosts, size[order[i]]);

		place[order[i]] = h;
		if (h == ADMISSION_NOWHERE)
			homeless++;
		else
			free[h] -= size[order[i]];
	}
	if (!homeless)
		return 0;
	for (uint32_t i = 0; i < nvms; i++)
		if (place[i] != ADMISSION_NOWHERE)
			free[place[i]] += size[i];
	if (try_all(free, nhosts, size, nvms, order, place))
		return 0;
	/* the first way once more: what it places, it places */
	for (uint32_t i = 0; i < nvms; i++) {
		place[order[i]] = best_fit(free, nhosts, size[order[i]]);
		if (place[order[i]] != ADMISSION_NOWHERE)
			free[place[order[i]]] -= size[order[i]];
	}
	return homeless;
}

/* ---- the policies -------------------------------------------------------------------------- */

struct judged {
	const struct admission_host *hosts;
	uint32_t nhosts;
	const struct admission_vm *vms;
	uint32_t nvms;
	const struct admission_vm *vm; /* the new one */
	const struct admission_rules *rules;
};

static bool counts(const struct judged *j, uint32_t host)
{
	return host < j->nhosts && (!j->hosts[host].out || host == j->vm->host);
}

static void sum_up(const struct judged *j, struct admission_verdict *v)
{
	v->vm = admission_size(j->vm, j->rules);
	v->used = v->host_used = v->slot = v->vm;
	v->unsafe_host = ADMISSION_NOWHERE;
	for (uint32_t h = 0; h < j->nhosts; h++) {
		if (!counts(j, h))
			continue;
		v->hosts++;
		v->memory = add(v->memory, j->hosts[h].memory);
	}
	for (uint32_t i = 0; i < j->nvms; i++) {
		uint64_t size = admission_size(&j->vms[i], j->rules);

		if (!counts(j, j->vms[i].host))
			continue;
		v->used = add(v->used, size);
		if (j->vms[i].host == j->vm->host)
			v->host_used = add(v->host_used, size);
		if (size > v->slot)
			v->slot = size;
	}
	v->host_memory = j->vm->host < j->nhosts ? j->hosts[j->vm->host].memory : 0;
	if (v->memory)
		v->free_permille = v->used >= v->memory ? 0 :
							  (uint32_t)((double)(v->memory - v->used) /
								     (double)v->memory * PERMILLE);
}

static uint64_t slots_of(uint64_t size, uint64_t slot)
{
	return size ? (size - 1) / slot + 1 : 1;
}

/* How many of the largest hosts may fail before there are fewer than needed slots left. */
static uint32_t tolerated(const uint64_t *slots, uint32_t n, uint64_t needed)
{
	uint64_t left = 0;
	uint32_t failed;

	for (uint32_t i = 0; i < n; i++)
		left += slots[i];
	for (failed = 0; failed < n; failed++) {
		if (left - slots[failed] < needed)
			break;
		left -= slots[failed];
	}
	return failed;
}

/* Largest first. There are few hosts beside VMs, and this is once for each VM that starts. */
static void sort_down(uint64_t *slots, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		uint64_t one = slots[i];
		uint32_t at = i;

		for (; at && slots[at - 1] < one; at--)
			slots[at] = slots[at - 1];
		slots[at] = one;
	}
}

static bool judge_slots(const struct judged *j, uint64_t *slots, struct admission_verdict *v)
{
	uint64_t needed = 0;
	uint32_t n = 0;

	if (j->rules->slot_max && v->slot > j->rules->slot_max)
		v->slot = j->rules->slot_max;
	if (!v->slot)
		v->slot = 1;
	for (uint32_t h = 0; h < j->nhosts; h++)
		if (counts(j, h))
			slots[n++] = j->hosts[h].memory / v->slot;
	sort_down(slots, n);
	for (uint32_t i = 0; i < j->nvms; i++)
		if (counts(j, j->vms[i].host))
			needed += slots_of(admission_size(&j->vms[i], j->rules), v->slot);
	v->failures_tolerated = tolerated(slots, n, needed);
	v->slots_needed = needed + slots_of(v->vm, v->slot);
	for (uint32_t i = j->rules->failures; i < n; i++)
		v->slots_left += slots[i];
	return v->slots_left >= v->slots_needed;
}

/* What a standby host has left beside what runs on it already. */
static uint64_t left_on(const struct judged *j, uint32_t h)
{
	uint64_t left = j->hosts[h].memory;

	for (uint32_t i = 0; i < j->nvms; i++) {
		uint64_t size = j->vms[i].host == h ? admission_size(&j->vms[i], j->rules) : 0;

		left -= size < left ? size : left;
	}
	return left;
}

/* Do the VMs of host h, the new one among them if it goes there, fit on the standby hosts? */
static bool failover_fits(const struct judged *j, uint32_t h, uint64_t *free, uint32_t *order)
{
	uint32_t nfree = 0, left = j->nvms + 1;

	for (uint32_t i = 0; i < j->nhosts; i++)
		if (j->hosts[i].failover && !j->hosts[i].out)
			free[nfree++] = left_on(j, i);
	/* the largest that is not placed yet, again and again: order[] holds who is */
	memset(order, 0, (size_t)left * sizeof(*order));
	for (;;) {
		uint32_t best = ADMISSION_NOWHERE, at;
		uint64_t size = 0;

		for (uint32_t i = 0; i <= j->nvms; i++) {
			const struct admission_vm *vm = i < j->nvms ? &j->vms[i] : j->vm;
			uint64_t one = admission_size(vm, j->rules);

			if (vm->host == h && !order[i] &&
			    (best == ADMISSION_NOWHERE || one > size)) {
				best = i;
				size = one;
			}
		}
		if (best == ADMISSION_NOWHERE)
			return true;
		at = best_fit(free, nfree, size);
		if (at == ADMISSION_NOWHERE)
			return false;
		order[best] = 1;
		free[at] -= size;
	}
}

static bool judge_dedicated(const struct judged *j, uint64_t *free, uint32_t *order,
			    struct admission_verdict *v)
{
	v->failover_needed = v->host_used;
	for (uint32_t h = 0; h < j->nhosts; h++)
		if (j->hosts[h].failover && !j->hosts[h].out)
			v->failover_left = add(v->failover_left, left_on(j, h));
	/* a host that was unsafe before is not for this VM to pay for */
	if (failover_fits(j, j->vm->host, free, order))
		return true;
	v->unsafe_host = j->vm->host;
	return false;
}

static bool judge_percent(const struct judged *j, const struct admission_verdict *v)
{
	/* in doubles: percent of petabytes in bytes do not fit 64 bits */
	double unused = v->used >= v->memory ? 0 : (double)(v->memory - v->used);

	return unused * PERCENT_WHOLE >= (double)v->memory * j->rules->percent;
}

void admission_judge(const struct admission_host *hosts, uint32_t nhosts,
		     const struct admission_vm *vms, uint32_t nvms, const struct admission_vm *vm,
		     const struct admission_rules *rules, uint64_t *slots, uint32_t *order,
		     struct admission_verdict *verdict)
{
	struct judged j = {hosts, nhosts, vms, nvms, vm, rules};
	bool safe;

	*verdict = (struct admission_verdict){0};
	sum_up(&j, verdict);
	if (rules->policy == ADMISSION_SLOTS)
		safe = judge_slots(&j, slots, verdict);
	else if (rules->policy == ADMISSION_PERCENT)
		safe = judge_percent(&j, verdict);
	else
		safe = judge_dedicated(&j, slots, order, verdict);
	if (rules->policy == ADMISSION_DEDICATED && vm->host < nhosts && hosts[vm->host].failover)
		verdict->answer = ADMISSION_STANDBY;
	else if (verdict->host_used > verdict->host_memory)
		verdict->answer = ADMISSION_NO_ROOM;
	else
		verdict->answer = safe ? ADMISSION_YES : ADMISSION_NO_FAILOVER;
}
