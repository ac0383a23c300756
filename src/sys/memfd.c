/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"
#include "sys/uapi.h"
#include "sys/unsafe.h"

_Static_assert(SYS_SEALS_FINAL == (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), "seals");
_Static_assert(SYS_SEALS_SIZE == (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW), "seals");

int sys_memfd_new(const char *name, uint64_t size)
{
	_cleanup_close_ int fd = -1;

	SYS_INJECT();
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int sys_memfd_seals(int fd, unsigned int *seals)
{
	int got;

	SYS_INJECT();
	got = fcntl(fd, F_GET_SEALS);
	if (got < 0)
		return -errno;
	*seals = (unsigned int)got;
	return 0;
}

int sys_memfd_seal(int fd, unsigned int seals)
{
	SYS_INJECT();
	return fcntl(fd, F_ADD_SEALS, (int)seals) < 0 ? -errno : 0;
}

int sys_memfd_reopen_readonly(int fd)
{
	char path[32];
	int copy;

	SYS_INJECT();
	if (ps_without(DEFENCE_STORE_READ_ONLY))
		return ps_unsafe_dup(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	copy = open(path, O_RDONLY | O_CLOEXEC);
	return copy < 0 ? -errno : copy;
}

int sys_fchmod(int fd, unsigned int mode)
{
	SYS_INJECT();
	return fchmod(fd, (mode_t)mode) < 0 ? -errno : 0;
}

int sys_file_size(int fd, uint64_t *size, uint64_t *allocated, bool *is_file)
{
	struct stat st;

	SYS_INJECT();
	if (fstat(fd, &st) < 0)
		return -errno;
	if (size)
		*size = (uint64_t)st.st_size;
	if (allocated)
		*allocated = (uint64_t)st.st_blocks * 512;
	if (is_file)
		*is_file = S_ISREG(st.st_mode);
	return 0;
}

int sys_file_identity(int fd, uint64_t *device, uint64_t *inode)
{
	struct stat st;

	SYS_INJECT();
	if (fstat(fd, &st) < 0)
		return -errno;
	*device = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
	*inode = st.st_ino;
	return 0;
}

int sys_pread_full(int fd, void *buf, size_t len, uint64_t offset)
{
	ssize_t n;

	SYS_INJECT();
	do
		n = pread(fd, buf, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int sys_pwrite_full(int fd, const void *buf, size_t len, uint64_t offset)
{
	ssize_t n;

	SYS_INJECT();
	do
		n = pwrite(fd, buf, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int sys_next_data(int fd, uint64_t *start, uint64_t *end)
{
	off_t data, hole;

	SYS_INJECT();
	data = lseek(fd, (off_t)*start, SEEK_DATA);
	if (data < 0)
		return -errno;
	hole = lseek(fd, data, SEEK_HOLE);
	if (hole < 0)
		return -errno;
	*start = (uint64_t)data;
	*end = (uint64_t)hole;
	return 0;
}

int sys_punch_hole(int fd, uint64_t offset, uint64_t len)
{
	int r;

	SYS_INJECT();
	do
		r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			      (off_t)len);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int sys_forget_shared(void *at, size_t len)
{
	SYS_INJECT();
	return madvise(at, len, MADV_REMOVE) < 0 ? -errno : 0;
}

int sys_map_shared(int fd, size_t len, void **map)
{
	void *at;

	SYS_INJECT();
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*map = at;
	return 0;
}

void sys_unmap(void *map, size_t len)
{
	if (map)
		munmap(map, len);
}

int sys_secret_new(size_t len, void **secret, bool *locked)
{
	void *at;

	SYS_INJECT();
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	(void)madvise(at, len, MADV_DONTDUMP);
	(void)madvise(at, len, MADV_WIPEONFORK);
	*locked = mlock(at, len) == 0;
	*secret = at;
	return 0;
}

void sys_secret_free(void *secret, size_t len)
{
	if (!secret)
		return;
	explicit_bzero(secret, len);
	munmap(secret, len);
}
