#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18; util-linux-extra 2.38.1 (Debian 2.38.1-5+deb12u3), fincore(1);
#	manpages-dev 6.03 (6.03-2), mincore(2).
# Expected: mincore(), and fincore(1) which counts by it, tell how much of a file is in memory, or
#	that one may not know.
# Does: who neither owns the file nor may write to it is told that all of it is in memory: each
#	page, holes too, without an error. It is the file's mode now that counts, not how it was
#	opened: one mapping, of a descriptor open for writing, tells the truth until the process
#	gives up root, and "all" from then on. cachestat() goes by the descriptor: open for
#	writing it still answers, open for reading it says EPERM.
# Documented: neither page knows of it; the manual's mincore() has no error for it either.
# Means: a monitor that was confined to a user of its own reports every store, template and memory
#	backend as wholly resident: a sparse 64 GiB file costs 64 GiB on its page, and nobody sees
#	why. Ask st_blocks, or cachestat(), which can fail; ask mincore() as the owner only.
set -eu
case $(uname -r) in
6.18.*) echo "Linux $(uname -r)" ;;
*) echo "SKIP: stated for Linux 6.18, this is $(uname -r)"; exit 77 ;;
esac
[ "$(id -u)" = 0 ] || { echo "SKIP: two users are needed, so root"; exit 77; }
[ -w /dev/shm ] || { echo "SKIP: no /dev/shm"; exit 77; }
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
fetch util-linux-extra=2.38.1-5+deb12u3 manpages-dev=6.03-2
fincore=$work/root/usr/bin/fincore
"$fincore" --version
chmod 755 "$work"
file=$(mktemp /dev/shm/finding.XXXXXX)
trap 'rm -rf "$work" "$file"' EXIT
truncate -s 16M "$file"
dd if=/dev/zero of="$file" bs=4k count=3 conv=notrunc status=none
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups env "LD_LIBRARY_PATH=$LD_LIBRARY_PATH")
pages() { "$@" "$fincore" -n -o PAGES "$file" | tr -d ' '; }
chmod 644 "$file"
want "16 MiB, 3 pages written: fincore as the owner" "$(pages env)" 3
want "another user, who may read" "$(pages "${nobody[@]}")" 4096
chmod 666 "$file"
want "another user, who may write" "$(pages "${nobody[@]}")" 3
cat >"$work/run.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#define PAGES 256

static int resident(const char *map)
{
	unsigned char vec[PAGES];
	int n = 0;

	if (mincore((void *)map, PAGES * 4096, vec))
		return -1;
	for (int i = 0; i < PAGES; i++)
		n += vec[i] & 1;
	return n;
}

static int cached(int fd) /* pages, or -errno */
{
	unsigned long range[2] = {0, 0}, stat[5];

	return syscall(SYS_cachestat, fd, range, stat, 0) ? -errno : (int)stat[0];
}

int main(void)
{
	int fd = memfd_create("store", 0), read_only, mine, theirs, by_writer, by_reader;
	char path[64], *map;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY);
	if (ftruncate(fd, PAGES * 4096) || write(fd, "x", 1) != 1 || fchmod(fd, 0400))
		return 1;
	map = mmap(NULL, PAGES * 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	mine = resident(map);
	if (setgid(65534) || setuid(65534))
		return 1;
	theirs = resident(map);
	by_writer = cached(fd);
	by_reader = cached(read_only);
	printf("a memfd of mode 0400, 1 page of %d: mincore() %d\n", PAGES, mine);
	printf("the same mapping after setuid(): mincore() %d\n", theirs);
	printf("cachestat() then: %d, on a read-only descriptor %s\n", by_writer,
	       by_reader < 0 ? strerrorname_np(-by_reader) : "no error");
	return !(mine == 1 && theirs == PAGES && by_writer == 1 && by_reader == -EPERM);
}
C
gcc -O1 "$work/run.c" -o "$work/run"
"$work/run"
