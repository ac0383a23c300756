/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a page number of a VM means one page of its guest, or nothing.
 *
 * Regions are claimed by the agent and bounded by SIZE_FACTOR times the host's memory. The pages of
 * a region that went are still referenced and hinted; they are given back in slices (a sweep), and
 * until then their numbers may not be used again.
 */

#include "daemon/vm-region.h"

#include <errno.h>
#include <string.h>

#include "daemon/grant.h"
#include "daemon/member.h"
#include "daemon/session.h"

#define SIZE_FACTOR 16u	   /* a VM's size is at most so many times the host's memory */
#define SWEEP_SLICE 16384u /* index entries looked at in a turn */
#define DROP_SLICE 4096u   /* references given back in a turn */

static bool overlaps(uint32_t base, uint32_t npages, uint64_t first, uint64_t last)
{
	return base <= last && (uint64_t)base + npages - 1 >= first;
}

static int region_check(const struct vm *vm, const struct ps_msg_region *msg, const char **why)
{
	*why = "a region must start at a multiple of 512 pages and end within 2^28";
	if (msg->base % PS_BLOCK_PAGES || !msg->npages || msg->base >= PS_PAGES_MAX ||
	    msg->npages > PS_PAGES_MAX - msg->base)
		return -EPROTO;
	*why = "a region overlaps another";
	for (uint32_t i = 0; i < vm->nregions; i++)
		if (vm->region[i].cause == PS_CAUSE_NONE &&
		    overlaps(msg->base, msg->npages, vm->region[i].base,
			     (uint64_t)vm->region[i].base + vm->region[i].npages - 1))
			return -EPROTO;
	*why = "a region's page numbers were used before";
	for (uint32_t i = 0; i < vm->nsweeps; i++)
		if (overlaps(msg->base, msg->npages, vm->sweep[i].first, vm->sweep[i].last))
			return -EPROTO;
	return 0;
}

static void size_changed(struct vm *vm)
{
	grants_changed(vm);
	sessions_configure_soon(vm->daemon);
}

static void region_remove(struct vm *vm, uint32_t i)
{
	if (vm->region[i].cause == PS_CAUSE_NONE) {
		vm->pages -= vm->region[i].npages;
		vm->daemon->size -= vm->region[i].npages;
	}
	memmove(&vm->region[i], &vm->region[i + 1], (vm->nregions - i - 1) * sizeof(vm->region[0]));
	vm->nregions--;
	vm->last_region = 0;
}

/* One that takes no part is only kept to be shown. */
static bool forget_a_refused_one(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->nregions; i++) {
		if (vm->region[i].cause != PS_CAUSE_NONE) {
			region_remove(vm, i);
			return true;
		}
	}
	return false;
}

/* A region that could not take part, and now can, or cannot for another cause. */
static void forget_refusal(struct vm *vm, uint32_t base)
{
	for (uint32_t i = 0; i < vm->nregions; i++)
		if (vm->region[i].base == base && vm->region[i].cause != PS_CAUSE_NONE) {
			region_remove(vm, i);
			return;
		}
}

int vm_region_add(struct vm *vm, const struct ps_msg_region *msg, const char **why)
{
	const struct daemon *d = vm->daemon;
	int r = region_check(vm, msg, why);

	if (r < 0)
		return r;
	forget_refusal(vm, msg->base);
	*why = "too many regions: 64 would do";
	if (vm->nregions == PS_REGIONS_MAX && !forget_a_refused_one(vm))
		return -E2BIG;
	*why = "the VM is far larger than the host";
	if (d->host.pages && vm->pages + msg->npages > d->host.pages * SIZE_FACTOR)
		return -E2BIG;
	vm->region[vm->nregions++] = (struct region){.base = msg->base, .npages = msg->npages};
	vm->pages += msg->npages;
	vm->daemon->size += msg->npages;
	size_changed(vm);
	return 0;
}

int vm_region_refused(struct vm *vm, const struct ps_msg_region *msg, const char **why)
{
	*why = "a refused region must say a cause";
	if (msg->cause == PS_CAUSE_NONE || msg->cause >= PS_CAUSES_ROOM || !msg->npages)
		return -EPROTO;
	forget_refusal(vm, msg->base);
	if (vm->nregions == PS_REGIONS_MAX)
		return 0; /* shown or not, it takes no part */
	vm->region[vm->nregions++] = (struct region){
		.base = msg->base,
		.npages = msg->npages,
		.cause = msg->cause < PS_CAUSE_END ? msg->cause : PS_CAUSE_ERROR,
	};
	return 0;
}

int vm_region_del(struct vm *vm, const struct ps_msg_region *msg, const char **why)
{
	for (uint32_t i = 0; i < vm->nregions; i++) {
		const struct region region = vm->region[i];

		if (region.base != msg->base || region.npages != msg->npages)
			continue;
		*why = "too many regions went in a short time";
		if (vm->nsweeps == PS_REGIONS_MAX)
			return -E2BIG;
		region_remove(vm, i);
		if (region.cause == PS_CAUSE_NONE) {
			if (vm->member)
				vm->sweep[vm->nsweeps++] = (struct vm_sweep){
					.first = region.base,
					.page = region.base,
					.last = region.base + region.npages - 1,
				};
			size_changed(vm);
		}
		return 0;
	}
	*why = "there is no such region";
	return -EPROTO;
}

bool vm_has_page(struct vm *vm, uint32_t page)
{
	for (uint32_t n = 0; n < vm->nregions; n++) {
		uint32_t i = (vm->last_region + n) % vm->nregions;
		const struct region *region = &vm->region[i];

		if (page >= region->base && page - region->base < region->npages &&
		    region->cause == PS_CAUSE_NONE) {
			vm->last_region = i;
			return true;
		}
	}
	return false;
}

bool vm_has_pages(struct vm *vm, uint32_t first, uint32_t n)
{
	const struct region *region;

	if (!n || !vm_has_page(vm, first))
		return false;
	region = &vm->region[vm->last_region];
	return n <= region->npages - (first - region->base);
}

void vm_forget_regions(struct vm *vm)
{
	while (vm->nregions)
		region_remove(vm, vm->nregions - 1);
	vm->nsweeps = 0;
	size_changed(vm);
}

/* True when the pages of a region that went have no reference any more. */
static bool drop_pages(struct member *m, struct vm_sweep *sweep)
{
	struct vmmap_entry entry;

	for (uint32_t n = 0; vmmap_next(m->map, &sweep->page, &entry); sweep->page++) {
		if (sweep->page > sweep->last)
			break;
		if (n++ == DROP_SLICE)
			return false;
		member_drop_page(m, sweep->page);
	}
	return true;
}

bool vm_sweep_work(struct vm *vm)
{
	struct vm_sweep *sweep = &vm->sweep[0];
	struct member *m = vm->member;

	if (!vm->nsweeps)
		return false;
	if (!m)
		vm->nsweeps = 0;
	else if (drop_pages(m, sweep) && index_sweep(m->domain->index, m->slot, sweep->first,
						     sweep->last, &sweep->cursor, SWEEP_SLICE))
		memmove(sweep, sweep + 1, --vm->nsweeps * sizeof(*sweep));
	return vm->nsweeps > 0;
}
