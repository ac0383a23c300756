#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18 (tmpfs, as under memfd and /dev/shm); manpages-dev 6.03 (Debian 6.03-2).
# Expected: the ways to ask how much of a memory file is there agree: st_blocks, cachestat(),
#	lseek(SEEK_DATA), mincore().
# Does: for memory from fallocate() that nobody touched yet they do not. 16 pages: st_blocks and
#	cachestat() say 16; SEEK_DATA says that there is no data at all (ENXIO), mincore() that no
#	page of a mapping is in memory. One read through a mapping, and SEEK_DATA knows that page.
# Documented: lseek(2) lets a filesystem treat preallocated space as a hole or as data; that tmpfs
#	calls it a hole while it holds memory, nobody says. cachestat() has no page in this
#	edition.
# Means: a store or guest RAM that was reserved by fallocate() (QEMU's prealloc=on touches the
#	pages instead) looks empty to what copies by SEEK_DATA and full to the accounting: a copy
#	is sparse and can fail later for want of memory; a report by SEEK_DATA hides the use.
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
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <unistd.h>

static int fd;
static char *map;

static int look(int blocks, int cached, int first_data, int in_core)
{
	struct { uint64_t off, len; } range = {0, 0};
	struct { uint64_t cache, dirty, writeback, evicted, recently; } seen = {0};
	unsigned char core[64];
	struct stat st;
	int n = 0;
	long data = lseek(fd, 0, SEEK_DATA);

	fstat(fd, &st);
	syscall(451, fd, &range, &seen, 0); /* cachestat() */
	mincore(map, 64 * 4096, core);
	for (int i = 0; i < 64; i++)
		n += core[i] & 1;
	printf("pages by st_blocks %ld, cachestat %ld, mincore %d; first data: %ld\n",
	       (long)st.st_blocks / 8, (long)seen.cache, n, data < 0 ? -1 : data / 4096);
	return st.st_blocks / 8 == blocks && (int)seen.cache == cached && n == in_core &&
	       (data < 0 ? -1 : data / 4096) == first_data;
}

int main(void)
{
	int right;

	fd = memfd_create("store", 0);
	if (ftruncate(fd, 64 * 4096))
		return 1;
	map = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	right = look(0, 0, -1, 0);
	if (fallocate(fd, 0, 0, 16 * 4096))
		return 1;
	printf("16 pages allocated:\n");
	right += look(16, 16, -1, 0);
	printf("page 3 read (it is %d):\n", *(volatile char *)(map + 3 * 4096));
	right += look(16, 16, 3, 1);
	return right != 3;
}
C
gcc -O1 "$work/run.c" -o "$work/run"
"$work/run"
