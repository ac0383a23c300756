/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/mapping.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/inject.h"
#include "sys/shortfile.h"
#include "sys/uapi.h"

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define PAGE_BYTES 4096u

static void *raw_mmap(void *addr, size_t len, int prot, int flags, int fd)
{
	long r;

	if (ps_inject_sys("mmap"))
		return NULL;
	r = syscall(SYS_mmap, addr, len, prot, flags, fd, 0L);
	return r == -1 ? NULL : (void *)r;
}

/* Under mlockall(MCL_FUTURE) a new mapping is locked, and filled at once: of a store's private one
 * that would be a copy of the whole store. So a mapping of ours is made without rights, which fills
 * nothing, then unlocked, and gets its rights last. */
static void *unlocked_mmap(void *addr, size_t len, int prot, int flags, int fd)
{
	void *at = raw_mmap(addr, len, PROT_NONE, flags, fd);

	if (at && (syscall(SYS_munlock, at, len) ||
		   (prot != PROT_NONE && syscall(SYS_mprotect, at, len, prot)))) {
		syscall(SYS_munmap, at, len);
		return NULL;
	}
	return at;
}

void *map_reserve(size_t len)
{
	return unlocked_mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
}

/* What is the agent's own: no child, no core dump. */
static void *own(void *addr, size_t len)
{
	if (!addr)
		return NULL;
	syscall(SYS_madvise, addr, len, MADV_DONTFORK);
	syscall(SYS_madvise, addr, len, MADV_DONTDUMP);
	return addr;
}

/* What map_anon() has made anywhere, so that a lock of everything passes it by. */
static struct {
	_Atomic uintptr_t start; /* 0: free */
	_Atomic size_t len;
} made[MAP_MADE];

static void note_made(void *addr, size_t len)
{
	for (size_t i = 0; i < MAP_MADE; i++) {
		uintptr_t none = 0;

		if (made[i].start || !atomic_compare_exchange_strong(&made[i].start, &none, 1))
			continue;
		made[i].len = len;
		made[i].start = (uintptr_t)addr;
		return;
	}
}

static void forget_made(void *addr)
{
	for (size_t i = 0; i < MAP_MADE; i++)
		if (made[i].start == (uintptr_t)addr) {
			made[i].len = 0;
			made[i].start = 0;
		}
}

bool map_made(size_t i, void **addr, size_t *len)
{
	*len = made[i].len;
	*addr = (void *)made[i].start;
	return *len && (uintptr_t)*addr > 1;
}

void *map_anon(void *addr, size_t len)
{
	bool anywhere = !addr;
	int fixed = addr ? MAP_FIXED : 0;

	addr = own(unlocked_mmap(addr, len, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1),
		   len);
	if (addr)
		syscall(SYS_madvise, addr, len, MADV_NOHUGEPAGE);
	if (addr && anywhere)
		note_made(addr, len);
	return addr;
}

const void *map_readable(int fd, size_t len)
{
	return own(unlocked_mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd), len);
}

void *map_shared(int fd, size_t len)
{
	return own(unlocked_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd), len);
}

bool map_fits(size_t len)
{
	void *at = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return false;
	munmap(at, len);
	return true;
}

void map_free(void *addr, size_t len)
{
	if (addr) {
		forget_made(addr);
		syscall(SYS_munmap, addr, len);
	}
}

int map_over(void *dst, void *src, size_t len)
{
	SYS_INJECT();
	if (syscall(SYS_mremap, src, len, len, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		    dst) == -1)
		return -errno;
	return 0;
}

int map_file_over(void *dst, int fd, uint64_t page, size_t len)
{
	SYS_INJECT();
	if (syscall(SYS_mmap, dst, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, (off_t)(page * PAGE_BYTES)) == -1)
		return -errno;
	return 0;
}

int map_hold(void *dst, size_t len)
{
	long r = syscall(SYS_mmap, dst, len, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0L);

	return r == -1 ? -errno : 0;
}

static bool over(rlim_t limit, unsigned long pages)
{
	return limit != RLIM_INFINITY && pages > limit / PAGE_BYTES;
}

/* The i-th number of a line, counted from 0; ULONG_MAX if there are fewer. No stdio: the settler
 * comes here. */
static unsigned long number(const char *text, int i)
{
	unsigned long value = ULONG_MAX;
	char *end;

	for (; i >= 0; i--) {
		value = strtoul(text, &end, 10);
		if (end == text)
			return ULONG_MAX;
		text = end;
	}
	return value;
}

int map_room(void)
{
	struct rlimit space, data;
	unsigned long all, data_pages;
	char text[128];

	SYS_INJECT();
	if (getrlimit(RLIMIT_AS, &space) || getrlimit(RLIMIT_DATA, &data))
		return 0;
	if (space.rlim_cur == RLIM_INFINITY && data.rlim_cur == RLIM_INFINITY)
		return 0;
	/* size resident shared text lib data dirty, in pages; what cannot be read is too much */
	(void)sys_read_short("/proc/self/statm", text, sizeof(text));
	all = number(text, 0);
	data_pages = number(text, 5);
	return over(space.rlim_cur, all) || over(data.rlim_cur, data_pages) ? -ENOSPC : 0;
}

bool map_whole(void *addr, size_t len)
{
	unsigned char vec[MAP_WHOLE_PAGES];

	if (len > sizeof(vec) * PAGE_BYTES)
		return false;
	return syscall(SYS_mincore, addr, len, vec) == 0;
}

void *map_away(void *src, size_t len)
{
	long r;

	if (ps_inject_sys("mremap"))
		return NULL;
	r = syscall(SYS_mremap, src, len, len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	return r == -1 ? NULL : (void *)r;
}

int map_grow(void *dst, size_t new_len, void *src, size_t old_len)
{
	SYS_INJECT();
	if (syscall(SYS_mremap, src, old_len, new_len, MREMAP_MAYMOVE | MREMAP_FIXED, dst) == -1)
		return -errno;
	return 0;
}

int map_advise(void *addr, size_t len, int advice)
{
	SYS_INJECT();
	return syscall(SYS_madvise, addr, len, advice) < 0 ? -errno : 0;
}

long map_mremap(void *old, size_t old_len, size_t new_len, int flags, void *new_addr)
{
	long r = syscall(SYS_mremap, old, old_len, new_len, flags, new_addr);

	return r == -1 ? -errno : r;
}

long map_mmap(void *addr, size_t len, int prot, int flags, int fd, long offset)
{
	long r = syscall(SYS_mmap, addr, len, prot, flags, fd, offset);

	return r == -1 ? -errno : r;
}

int map_munmap(void *addr, size_t len)
{
	return syscall(SYS_munmap, addr, len) < 0 ? -errno : 0;
}

int map_mprotect(void *addr, size_t len, int prot)
{
	return syscall(SYS_mprotect, addr, len, prot) < 0 ? -errno : 0;
}

int map_pkey_mprotect(void *addr, size_t len, int prot, int pkey)
{
	return syscall(SYS_pkey_mprotect, addr, len, prot, pkey) < 0 ? -errno : 0;
}

int map_lock(const void *addr, size_t len, unsigned int flags)
{
	return syscall(SYS_mlock2, addr, len, flags) < 0 ? -errno : 0;
}

int map_lock_all(int flags)
{
	return syscall(SYS_mlockall, flags) < 0 ? -errno : 0;
}

int map_unlock(const void *addr, size_t len)
{
	return syscall(SYS_munlock, addr, len) < 0 ? -errno : 0;
}

int map_unlock_all(void)
{
	return syscall(SYS_munlockall) < 0 ? -errno : 0;
}

static bool has_ipc_lock(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	return syscall(SYS_capget, &head, data) == 0 && data[0].effective & (1u << CAP_IPC_LOCK);
}

int map_may_lock(uint64_t bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || bytes <= limit.rlim_cur || has_ipc_lock())
		return 0;
	return limit.rlim_cur ? -ENOMEM : -EPERM;
}

bool map_future_is_locked(void)
{
	void *page = raw_mmap(NULL, PAGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	bool locked;

	if (!page)
		return errno == EAGAIN; /* more than RLIMIT_MEMLOCK, as only locked memory can be */
	locked = syscall(SYS_msync, page, PAGE_BYTES, MS_INVALIDATE) && errno == EBUSY;
	syscall(SYS_munmap, page, PAGE_BYTES);
	return locked;
}

bool map_has_holes(const void *addr, size_t len)
{
	return syscall(SYS_msync, addr, len, MS_ASYNC) && errno == ENOMEM;
}

int map_zeros(void *addr, size_t len, int prot)
{
	SYS_INJECT();
	return syscall(SYS_mmap, addr, len, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0L) == -1 ?
		       -errno :
		       0;
}

size_t map_resident(const void *addr, size_t len)
{
	unsigned char there[MAP_WHOLE_PAGES];
	size_t pages = 0;

	if (len > sizeof(there) * PAGE_BYTES || syscall(SYS_mincore, addr, len, there) < 0)
		return 0;
	for (size_t i = 0; i < len / PAGE_BYTES; i++)
		pages += there[i] & 1;
	return pages * PAGE_BYTES;
}

int map_leave_ksm(void)
{
	return prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

void map_name(void *addr, size_t len, const char *name)
{
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, addr, len, name);
}
