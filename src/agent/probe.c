/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe: a guest's first write to a frame is the kernel's own copy on write, of which nobody in
 * user space hears. So its cost cannot be counted where it occurs, and it is what a guest feels
 * when the host has no free page at hand, or the VMM's control group is at its limit.
 *
 * The agent does what the guest does: it reads a page of a memfd in a private mapping, so that the
 * file's page is mapped, and times the write that makes the kernel copy it. Then the copy is
 * dropped, and the next write is a first one again. The page is that of the figures in the memfd of
 * the rings, which is always there: a read of a hole would make a page in the file.
 *
 * It takes a system call and two faults, some microseconds, a few times a second. It does not tell
 * what an exit of a virtual CPU adds.
 *
 * Rejected: a memfd of its own: a system call more that a VMM's filter might forbid. Frames of the
 * store: a frame that is given back meanwhile would be a hole.
 */
#include "agent/probe.h"

#include <stddef.h>
#include <sys/mman.h>

#include "sys/mapping.h"
#include "sys/proc.h"
#include "wire/wire.h"

void probe_open(struct probe *p, int fd, uint64_t page)
{
	probe_close(p);
	p->page = map_reserve(PS_PAGE_SIZE);
	if (!p->page)
		return;
	if (map_file_over(p->page, fd, page, PS_PAGE_SIZE) ||
	    map_advise(p->page, PS_PAGE_SIZE, MADV_DONTFORK) ||
	    map_advise(p->page, PS_PAGE_SIZE, MADV_DONTDUMP))
		probe_close(p);
}

void probe_close(struct probe *p)
{
	if (p->page)
		map_free(p->page, PS_PAGE_SIZE);
	p->page = NULL;
}

uint64_t probe_write(struct probe *p)
{
	volatile char *page = p->page;
	uint64_t start;

	if (!page)
		return 0;
	/* Locked memory (mlockall) keeps its copy, and a write to that would cost nothing. */
	if (map_advise(p->page, PS_PAGE_SIZE, MADV_DONTNEED)) {
		probe_close(p);
		return 0;
	}
	(void)*page;
	start = sys_now();
	*page = 1;
	return sys_now() - start;
}
