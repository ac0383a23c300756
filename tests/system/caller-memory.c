/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls of caller.c that change memory. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"
#include "lib/pmap.h"
#include "sys/uapi.h"

static size_t bytes(uint32_t pages)
{
	return (size_t)pages * T_PAGE;
}

static int advise(void *at, size_t len, int advice)
{
	return madvise(at, len, advice) ? errno : 0;
}

/* ---- madvise ------------------------------------------------------------------------------ */

/* [locked] [region] [hole]: what the kernel does before it refuses, and past a hole. */
static void discard_in_order(void)
{
	uint8_t *room =
		t_sys(mmap(NULL, bytes(2 * PAGES), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	uint8_t *base = room + bytes(PAGES / 2);

	t_sys(mmap(room, bytes(PAGES / 2), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	t_sys(mmap(base, bytes(PAGES), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	t_sys(munmap(base + bytes(PAGES), bytes(PAGES / 2)));
	t_sys(madvise(base, bytes(PAGES), MADV_NOHUGEPAGE));
	t_sys(madvise(base, bytes(PAGES), MADV_MERGEABLE));
	fill(base, PAGES);
	wait_shared(base, PAGES);
	t_sys(mlock(base - T_PAGE, T_PAGE));
	t_check(advise(base - T_PAGE, bytes(PAGES + 1), MADV_DONTNEED) == EINVAL, "locked");
	check(base, PAGES, "after a discard that was refused before it came to them");
	t_check(advise(base, bytes(PAGES + 1), MADV_DONTNEED) == ENOMEM, "a hole");
	for (uint32_t i = 0; i < bytes(PAGES); i += 64)
		t_check(!base[i], "not discarded, though only a hole was behind it");
}

void discards(void)
{
	uint8_t *base = shared(PAGES);

	t_check(advise(base + 8, 100, MADV_DONTNEED) == EINVAL, "unaligned");
	t_check(advise(base + 8, bytes(PAGES), MADV_DONTNEED) == EINVAL, "unaligned");
	t_check(advise(base, SIZE_MAX - 10, MADV_DONTNEED) == EINVAL, "too long");
	t_check(advise(base, SIZE_MAX - T_PAGE + 1, MADV_DONTNEED) == EINVAL, "too long");
	t_check(advise(base, 0, MADV_DONTNEED) == 0, "nothing");
	t_check(advise(base, bytes(PAGES), MADV_REMOVE) == EINVAL, "private memory");
	t_check(advise(base + 8, bytes(1), MADV_FREE) == EINVAL, "unaligned");
	check(base, PAGES, "after discards that the kernel refuses");
	t_check(framed(base, PAGES) > PAGES * 9 / 10, "sharing was given up for nothing");
	/* what is not a multiple of a page goes to the end of its page */
	t_sys(madvise(base, 100, MADV_DONTNEED));
	t_check(!base[0] && !base[T_PAGE - 1] && base[T_PAGE], "the first page alone");
	discard_in_order();
}

/* Those that mean another thing on a frame: the memory is shared when they come. */
static bool wants_frames(int advice)
{
	return advice == MADV_REMOVE || advice == MADV_WIPEONFORK || advice == MADV_COLLAPSE ||
	       advice == MADV_GUARD_INSTALL;
}

static void try_advice(int advice, uint8_t *base, uint8_t *other)
{
	uint32_t part = PAGES / 4;
	int got, want;

	if (wants_frames(advice))
		wait_shared(base, PAGES);
	got = advise(base + bytes(part), bytes(2 * part), advice);
	want = advise(other + bytes(part), bytes(2 * part), advice);
	if (got != want)
		t_fail("advice %d: errno %d, and %d on plain memory", advice, got, want);
	if (advice == MADV_GUARD_INSTALL && !got)
		return;		 /* until it is removed, it ends who looks */
	if (advice == MADV_FREE) /* when it goes is for the kernel to choose */
		for (uint32_t page = part; page < 3 * part; page++)
			base[bytes(page)] = other[bytes(page)] = 1;
	else if (memcmp(base, other, bytes(PAGES)) != 0)
		t_fail("after advice %d it is not what plain memory is", advice);
	t_sys(madvise(base, bytes(PAGES), MADV_MERGEABLE));
	fill(base, PAGES);
	fill(other, PAGES);
}

/* Every advice that there is, and some that are not, on shared memory and on plain memory. */
void advices(void)
{
	static const int high[] = {MADV_GUARD_INSTALL, MADV_GUARD_REMOVE, 104, 1000, -1};
	uint8_t *base = shared(PAGES), *other = plain(PAGES);

	for (int advice = 0; advice < 64; advice++)
		if (advice != MADV_MERGEABLE) /* the plain memory stays plain */
			try_advice(advice, base, other);
	for (size_t i = 0; i < sizeof(high) / sizeof(high[0]); i++)
		try_advice(high[i], base, other);
	wait_shared(base, PAGES);
	check(base, PAGES, "after all");
}

void wipe_on_fork(void)
{
	uint8_t *base = shared(PAGES);
	int status = 0;
	pid_t pid;

	t_sys(madvise(base, bytes(PAGES), MADV_WIPEONFORK));
	check(base, PAGES, "after MADV_WIPEONFORK");
	pid = t_sys(fork());
	if (!pid) {
		for (size_t i = 0; i < bytes(PAGES); i += 64)
			if (base[i])
				_exit(1);
		_exit(0);
	}
	t_sys(waitpid(pid, &status, 0));
	t_check(!status, "the child sees what was to be wiped, status 0x%x", (unsigned int)status);
	t_sys(madvise(base, bytes(PAGES), MADV_KEEPONFORK));
	fill(base, PAGES);
	wait_shared(base, PAGES);
}

void mergeable(void)
{
	uint8_t *base = plain(2 * PAGES);

	t_sys(munmap(base + bytes(PAGES), bytes(PAGES)));
	t_check(advise(base, bytes(PAGES), MADV_MERGEABLE) == 0, "mapped");
	t_check(advise(base, bytes(2 * PAGES), MADV_MERGEABLE) == ENOMEM, "half of it mapped");
	t_check(advise(base + bytes(PAGES), bytes(PAGES), MADV_MERGEABLE) == ENOMEM, "not mapped");
	t_check(advise(base + bytes(PAGES), T_PAGE, MADV_MERGEABLE) == ENOMEM,
		"one page, not mapped");
	t_check(advise(base + 1, bytes(PAGES), MADV_MERGEABLE) == EINVAL, "unaligned");
	t_check(advise(base, SIZE_MAX, MADV_MERGEABLE) == EINVAL, "too long");
	t_check(advise(base, 0, MADV_MERGEABLE) == 0, "nothing");
	errno = 4711;
	t_sys(madvise(base, bytes(PAGES), MADV_MERGEABLE));
	t_sys(madvise(base, T_PAGE, MADV_DONTNEED));
	t_sys(mprotect(base, T_PAGE, PROT_READ | PROT_WRITE));
	t_check(errno == 4711, "a call that was done has changed errno to %d", errno);
}

/* ---- mappings ----------------------------------------------------------------------------- */

/* What the kernel refuses changes nothing; what it does is followed. */
void moves(void)
{
	uint8_t *base = shared(PAGES), *to = plain(PAGES), *moved;

	t_check(mremap(base, bytes(PAGES), bytes(PAGES), MREMAP_FIXED, to) == MAP_FAILED,
		"without MREMAP_MAYMOVE");
	t_check(munmap(base + 8, T_PAGE) == -1 && errno == EINVAL, "unaligned");
	t_check(munmap(base, 0) == -1 && errno == EINVAL, "nothing");
	t_check(mmap(base, bytes(PAGES), PROT_READ, MAP_PRIVATE | MAP_FIXED, -1, 0) == MAP_FAILED &&
			errno == EBADF,
		"no such file");
	wait_shared(base, PAGES);
	check(base, PAGES, "after calls that the kernel refuses");
	moved = mremap(base, bytes(PAGES), bytes(PAGES), MREMAP_MAYMOVE | MREMAP_FIXED, to);
	t_check(moved == to, "%m");
	wait_shared(to, PAGES);
	check(to, PAGES, "after they were moved");
	t_sys(madvise(to, bytes(PAGES), MADV_DONTNEED));
	for (size_t i = 0; i < bytes(PAGES); i += 64)
		t_check(!to[i], "not discarded at its new place");
}

static void try_key(uint8_t *base)
{
	int key = pkey_alloc(0, 0);

	if (key < 0)
		return; /* this processor has none */
	t_sys(pkey_mprotect(base, bytes(PAGES), PROT_READ | PROT_WRITE, key));
	t_sleep(1); /* for the agent to look at it, if it did */
	check(base, PAGES, "under a protection key");
	t_check(framed(base, PAGES) == 0, "shared under a protection key");
	t_sys(pkey_mprotect(base, bytes(PAGES), PROT_READ | PROT_WRITE, 0));
	wait_shared(base, PAGES);
	t_sys(pkey_free(key));
}

void protected_by_key(void)
{
	uint8_t *base = shared(PAGES);

	t_sys(pkey_mprotect(base, bytes(PAGES), PROT_NONE, -1));
	t_sleep(1);
	t_check(framed(base, PAGES) == 0, "shared while nobody may touch it");
	t_sys(pkey_mprotect(base, bytes(PAGES), PROT_READ | PROT_WRITE, -1));
	check(base, PAGES, "after they were protected");
	wait_shared(base, PAGES);
	try_key(base);
}

/* ---- locks -------------------------------------------------------------------------------- */

static long locked_kib(void)
{
	return pm_field_kib(getpid(), "status", "VmLck");
}

/* What the agent maps for itself is larger than any memory: none of it may be locked. */
static void check_locked(long own_pages, const char *when)
{
	long locked = locked_kib(), most = own_pages * 4 + SLACK_KIB;

	if (locked > most || locked < own_pages * 4)
		t_fail("%ld KiB are locked %s, expected are %ld to %ld", locked, when,
		       own_pages * 4, most);
}

void locked_after(void)
{
	uint8_t *base = shared(PAGES);

	for (int turn = 0; turn < 2; turn++) {
		t_sys(mlockall(turn ? MCL_CURRENT | MCL_FUTURE : MCL_CURRENT));
		check_locked(PAGES, "after mlockall()");
		t_check(framed(base, PAGES) == 0, "shared though locked");
		check(base, PAGES, "after mlockall()");
		look_at_me();
		check_locked(PAGES, "some time after mlockall()");
		t_sys(munlockall());
		t_check(locked_kib() == 0, "%ld KiB are locked after munlockall()", locked_kib());
		wait_shared(base, PAGES);
	}
	t_check(mlockall(0) == -1 && errno == EINVAL, "no flags");
	t_check(mlockall(1 << 20) == -1 && errno == EINVAL, "unknown flags");
	t_check(framed(base, PAGES) > PAGES * 9 / 10, "sharing was given up for nothing");
	t_sys(mlock(base, bytes(PAGES)));
	check(base, PAGES, "after mlock()");
	t_sys(munlock(base, bytes(PAGES)));
	wait_shared(base, PAGES);
}

void locked_before(void)
{
	uint8_t *base;

	t_sys(mlockall(MCL_CURRENT | MCL_FUTURE));
	base = offered(PAGES);
	t_sleep(1); /* for the agent to find its daemon, and map its store */
	look_at_me();
	check_locked(PAGES, "when everything was locked before");
	check(base, PAGES, "when everything was locked before");
	t_sys(munlockall());
	wait_shared(base, PAGES);
}

/* ---- userfaultfds of the program's own ---------------------------------------------------- */

static int own_uffd(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	int fd = t_sys((int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));

	t_sys(ioctl(fd, UFFDIO_API, &api));
	return fd;
}

static void move_out_of(uint8_t *base)
{
	uint8_t *to = t_sys(mmap(NULL, bytes(PAGES), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	struct uffdio_register reg = {.range = {(uintptr_t)to, bytes(PAGES)},
				      .mode = UFFDIO_REGISTER_MODE_MISSING};
	struct uffdio_move move = {
		.dst = (uintptr_t)to, .src = (uintptr_t)base, .len = bytes(PAGES)};
	int fd = own_uffd();

	t_sys(ioctl(fd, UFFDIO_REGISTER, &reg));
	t_sys(ioctl(fd, UFFDIO_MOVE, &move));
	check(to, PAGES, "after UFFDIO_MOVE");
	t_sys(close(fd));
	t_sys(munmap(to, bytes(PAGES)));
	fill(base, PAGES);
}

void foreign(void)
{
	uint8_t *base = shared(PAGES);
	struct uffdio_register reg = {.range = {(uintptr_t)base, bytes(PAGES)},
				      .mode = UFFDIO_REGISTER_MODE_WP};
	struct uffdio_register wrong_mode = {.range = reg.range, .mode = 1 << 20};
	int fd = own_uffd();

	t_check(ioctl(-1, UFFDIO_REGISTER, &reg) == -1 && errno == EBADF, "no descriptor");
	t_check(ioctl(STDERR_FILENO, UFFDIO_REGISTER, &reg) == -1, "not a userfaultfd");
	t_check(ioctl(fd, UFFDIO_REGISTER, &wrong_mode) == -1 && errno == EINVAL, "modes");
	t_check(ioctl(fd, UFFDIO_REGISTER, NULL) == -1 && errno == EFAULT, "no address");
	t_check(framed(base, PAGES) > PAGES * 9 / 10, "sharing was given up for nothing");
	t_sys(ioctl(fd, UFFDIO_REGISTER, &reg));
	t_check(framed(base, PAGES) == 0, "shared in a range that is registered elsewhere");
	check(base, PAGES, "after UFFDIO_REGISTER");
	look_at_me();
	t_sys(ioctl(fd, UFFDIO_UNREGISTER, &reg.range));
	wait_shared(base, PAGES);
	t_sys(ioctl(fd, UFFDIO_REGISTER, &reg));
	look_at_me();
	t_sys(close(fd)); /* without a word */
	wait_shared(base, PAGES);
	check(base, PAGES, "after the other userfaultfd was closed");
	move_out_of(base);
	wait_shared(base, PAGES);
}

/* ---- a core dump -------------------------------------------------------------------------- */

void core(void)
{
	uint8_t *base = shared(PAGES), *secret = shared(PAGES);

	t_sys(madvise(secret, bytes(PAGES), MADV_DONTDUMP));
	fill(secret, PAGES);
	wait_shared(secret, PAGES);
	/* the last ones too: a frame gets its region's flag a moment after it is mapped */
	t_sleep(4);
	dprintf(STDOUT_FILENO, "%p %p\n", (void *)base, (void *)secret);
	abort();
}
