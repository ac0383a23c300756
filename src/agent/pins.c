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
 *                entry) is pinned. One child tells of thousands of pages. Not under a seccomp
 *                filter, which may end the whole VMM for a clone(): QEMU under libvirt runs with
 *                "-sandbox on,...,spawn=deny".
 *   descriptors  every descriptor of the process is of a kind that never pins for writing
 *                (policy/descriptor.h). What could have pinned a page before it was closed is
 *                still open now, or was closed in the moments between, with its work under way;
 *                what that may still write is caught in the quarantine.
 *   swap         MADV_PAGEOUT: a pinned page stays in memory, any other becomes a swap entry.
 *   none         such a VM's frames are guarded: no page breaks, so none is ever asked about.
 *
 * Rejected: MADV_COLLAPSE and move_pages(), which do not look at such pages on one node; reading
 * /proc/kpagecount, which needs root and counts mappings.
 */
#include "agent/pins.h"

#include <sys/mman.h>

#include "agent/agent.h"
#include "agent/say.h"
#include "policy/descriptor.h"
#include "sys/child.h"
#include "sys/fds.h"
#include "sys/mapping.h"
#include "sys/pagemap.h"
#include "sys/proc.h"
#include "sys/unsafe.h"

static bool note_harmless(const struct sys_fd *fd, void *arg)
{
	const struct descriptor d = {
		.link = fd->link,
		.info = fd->info,
		.direct = fd->direct,
		.is_char = fd->is_char,
		.filesystem = fd->filesystem,
		.family = fd->family,
	};
	bool *all = arg;

	*all = descriptor_is_harmless(&d);
	return *all;
}

static bool descriptors_are_harmless(void)
{
	bool all = true;

	return sys_fds_each(note_harmless, &all) == 0 && all;
}

unsigned int pins_way(struct agent *a)
{
	(void)a;
	if (ps_unsafe("all-guarded")) /* so that a test meets the settler */
		return PS_PINS_GUARDED;
	if (!sys_child_forbidden())
		return PS_PINS_FORK;
	if (descriptors_are_harmless())
		return PS_PINS_DESCRIPTORS;
	return sys_has_swap() ? PS_PINS_SWAP : PS_PINS_GUARDED;
}

static void set_all(struct closed *p, uint32_t n, bool pinned)
{
	for (uint32_t i = 0; i < n; i++)
		if (p[i].broken)
			p[i].pinned = pinned;
}

static uint64_t entry_of(struct agent *a, const struct closed *p)
{
	uint64_t entry = 0;

	/* What cannot be read is as good as pinned. */
	if (pagemap_read(a->pagemap, (uintptr_t)region_page(p->r, p->page), &entry, 1))
		return PM_PRESENT | PM_MMAP_EXCLUSIVE;
	return entry;
}

static void test_by_fork(struct agent *a, struct closed *p, uint32_t n)
{
	struct sys_child child;
	uint64_t start;

	/* The VMM may have said DONTFORK of its memory after a frame was mapped there. */
	for (uint32_t i = 0; i < n; i++)
		if (p[i].broken)
			map_advise(region_page(p[i].r, p[i].page), PS_PAGE_SIZE, MADV_DOFORK);
	start = sys_now();
	if (sys_child_start(&child))
		return;
	a->fork_ns = sys_now() - start;
	a->stats.pin_forks++;
	/* What else the child got counts as shared with it now: region_reown(). */
	for (size_t i = 0; i < PS_REGIONS_MAX; i++)
		a->region[i].forked |= a->region[i].life == REGION_MANAGED && a->region[i].forks;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t entry = p[i].broken ? entry_of(a, &p[i]) : 0;

		if (p[i].broken)
			p[i].pinned = (entry & PM_PRESENT) && (entry & PM_MMAP_EXCLUSIVE);
	}
	sys_child_end(&child);
}

static void test_by_swap(struct agent *a, struct closed *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (p[i].broken)
			map_advise(region_page(p[i].r, p[i].page), PS_PAGE_SIZE, MADV_PAGEOUT);
	for (uint32_t i = 0; i < n; i++)
		if (p[i].broken)
			p[i].pinned = entry_of(a, &p[i]) & PM_PRESENT;
}

void pins_test(struct agent *a, struct closed *p, uint32_t n)
{
	unsigned int way = pins_way(a);

	a->stats.pins = way;
	set_all(p, n, true);
	if (ps_unsafe("no-pin-test") || way == PS_PINS_DESCRIPTORS)
		set_all(p, n, false);
	else if (way == PS_PINS_FORK)
		test_by_fork(a, p, n);
	else if (way == PS_PINS_SWAP)
		test_by_swap(a, p, n);
}
