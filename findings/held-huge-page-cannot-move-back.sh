#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18, UFFDIO_MOVE; manpages-dev 6.03 (Debian 6.03-2), vmsplice(2).
# Expected: a huge page to which a pipe holds a plain reference (vmsplice) can be moved or
#	cannot: the kernel's document names pinned pages as those that fail (EBUSY), and a
#	plain reference is no pin.
# Does: it depends on the place it goes to. Where no page table is, the page moves, in one
#	piece. Where there was one (a single page was there and was discarded) it has to be
#	split first, which fails while anybody holds a reference: EBUSY, for each of its 512
#	pages, for as long as the pipe is full.
# Documented: no.
# Means: who moves a huge page out by UFFDIO_MOVE cannot be sure to move it back: one
#	touch of the empty place with huge pages forbidden makes the table, and the holder
#	of the reference may be the thread that waits. A copy must be at hand for that.
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
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef UFFDIO_MOVE
struct uffdio_move { uint64_t dst, src, len, mode; int64_t move; };
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#define UFFD_FEATURE_MOVE (1 << 16)
#endif
#define BLOCK (2ul << 20)

static int uffd;

static char *block(void)
{
	char *room = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	char *at = (char *)(((uintptr_t)room + BLOCK - 1) & ~(BLOCK - 1));
	struct uffdio_register r = {.range = {(uintptr_t)at, BLOCK},
				    .mode = UFFDIO_REGISTER_MODE_MISSING};

	madvise(at, BLOCK, MADV_HUGEPAGE);
	return ioctl(uffd, UFFDIO_REGISTER, &r) ? NULL : at;
}

static const char *move(char *dst, char *src)
{
	struct uffdio_move m = {.dst = (uintptr_t)dst, .src = (uintptr_t)src, .len = BLOCK};

	if (!ioctl(uffd, UFFDIO_MOVE, &m))
		return "moved";
	return errno == EBUSY ? "EBUSY" : strerror(errno);
}

int main(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_MOVE};
	struct uffdio_zeropage zero = {.range.len = 4096};
	char *first, *bare, *used;
	struct iovec page;
	int pipes[2];

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || pipe(pipes))
		return puts("SKIP: no UFFDIO_MOVE"), 77;
	first = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	first = (char *)(((uintptr_t)first + BLOCK - 1) & ~(BLOCK - 1));
	madvise(first, BLOCK, MADV_HUGEPAGE);
	memset(first, 7, BLOCK);
	bare = block();
	used = block();
	if (!bare || !used)
		return 1;
	zero.range.start = (uintptr_t)used; /* makes the table */
	if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero) || madvise(used, 4096, MADV_DONTNEED))
		return 1;
	page = (struct iovec){first + 5 * 4096, 4096};
	if (vmsplice(pipes[1], &page, 1, 0) != 4096)
		return 1;
	printf("held by a pipe, to where no page table is: %s\n", move(bare, first));
	printf("held by a pipe, to where one is: %s\n", move(used, bare));
	close(pipes[0]);
	close(pipes[1]);
	printf("let go, to where one is: %s\n", move(used, bare));
	return 0;
}
C
gcc -O1 "$work/run.c" -o "$work/run"
said=$("$work/run")
case $said in SKIP*) echo "$said"; exit 77 ;; esac
bare=$(sed -n 's/.*no page table is: //p' <<<"$said")
want "held by a pipe, to where no page table is" "$bare" moved
want "held by a pipe, to where one is" "$(sed -n 's/^held.*where one is: //p' <<<"$said")" EBUSY
want "let go, to where one is" "$(sed -n 's/^let go.*: //p' <<<"$said")" moved
