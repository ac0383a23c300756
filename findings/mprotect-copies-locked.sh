#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18; manpages-dev 6.03 (Debian 6.03-2), mprotect(2) and mlock(2).
# Expected: mprotect() changes what may be done with pages and leaves the pages alone. A private
#	mapping that becomes writable is copied page by page, when somebody writes.
# Does: where the mapping is locked, mprotect() that makes it writable copies all of it before it
#	returns, although nobody has written. Locked with MLOCK_ONFAULT, or unlocked before,
#	nothing is copied.
# Documented: neither page has a word on it; mprotect(2) does not name locking at all.
# Means: a template or a store's pages, mapped read-only and locked so that they never fault, are
#	doubled by the one call that was to let a clone write a little. The sharing is gone, the
#	limit on locked memory does not notice (it counts addresses), and the call takes as long
#	as the copy. Lock on fault, or munlock() first and lock again what was written.
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
want "words on locking in mprotect(2)" \
	"$(zcat "$work/root/usr/share/man/man2/mprotect.2.gz" | sed 's/^\.\\".*//' |
		grep -c -i -E 'mlock|locked|lock ')" 0
cat >"$work/run.c" <<'C'
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#define SIZE (1ul << 20)

static long own_memory(void) /* KiB: pages that are in no file */
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "RssAnon:", 8))
			kib = atol(line + 8);
	if (f)
		fclose(f);
	return kib;
}

/* What mprotect() copies of a mapping of the template that has been read and, maybe, locked. */
static long copied(int template, const char *how)
{
	char *map = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, template, 0);
	long before, after;

	for (size_t i = 0; i < SIZE; i += 4096)
		if (*(volatile char *)(map + i) != 1)
			exit(1);
	if (!strcmp(how, "not locked"))
		;
	else if (mlock2(map, SIZE, strcmp(how, "locked on fault") ? 0 : MLOCK_ONFAULT))
		exit(77);
	if (!strcmp(how, "unlocked again"))
		munlock(map, SIZE);
	before = own_memory();
	if (mprotect(map, SIZE, PROT_READ | PROT_WRITE))
		exit(1);
	after = own_memory();
	munmap(map, SIZE);
	printf("%-16s mprotect() copied %ld KiB of %lu\n", how, after - before, SIZE >> 10);
	return after - before;
}

int main(void)
{
	int template = memfd_create("template", 0), right;
	char *map;

	if (ftruncate(template, SIZE))
		return 1;
	map = mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, template, 0);
	memset(map, 1, SIZE);
	munmap(map, SIZE);
	copied(template, "not locked"); /* what the C library needs for it is there from now on */
	right = copied(template, "not locked") < 64;
	right += copied(template, "locked") >= (long)(SIZE >> 10);
	right += copied(template, "locked on fault") < 64;
	right += copied(template, "unlocked again") < 64;
	return right != 4;
}
C
gcc -O1 "$work/run.c" -o "$work/run"
"$work/run"
