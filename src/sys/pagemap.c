/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/inject.h"
#include "sys/mapping.h"

#define PAGE_BYTES 4096u
#define PM_NUMBER_MASK ((1ULL << 55) - 1) /* frame, or type and offset in swap */

static int pagemap_ioctl(int fd, struct pm_scan_arg *arg)
{
	long r = syscall(SYS_ioctl, fd, PAGEMAP_SCAN, arg);

	return r < 0 ? -errno : (int)r;
}

/* A scan whose ranges are wanted, and how far it came. */
static int scan_ranges(int fd, struct pm_scan_arg *arg, uintptr_t *walked)
{
	int r;

	SYS_INJECT();
	r = pagemap_ioctl(fd, arg);
	if (r >= 0)
		*walked = (uintptr_t)arg->walk_end;
	return r;
}

int pagemap_open(void)
{
	int fd;

	SYS_INJECT();
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int pagemap_present(int fd, uintptr_t start, uintptr_t end, struct page_region *vec, int n,
		    uintptr_t *walked)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uintptr_t)vec,
		.vec_len = (uint64_t)n,
		.category_mask = PAGE_IS_WPALLOWED | PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_WRITTEN | PAGE_IS_HUGE | PAGE_IS_PFNZERO | PAGE_IS_PRESENT,
	};

	return scan_ranges(fd, &arg, walked);
}

int pagemap_quiet(int fd, uintptr_t start, uintptr_t end)
{
	struct page_region one;
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uintptr_t)&one,
		.vec_len = 1,
		.max_pages = 1,
		.category_inverted = PAGE_IS_PFNZERO,
		.category_mask = PAGE_IS_WPALLOWED | PAGE_IS_PRESENT | PAGE_IS_WRITTEN |
				 PAGE_IS_PFNZERO,
		.return_mask = PAGE_IS_WRITTEN,
	};
	int r;

	SYS_INJECT();
	r = pagemap_ioctl(fd, &arg);
	return r < 0 ? r : r == 0;
}

int pagemap_arm(int fd, uintptr_t start, uintptr_t end)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_WP_MATCHING,
		.start = start,
		.end = end,
		.category_inverted = PAGE_IS_PFNZERO,
		.category_mask = PAGE_IS_WPALLOWED | PAGE_IS_PRESENT | PAGE_IS_WRITTEN |
				 PAGE_IS_PFNZERO,
	};
	int r;

	SYS_INJECT();
	r = pagemap_ioctl(fd, &arg);
	return r < 0 ? r : 0;
}

uint64_t pagemap_own(int fd, uintptr_t start, uintptr_t end)
{
	struct page_region vec[64];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uintptr_t)vec,
		.vec_len = sizeof(vec) / sizeof(vec[0]),
		.category_inverted = PAGE_IS_PFNZERO | PAGE_IS_FILE,
		.category_mask = PAGE_IS_PRESENT | PAGE_IS_PFNZERO | PAGE_IS_FILE,
		.return_mask = PAGE_IS_PRESENT,
	};
	uint64_t bytes = 0;

	while (arg.start < end) {
		int n = pagemap_ioctl(fd, &arg);

		if (n < 0 || arg.walk_end <= arg.start)
			break;
		for (int i = 0; i < n; i++)
			bytes += vec[i].end - vec[i].start;
		arg.start = arg.walk_end;
	}
	return bytes;
}

int pagemap_copied(int fd, uintptr_t start, uintptr_t end, struct page_region *vec, int n,
		   uintptr_t *walked)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uintptr_t)vec,
		.vec_len = (uint64_t)n,
		.category_inverted = PAGE_IS_FILE | PAGE_IS_WPALLOWED,
		.category_mask = PAGE_IS_FILE | PAGE_IS_WPALLOWED,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_FILE,
	};

	return scan_ranges(fd, &arg, walked);
}

int pagemap_read(int fd, uintptr_t addr, uint64_t *entry, uint32_t n)
{
	ssize_t bytes = (ssize_t)(n * sizeof(*entry));
	ssize_t r;

	SYS_INJECT();
	r = pread(fd, entry, (size_t)bytes, (off_t)(addr / PAGE_BYTES * sizeof(*entry)));
	if (r == bytes)
		return 0;
	return r < 0 ? -errno : -EIO;
}

/* No page is at offset 0 of a swap area of type 0: its header is there. */
static bool one_is_hidden(const uint64_t *entry, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if ((entry[i] & PM_SWAP) && !(entry[i] & (PM_FILE | PM_NUMBER_MASK)))
			return true;
	return false;
}

int pagemap_read_whole(int fd, uintptr_t addr, uint64_t *entry, uint32_t n)
{
	int err = pagemap_read(fd, addr, entry, n);

	if (err || !one_is_hidden(entry, n))
		return err;
	err = map_advise((void *)addr, (size_t)n * PAGE_BYTES, MADV_POPULATE_READ);
	if (!err)
		err = pagemap_read(fd, addr, entry, n);
	if (!err && one_is_hidden(entry, n))
		err = -EAGAIN; /* swapped out again */
	return err;
}
