/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/uffdprobe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/memfd.h"
#include "sys/uapi.h"
#include "wire/wire.h"

static int open_by_call(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int open_by_device(void)
{
	_cleanup_close_ int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd;

	if (device < 0)
		return -errno;
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int uffd_allowed_by_call(void)
{
	_cleanup_close_ int fd = -1;

	SYS_INJECT();
	fd = open_by_call();
	return fd < 0 ? fd : 0;
}

int uffd_allowed_by_device(void)
{
	_cleanup_close_ int fd = -1;

	SYS_INJECT();
	fd = open_by_device();
	return fd < 0 ? fd : 0;
}

int uffd_allowed(void)
{
	int r = uffd_allowed_by_call();

	/* what the system call says is the better reason: the device may simply not be there */
	return r == -EPERM && !uffd_allowed_by_device() ? 0 : r;
}

int uffd_features(uint64_t *features)
{
	struct uffdio_api api = {.api = UFFD_API};
	_cleanup_close_ int fd = -1;

	SYS_INJECT();
	fd = open_by_call();
	if (fd == -EPERM)
		fd = open_by_device();
	if (fd < 0)
		return fd;
	/* features 0 asks for none and is told all */
	if (ioctl(fd, UFFDIO_API, &api) < 0)
		return -errno;
	*features = api.features;
	return 0;
}

int probe_pagemap_scan(void)
{
	static char page[2 * PS_PAGE_SIZE];
	uintptr_t start = ((uintptr_t)page + PS_PAGE_SIZE - 1) / PS_PAGE_SIZE * PS_PAGE_SIZE;
	struct page_region region;
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = start + PS_PAGE_SIZE,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};
	_cleanup_close_ int fd = -1;

	SYS_INJECT();
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return ioctl(fd, PAGEMAP_SCAN, &arg) < 0 ? -errno : 0;
}

static int move_away(void *from)
{
	void *to = mremap(from, PS_PAGE_SIZE, PS_PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
			  NULL); /* read as a hint, given or not */
	int r = to == MAP_FAILED ? -errno : 0;

	if (!r)
		munmap(to, PS_PAGE_SIZE);
	munmap(from, PS_PAGE_SIZE);
	return r;
}

int probe_mremap_anon(void)
{
	void *page;

	SYS_INJECT();
	page = mmap(NULL, PS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return page == MAP_FAILED ? -errno : move_away(page);
}

int probe_mremap_memfd(void)
{
	_cleanup_close_ int fd = sys_memfd_new("pshare-probe", PS_PAGE_SIZE);
	void *page;

	if (fd < 0)
		return fd;
	page = mmap(NULL, PS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	return page == MAP_FAILED ? -errno : move_away(page);
}
