#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18, UFFDIO_MOVE; manpages-dev 6.03 (Debian 6.03-2) beside it.
# Expected: a move that fails has moved what it says in `move`, or nothing if that is an
#	error; EEXIST means that something lay at the destination before.
# Does: where the kernel has to try once more inside of the call (here: two threads move
#	parts of one huge page at a time), the pages that it moves next are not counted and
#	are tried again: EEXIST for a destination that was empty. The pages are there, and
#	their source is empty. Seen in some hundred tries, or fewer.
# Documented: no. Older kernels move page by page, and count each.
# Means: after EEXIST the page tables have to be asked where a page is (/proc/PID/pagemap).
#	Who believes the answer and clears the destination has lost the content.
set -eu
case $(uname -r) in
6.18.*) echo "Linux $(uname -r)" ;;
*) echo "SKIP: stated for Linux 6.18, this is $(uname -r)"; exit 77 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch() { # PACKAGE=VERSION ...: unpacked into $work/root, with what they need and is not installed
	mkdir -p "$work/debs/partial" "$work/root"
	apt-get -qq -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
		-o Dir::Cache::archives="$work/debs" --no-install-recommends --reinstall \
		--allow-downgrades --download-only install "$@" >"$work/apt.log" 2>&1 ||
		{ cat "$work/apt.log" >&2; exit 2; }
	for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done
	export LD_LIBRARY_PATH="$work/root/usr/lib/x86_64-linux-gnu"
}
want() { # WHAT SEEN STATED: says what was seen; ends the run where that is not what is stated
	printf '%-52s %s\n' "$1" "$2"
	[ "$2" = "$3" ] || { echo "not as stated, which was: $3" >&2; exit 1; }
}
fetch manpages-dev=6.03-2
cat >"$work/run.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UFFDIO_MOVE
struct uffdio_move { uint64_t dst, src, len, mode; int64_t move; };
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#define UFFD_FEATURE_MOVE (1 << 16)
#endif
#define BLOCK (2ul << 20)
#define PAGE 4096ul
#define RUN 4ul /* pages that each of the two moves */
#define TRIES 20000

static int uffd, pagemap;
static char *src, *dst;
static pthread_barrier_t begin, end;
static int failed[2];

static char *block(int advice)
{
	char *room = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	char *at = (char *)(((uintptr_t)room + BLOCK - 1) & ~(BLOCK - 1));
	struct uffdio_register r = {.range = {(uintptr_t)at, BLOCK},
				    .mode = UFFDIO_REGISTER_MODE_MISSING};

	madvise(at, BLOCK, advice);
	return ioctl(uffd, UFFDIO_REGISTER, &r) ? NULL : at;
}

static size_t offset_of(long who)
{
	return who ? BLOCK / 2 : 0;
}

static void move(long who)
{
	struct uffdio_move m = {.dst = (uintptr_t)(dst + offset_of(who)),
				.src = (uintptr_t)(src + offset_of(who)), .len = RUN * PAGE};

	pthread_barrier_wait(&begin);
	failed[who] = ioctl(uffd, UFFDIO_MOVE, &m) && m.move < 0 ? errno : 0;
	pthread_barrier_wait(&end);
}

static void *other(void *arg)
{
	for (;;)
		move(1);
	return arg;
}

static int there(char *at)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, 8, (off_t)((uintptr_t)at / PAGE * 8)) != 8)
		return -1;
	return entry >> 63;
}

int main(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_MOVE};
	pthread_t thread;

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || pagemap < 0)
		return puts("SKIP: no UFFDIO_MOVE"), 77;
	src = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	src = (char *)(((uintptr_t)src + BLOCK - 1) & ~(BLOCK - 1));
	madvise(src, BLOCK, MADV_HUGEPAGE);
	dst = block(MADV_NOHUGEPAGE);
	if (!dst || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return puts("SKIP: no second processor"), 77;
	pthread_barrier_init(&begin, NULL, 2);
	pthread_barrier_init(&end, NULL, 2);
	pthread_create(&thread, NULL, other, NULL);
	for (int i = 0; i < TRIES; i++) {
		memset(src, 0x5a, BLOCK);
		move(0);
		for (long who = 0; who < 2; who++) {
			int here = 0, left = 0;

			if (failed[who] != EEXIST)
				continue;
			for (size_t k = 0; k < RUN; k++) {
				here += there(dst + offset_of(who) + k * PAGE);
				left += there(src + offset_of(who) + k * PAGE);
			}
			printf("error: EEXIST\nat the destination: %d\nat the source: %d\n", here,
			       left);
			return 0;
		}
		madvise(dst, BLOCK, MADV_DONTNEED);
		madvise(src, BLOCK, MADV_DONTNEED);
	}
	puts("error: none");
	return 0;
}
C
gcc -O1 -pthread "$work/run.c" -o "$work/run"
said=$("$work/run")
case $said in SKIP*) echo "$said"; exit 77 ;; esac
seen() { sed -n "s/^$1: //p" <<<"$said"; }
want "a move of 4 pages to where nothing is" "$(seen error)" EEXIST
want "of them at the destination" "$(seen 'at the destination')" 4
want "of them at the source" "$(seen 'at the source')" 0
