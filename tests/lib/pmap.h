/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pmap: what the kernel itself says of a process's pages. No word of agent or daemon is used
 * here: these are the witnesses that a test calls on. Page frame numbers need CAP_SYS_ADMIN.
 */
#ifndef PSHARE_TEST_PMAP_H
#define PSHARE_TEST_PMAP_H

#include "sys/uapi.h" /* PM_PRESENT, PM_FILE (a frame of a store), ... */
#include "util.h"

/* Opens /proc/PID/pagemap (0: this process); -1 with errno if the process has gone. */
int pm_open(pid_t pid);
/* Reads n entries from address addr on; the number read, fewer if the process ended. */
uint32_t pm_read(int fd, uintptr_t addr, uint64_t *entry, uint32_t n);
static inline uint64_t pm_pfn(uint64_t entry)
{
	return (entry & PM_PRESENT) ? entry & PM_PFRAME_MASK : 0;
}
/* The frame number of the kernel's zero page; 0 without root. */
uint64_t pm_zero_pfn(void);

struct pm_count {
	uint32_t present, file, zero, huge, swapped;
};
/* Counts the pages of [addr, addr + n pages). */
struct pm_count pm_count(int fd, uintptr_t addr, uint32_t n);

/* The present pages of [*at, end), as up to n ranges; *at moves on to where it stopped. Address
 * space that is only reserved costs nothing. The number of ranges, 0 at the end. */
uint32_t pm_present(int fd, uintptr_t *at, uintptr_t end, struct page_region *range, uint32_t n);

/* Mappings (lines of /proc/PID/maps), -1 if it has gone. */
long pm_mappings(pid_t pid);
/* The same, of those that touch so many pages from base on. */
long pm_mappings_in(pid_t pid, uint64_t base, uint32_t npages);
/* A "Name:  123 kB" field of /proc/PID/status, /proc/PID/smaps_rollup, ... in KiB; -1 if none. */
long pm_field_kib(pid_t pid, const char *file, const char *name);
/* Bytes that the memfds open in a process hold (stores, rings), 512-byte blocks counted. */
long long pm_memfd_bytes(pid_t pid, const char *name_part);

#endif
