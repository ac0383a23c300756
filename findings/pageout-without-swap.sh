#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18 without swap; manpages-dev 6.03 (Debian 6.03-2), madvise(2).
# Expected: without swap, MADV_PAGEOUT of memory that has no file on a disk does nothing.
# Does: three things, by the kind of memory, and 0 is returned each time. Anonymous: nothing. A
#	memfd: the pages leave the process, whose RSS falls by all of them, and stay in the file:
#	no memory is free. Anonymous memory that was given MADV_FREE: it is freed at once, so this
#	is how to make the lazy free happen (RSS had not moved before).
# Documented: the page says that pages are reclaimed, and swapped out when anonymous; it has
#	nothing on a host without swap.
# Means: who measures reclaim of memfd guest RAM by RSS reports gigabytes that the host never got
#	back (st_blocks of the file tells the truth); who gives memory back with MADV_FREE and
#	looks at RSS sees nothing until a PAGEOUT, or pressure, comes.
set -eu
case $(uname -r) in
6.18.*) echo "Linux $(uname -r)" ;;
*) echo "SKIP: stated for Linux 6.18, this is $(uname -r)"; exit 77 ;;
esac
[ "$(awk '/^SwapTotal:/ {print $2}' /proc/meminfo)" = 0 ] || { echo "SKIP: swap is on"; exit 77; }
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (16l << 20)

static long field(const char *name) /* of /proc/self/smaps_rollup, in KiB */
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long value = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = atol(line + strlen(name));
	if (f)
		fclose(f);
	return value;
}

/* How many per cent of SIZE the RSS falls by in MADV_PAGEOUT, give or take what the program itself
 * touches meanwhile; -100: the call failed. */
static long fall(char *map)
{
	long rss = field("Rss:");

	if (madvise(map, SIZE, MADV_PAGEOUT))
		return -100;
	return (rss - field("Rss:")) * 102400 / SIZE;
}

int main(void)
{
	int fd = memfd_create("ram", 0);
	struct stat st;
	char *anon, *file;
	long a, f, before, lazy, freed;

	if (ftruncate(fd, SIZE))
		return 1;
	anon = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	file = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	madvise(anon, SIZE, MADV_NOHUGEPAGE);
	memset(anon, 1, SIZE);
	memset(file, 1, SIZE);
	a = fall(anon);
	f = fall(file);
	fstat(fd, &st);
	before = field("Rss:");
	madvise(anon, SIZE, MADV_FREE);
	lazy = (before - field("Rss:")) * 102400 / SIZE;
	freed = fall(anon);
	printf("RSS falls by: anonymous %ld %%, memfd %ld %% (MiB in the file then: %ld of 16)\n",
	       a, f, (long)st.st_blocks * 512 >> 20);
	printf("MADV_FREE %ld %%, MADV_PAGEOUT after it %ld %%\n", lazy, freed);
	return !(labs(a) <= 5 && f >= 90 && st.st_blocks * 512 == SIZE && labs(lazy) <= 5 &&
		 freed >= 90);
}
C
gcc -O1 "$work/run.c" -o "$work/run"
"$work/run"
