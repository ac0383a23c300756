/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

/* The raw ioctl: the agent interposes the function ioctl() in its VMM. */
static int uffd_ioctl(int fd, unsigned long request, void *arg)
{
	return syscall(SYS_ioctl, fd, request, arg) < 0 ? -errno : 0;
}

int uffd_device(void)
{
	int fd;

	SYS_INJECT();
	fd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Takes fd. */
static int set_up(int fd, uint64_t features)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};
	_cleanup_close_ int uffd = fd;
	int r = uffd_ioctl(uffd, UFFDIO_API, &api);

	return r ? r : TAKE_FD(uffd);
}

int uffd_open_by(int device, uint64_t features)
{
	int fd;

	SYS_INJECT();
	fd = (int)syscall(SYS_ioctl, device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
	return fd < 0 ? -errno : set_up(fd, features);
}

int uffd_open(uint64_t features)
{
	_cleanup_close_ int device = -1;
	int fd;

	SYS_INJECT();
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd >= 0)
		return set_up(fd, features);
	if (errno != EPERM)
		return -errno;
	device = uffd_device();
	return device < 0 ? -EPERM : uffd_open_by(device, features);
}

int uffd_register(int fd, void *addr, size_t len, uint64_t modes)
{
	struct uffdio_register arg = {.range = {(uintptr_t)addr, len}, .mode = modes};

	SYS_INJECT();
	return uffd_ioctl(fd, UFFDIO_REGISTER, &arg);
}

int uffd_unregister(int fd, void *addr, size_t len)
{
	struct uffdio_range arg = {(uintptr_t)addr, len};

	SYS_INJECT();
	return uffd_ioctl(fd, UFFDIO_UNREGISTER, &arg);
}

int uffd_wake(int fd, void *addr, size_t len)
{
	struct uffdio_range arg = {(uintptr_t)addr, len};

	return uffd_ioctl(fd, UFFDIO_WAKE, &arg);
}

int uffd_protect(int fd, void *addr, size_t len, int on)
{
	struct uffdio_writeprotect arg = {
		.range = {(uintptr_t)addr, len},
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	SYS_INJECT();
	return uffd_ioctl(fd, UFFDIO_WRITEPROTECT, &arg);
}

int uffd_zeropage(int fd, void *addr, size_t len)
{
	struct uffdio_zeropage arg = {.range = {(uintptr_t)addr, len}};

	SYS_INJECT();
	return uffd_ioctl(fd, UFFDIO_ZEROPAGE, &arg);
}

int uffd_copy(int fd, void *dst, const void *src, size_t len)
{
	struct uffdio_copy arg = {.dst = (uintptr_t)dst, .src = (uintptr_t)src, .len = len};

	SYS_INJECT();
	return uffd_ioctl(fd, UFFDIO_COPY, &arg);
}

long uffd_move(int fd, void *dst, void *src, size_t len, uint64_t mode)
{
	struct uffdio_move arg = {
		.dst = (uintptr_t)dst,
		.src = (uintptr_t)src,
		.len = len,
		.mode = mode,
	};
	int r;

	SYS_INJECT();
	r = uffd_ioctl(fd, UFFDIO_MOVE, &arg);
	if (arg.move > 0)
		return (long)arg.move;
	return r;
}

int sys_ioctl_as_it_came(int fd, unsigned long request, void *arg)
{
	long r = syscall(SYS_ioctl, fd, request, arg);

	return r < 0 ? -errno : (int)r;
}

int uffd_read(int fd, struct uffd_msg *msg, int n)
{
	ssize_t got;

	SYS_INJECT();
	do
		got = read(fd, msg, sizeof(*msg) * (size_t)n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return (int)((size_t)got / sizeof(*msg));
}
