/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VMM whose memory cannot be shared, by the word of its only argument. Says "ready", and holds
 * it until its standard input ends; each byte read undoes what stood in the way, where that can
 * be, writes the half that was not written yet, and offers the memory again. Exits with 77 where
 * the host has no memory of that kind.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE (32u << 20)
#define HUGE (2u << 20)

static const char *kind;
static unsigned char *memory;
static int uffd = -1;

static bool is(const char *what)
{
	return strcmp(kind, what) == 0;
}

static void limit_address_space(rlim_t bytes)
{
	struct rlimit limit = {bytes, RLIM_INFINITY};

	if (setrlimit(RLIMIT_AS, &limit))
		exit(2);
}

static void register_foreign(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {
		.range = {(uintptr_t)memory, SIZE},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &range))
		exit(77);
}

static int file_of(void)
{
	char path[] = "/var/tmp/pshare-unfit-XXXXXX";
	int fd = is("file") ? mkstemp(path) : memfd_create("guest", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, SIZE))
		exit(2);
	if (is("file"))
		unlink(path);
	return fd;
}

static void make(void)
{
	int flags = is("shared") ? MAP_SHARED : MAP_PRIVATE, fd = -1;

	if (is("shared") || is("memfd") || is("file"))
		fd = file_of();
	else
		flags |= MAP_ANONYMOUS;
	if (is("hugetlb"))
		flags |= MAP_HUGETLB;
	memory = mmap(NULL, SIZE + (is("large") ? HUGE : 0), PROT_READ | PROT_WRITE, flags, fd, 0);
	if (memory == MAP_FAILED)
		exit(is("hugetlb") ? 77 : 2);
	if (is("large"))
		memory += HUGE - (uintptr_t)memory % HUGE;
	if (is("large"))
		(void)madvise(memory, SIZE, MADV_HUGEPAGE);
	memset(memory, 7, SIZE / 2);
	if (is("locked") && mlock(memory, SIZE))
		exit(77);
	if (is("foreign"))
		register_foreign();
	if (is("access"))
		mprotect(memory, 4096, PROT_READ);
	if (is("rlimit-as"))
		limit_address_space((rlim_t)8 << 30);
}

static void undo(void)
{
	munlock(memory, SIZE);
	close(uffd);
	mprotect(memory, SIZE, PROT_READ | PROT_WRITE);
	limit_address_space(RLIM_INFINITY);
	memset(memory + SIZE / 2, 7, SIZE / 2);
	madvise(memory, SIZE, MADV_MERGEABLE);
}

int main(int argc, char **argv)
{
	char byte;

	kind = argc > 1 ? argv[1] : "";
	make();
	if (!is("not-offered"))
		(void)madvise(memory, SIZE, MADV_MERGEABLE);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		undo();
	for (unsigned int i = 0; i < SIZE / 2; i++)
		if (memory[i] != 7)
			return 3;
	return 0;
}
