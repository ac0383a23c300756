#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18, tmpfs; manpages-dev 6.03 (Debian 6.03-2), madvise(2).
# Expected: MADV_COLLAPSE of 2 MiB of a memory file that has one page in it fails, or costs
#	nothing: khugepaged too has limits (max_ptes_none) for what is mostly empty.
# Does: it succeeds, and the file grows from 1 page to 512: every hole becomes memory, filled with
#	zeros, and data to SEEK_HOLE. A page punched out afterwards splits the block again and
#	gives back one page: the other 510 that nobody wrote stay.
# Documented: half: the page says that what is not mapped is zero in the new large page, and that
#	the call is independent of the settings in sysfs; that a file's holes are allocated for
#	good by it is not said.
# Means: a sparse store or image (frames punched out, ballooned guest RAM in a memfd) takes its
#	full size back by one well-meant call for large pages, and the balloon's gain is gone.
#	Collapse only what is full, and punch what was a hole afterwards.
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
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (2ul << 20)

static long pages(int fd)
{
	struct stat st;

	fstat(fd, &st);
	return st.st_blocks / 8;
}

int main(void)
{
	int fd = memfd_create("store", 0);
	char *room = mmap(NULL, 2 * BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *map = (char *)(((uintptr_t)room + BLOCK - 1) & ~(BLOCK - 1));
	long one, all, rest;

	if (ftruncate(fd, BLOCK))
		return 1;
	map = mmap(map, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	map[0] = 1;
	one = pages(fd);
	for (int tries = 0; madvise(map, BLOCK, 25); tries++) { /* MADV_COLLAPSE */
		if (errno != EAGAIN && errno != EBUSY && errno != ENOMEM && errno != EINVAL)
			return 1;
		if (errno == EINVAL || tries == 100) {
			printf("SKIP: no large page: %s\n", strerror(errno));
			return 77;
		}
		usleep(100000);
	}
	all = pages(fd);
	if (lseek(fd, 0, SEEK_HOLE) != (off_t)BLOCK)
		return 1;
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096);
	rest = pages(fd);
	printf("pages in the file: %ld, after MADV_COLLAPSE %ld, one punched %ld\n", one, all,
	       rest);
	return !(one == 1 && all == 512 && rest == 511);
}
C
gcc -O1 "$work/run.c" -o "$work/run"
"$work/run"
