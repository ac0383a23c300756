/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pins: before a broken page is replaced, whoever may write to it by another way than its address
 * must be known.
 *
 * The pages are closed: nobody can get a new pin for writing, he would wait. Those who have one
 * already are told by the first of these ways that holds, chosen anew each time:
 *
 *   fork         a raw clone() without CLONE_VM. The kernel lets parent and child share anonymous
 *                pages, but for pinned ones: of these the child gets a copy at once. So while the
 *                child lives, a page that is mapped by this process alone (bit 56 of its pagemap
 *                entry) is pinned. One child tells of thousands of pages, of pins that last and of
 *                such as come and go (process_vm_writev). Not under a seccomp filter, which may end
 *                the whole VMM for a clone(): QEMU under libvirt runs with
 *                "-sandbox on,...,spawn=deny". And not where a descriptor may hold plain references
 *                (policy/descriptor.h): after a fork, the next write to a page that has one parts
 *                the process from it.
 *   descriptors  every descriptor of the process is of a kind that never has a device write into
 *                its memory later. Only a debugger's process_vm_writev, caught in the middle, is
 *                not seen; what it writes goes through the quarantine.
 *   swap         MADV_PAGEOUT: a pinned page stays in memory, any other becomes a swap entry.
 *   guarded      none of them. Frames stay protected: no page breaks, so none is ever asked about.
 *
 * Memory that no child is to have (MADV_DONTFORK: QEMU's) is let into this one for the pages that
 * are asked about alone: of no other page does the fork change anything.
 *
 * Rejected: MADV_COLLAPSE and move_pages(), which do not look at such pages on one node; reading
 * /proc/kpagecount, which needs root and counts mappings.
 */
#include "agent/pins.h"

#include <errno.h>
#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/say.h"
#include "policy/descriptor.h"
#include "sys/child.h"
#include "sys/fds.h"
#include "sys/hostname.h"
#include "sys/mapping.h"
#include "sys/pagemap.h"
#include "sys/proc.h"
#include "sys/self.h"
#include "sys/unsafe.h"

/* The swap file, which is read past the page cache into memory of ours alone. */
static bool is_ours(int fd)
{
	const struct agent *a = agent_of_process();
	uint64_t inode;

	return fd == a->cold.swap_fd && a->cold.swap && sys_inode(fd, &inode) == 0 &&
	       inode == a->cold.swap_inode;
}

/* Asked once: it does not change. */
static bool rings_are_locked(void)
{
	static _Atomic int are = -1;

	if (are < 0)
		are = sys_kernel_is(6, 16);
	return are;
}

static bool note_worst(const struct sys_fd *fd, void *arg)
{
	const struct descriptor d = {
		.link = fd->link,
		.info = fd->info,
		.direct = fd->direct,
		.is_char = fd->is_char,
		.filesystem = fd->filesystem,
		.family = fd->family,
		.locked = rings_are_locked(),
	};
	enum descriptor_kind kind = descriptor_kind(&d), *worst = arg;

	if (kind > *worst && !is_ours(fd->fd))
		*worst = kind;
	return *worst != DESCRIPTOR_UNKNOWN;
}

unsigned int pins_way(void)
{
	enum descriptor_kind worst = DESCRIPTOR_HARMLESS;

	if (ps_hook(HOOK_GUARD_ALL)) /* so that a test meets the settler */
		return PS_PINS_GUARDED;
	if (sys_fds_each(note_worst, &worst))
		worst = DESCRIPTOR_UNKNOWN;
	if (worst != DESCRIPTOR_UNKNOWN && !sys_child_forbidden())
		return PS_PINS_FORK;
	if (worst == DESCRIPTOR_HARMLESS)
		return PS_PINS_DESCRIPTORS;
	return sys_has_swap() ? PS_PINS_SWAP : PS_PINS_GUARDED;
}

static uint64_t entry_of(struct agent *a, const struct closed *p)
{
	uint64_t entry = 0;

	/* What cannot be read is as good as pinned. */
	if (pagemap_read(a->pagemap, (uintptr_t)region_page(p->r, p->page), &entry, 1))
		return PM_PRESENT | PM_MMAP_EXCLUSIVE;
	return entry;
}

/* How many pages from c on are asked about and follow each other. */
static uint32_t asked_run(const struct closed *c, uint32_t n)
{
	uint32_t k = 0;

	while (k < n && c[k].ask && c[k].r == c[0].r && c[k].page == c[0].page + k)
		k++;
	return k;
}

static void advise_asked(struct closed *c, uint32_t n, int advice)
{
	uint32_t k;

	for (uint32_t i = 0; i < n; i += k ? k : 1) {
		k = asked_run(&c[i], n - i);
		if (k && !c[i].r->forks)
			map_advise(region_page(c[i].r, c[i].page), (size_t)k * PS_PAGE_SIZE,
				   advice);
	}
}

static void test_by_fork(struct agent *a, struct closed *c, uint32_t n)
{
	struct sys_child child;
	uint64_t start;
	int err;

	advise_asked(c, n, MADV_DOFORK);
	start = sys_now();
	/* Looked at again right before: the VMM may be locking itself up this moment. */
	err = sys_child_forbidden() ? -EPERM : sys_child_start(&child);
	/* Its end is left out: on a busy host that is mostly waiting for a CPU, and batches paced
	 * by it would take minutes for what takes seconds. */
	__atomic_store_n(&a->fork_ns, sys_now() - start, __ATOMIC_RELAXED);
	for (uint32_t i = 0; !err && i < n; i++) {
		uint64_t entry = c[i].ask ? entry_of(a, &c[i]) : 0;

		if (c[i].ask)
			c[i].pinned = (entry & PM_PRESENT) && (entry & PM_MMAP_EXCLUSIVE);
	}
	if (!err)
		sys_child_end(&child);
	advise_asked(c, n, MADV_DONTFORK);
	if (err)
		return;
	a->stats.pin_forks++;
	/* What else the child got counts as shared with it now: region_reown(). */
	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		a->region[i].forked |= a->region[i].life == REGION_MANAGED && a->region[i].forks;
}

static void test_by_swap(struct agent *a, struct closed *c, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (c[i].ask)
			map_advise(region_page(c[i].r, c[i].page), PS_PAGE_SIZE, MADV_PAGEOUT);
	for (uint32_t i = 0; i < n; i++)
		if (c[i].ask)
			c[i].pinned = entry_of(a, &c[i]) & PM_PRESENT;
}

void pins_test(struct agent *a, struct closed *c, uint32_t n)
{
	unsigned int way = pins_way();
	bool pinned = !ps_without(DEFENCE_PIN_TEST) && way != PS_PINS_DESCRIPTORS;

	__atomic_store_n(&a->stats.pins, way, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < n; i++)
		c[i].pinned |= c[i].broken && (pinned || !c[i].ask);
	if (pinned && way == PS_PINS_FORK)
		test_by_fork(a, c, n);
	else if (pinned && way == PS_PINS_SWAP)
		test_by_swap(a, c, n);
}
