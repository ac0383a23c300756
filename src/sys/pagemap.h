/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PAGEMAP_SCAN on this process's own page tables: what is where, and what was written since it
 * was armed (asynchronous write-protect of userfaultfd).
 */
#ifndef PSHARE_SYS_PAGEMAP_H
#define PSHARE_SYS_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/uapi.h"

/* Opens /proc/self/pagemap. Returns the fd or -errno. */
int pagemap_open(void);

/* Ranges of [start, end) whose pages are PRESENT and under our asynchronous write-protect, in
 * address order, with the categories WRITTEN, HUGE and PFNZERO. At most n ranges into vec;
 * *walked is where the scan came to (== end when it was whole). Arms nothing: arming a range
 * drops all of it from KVM's second-level tables. Returns the number of ranges or -errno. */
int pagemap_present(int fd, uintptr_t start, uintptr_t end, struct page_region *vec, int n,
		    uintptr_t *walked);

/* Is nothing in [start, end) written since it was armed? 1, 0 or -errno. Cheaper than the above:
 * the kernel looks at one bit. Memory that is there but not armed counts as written. */
int pagemap_quiet(int fd, uintptr_t start, uintptr_t end);

/* Arms what is present, written and not the zero page in [start, end). Holes are left holes:
 * a marker there would make a later move into it fail. Returns 0 or -errno. */
int pagemap_arm(int fd, uintptr_t start, uintptr_t end);

/* What lies in private mappings of files in [start, end) and is not the file's: pages that were
 * copied when they were written, in memory or swapped out. Anonymous memory that is tracked is not
 * among them; such as is not, is. Returns the number of ranges (n at most; *walked says how far
 * they go) or -errno. */
int pagemap_copied(int fd, uintptr_t start, uintptr_t end, struct page_region *vec, int n,
		   uintptr_t *walked);

/* Is it the process's own copy of a page of a file, in memory or swapped out? Type 31 of a swap
 * entry is a marker of userfaultfd's: nothing is there. Only for entries of pagemap_read_whole():
 * who lacks CAP_SYS_ADMIN does not see the type. */
static inline bool pagemap_is_copied(uint64_t entry)
{
	if (entry & PM_FILE)
		return false;
	return (entry & PM_PRESENT) || ((entry & PM_SWAP) && (entry & 0x1f) != 0x1f);
}

/* The entries of n pages from addr on (PM_... of sys/uapi.h). 0 or -errno. */
int pagemap_read(int fd, uintptr_t addr, uint64_t *entry, uint32_t n);

/* The same, and where the kernel hides the type of a swap entry, the pages are read in and looked
 * at again: a marker of userfaultfd's becomes the file's page, what was swapped out the process's
 * own. */
int pagemap_read_whole(int fd, uintptr_t addr, uint64_t *entry, uint32_t n);

/* Bytes of a range that have memory of their own: what was only read has not, nor what is a file's.
 * (mincore() cannot tell.) 0 where it cannot be read. */
uint64_t pagemap_own(int fd, uintptr_t start, uintptr_t end);

#endif
