#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18; manpages 6.03 (Debian 6.03-2), proc(5).
# Expected: "Locked:" in smaps says how much of the mapping is locked in memory; a mapping locked
#	whole has all of its pages there, whatever others do.
# Does: it is the mapping's Pss. With 4 MiB locked it is 4096 KiB, 2048 as soon as one more process
#	reads the same pages without locking anything, 1024 with four; 0 where nothing is there
#	yet (MLOCK_ONFAULT). VmLck in status says 4096 all the time.
# Documented: otherwise: proc(5) says that the field tells whether the mapping is locked or not.
# Means: what cannot be reclaimed on a host is not the sum of these fields: shared pages that one
#	VM locks are locked whole, and are counted by half. And "Locked: 0" is no sign that
#	pages may be discarded or moved. Look for "lo" in VmFlags, and count by Rss.
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
fetch manpages=6.03-2
want "proc(5): \"the mapping is locked in memory or not\"" \
	"$(zcat "$work/root/usr/share/man/man5/proc.5.gz" | tr '\n' ' ' |
		grep -c 'indicates whether the mapping is locked in memory or not')" 1
cat >"$work/run.c" <<'C'
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#define SIZE (4ul << 20)
static int memory, ready[2];

static long field(const char *file, const char *name, const void *map)
{
	FILE *f = fopen(file, "r");
	char line[512], start[32];
	long kib = -1;
	int here = map == NULL;

	snprintf(start, sizeof(start), "%lx-", (unsigned long)map);
	while (f && kib < 0 && fgets(line, sizeof(line), f)) {
		here = here || !strncmp(line, start, strlen(start));
		if (here && !strncmp(line, name, strlen(name)))
			kib = atol(line + strlen(name));
	}
	if (f)
		fclose(f);
	return kib;
}

static void read_all(const char *map)
{
	for (size_t i = 0; i < SIZE; i += 4096)
		if (*(volatile const char *)(map + i) != 1)
			exit(1);
}

static void one_more(void) /* process that reads the memory, and locks nothing */
{
	char one;

	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		read_all(mmap(NULL, SIZE, PROT_READ, MAP_SHARED, memory, 0));
		if (write(ready[1], "x", 1) != 1)
			exit(1);
		for (;;)
			pause();
	}
	if (read(ready[0], &one, 1) != 1)
		exit(1);
}

static int look(const char *when, const char *map, long stated)
{
	long locked = field("/proc/self/smaps", "Locked:", map);
	long size = field("/proc/self/status", "VmLck:", NULL);

	printf("%-40s Locked %4ld kB, VmLck %ld kB\n", when, locked, size);
	return locked == stated && size == (long)(SIZE >> 10);
}

int main(void)
{
	char *map;
	int right;

	memory = memfd_create("memory", 0);
	if (ftruncate(memory, SIZE) || pipe(ready))
		return 1;
	map = mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, memory, 0);
	memset(map, 1, SIZE);
	munmap(map, SIZE);
	map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, memory, 0);
	if (mlock2(map, SIZE, MLOCK_ONFAULT))
		return 77;
	right = look("locked on fault, nothing there yet", map, 0);
	read_all(map);
	right += look("all of it read", map, 4096);
	one_more();
	right += look("one more process reads it", map, 2048);
	one_more();
	one_more();
	right += look("three more", map, 1024);
	return right != 4;
}
C
gcc -O1 "$work/run.c" -o "$work/run"
"$work/run"
