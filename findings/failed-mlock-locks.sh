#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: Linux 6.18; manpages-dev 6.03 (Debian 6.03-2), mlock(2).
# Expected: mlock() that fails has locked nothing; the page lists its errors as if so.
# Does: with ENOMEM for an unmapped page in the range, all that is mapped before the page is
#	locked; with ENOMEM because the memory may not be read (PROT_NONE), all of it is. Both
#	count as VmLck and stay: MADV_DONTNEED there is EINVAL from then on. Only ENOMEM for
#	RLIMIT_MEMLOCK does nothing.
# Documented: the page does not say what has been done when ENOMEM is returned.
# Means: a VMM that tries to lock guest RAM and goes on without when it cannot (a common line in
#	start-up code) has RAM that no balloon, no free page reporting and no memory manager can
#	take pages from. After a failed mlock(), munlock() the same range.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static long locked(void) /* pages */
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmLck:", 6))
			kib = atol(line + 6);
	if (f)
		fclose(f);
	return kib / 4;
}

static int try(const char *what, char *map, int pages_locked, int discard_error)
{
	int failed = mlock(map, 8 * 4096) && errno == ENOMEM;
	long pages = locked();
	int discard = madvise(map, 4096, MADV_DONTNEED) ? errno : 0;

	printf("%-14s mlock() %s, pages locked %ld, MADV_DONTNEED of the first: %s\n", what,
	       failed ? "ENOMEM" : "not ENOMEM", pages,
	       discard ? strerrorname_np(discard) : "no error");
	munlock(map, 4096 * 4);
	munlock(map, 4096 * 8);
	return failed && pages == pages_locked && discard == discard_error && locked() == 0;
}

static char *map(int prot)
{
	return mmap(NULL, 8 * 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int main(void)
{
	struct rlimit limit = {8 * 4096, 8 * 4096};
	char *hole = map(PROT_READ | PROT_WRITE);
	int right;

	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return 1;
	munmap(hole + 4 * 4096, 4096);
	right = try("a hole", hole, 4, EINVAL);
	right += try("PROT_NONE", map(PROT_NONE), 8, EINVAL);
	if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
		return 1;
	limit.rlim_cur = 4 * 4096;
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return 1;
	right += try("RLIMIT_MEMLOCK", map(PROT_READ | PROT_WRITE), 0, 0);
	return right != 3;
}
C
gcc -O1 "$work/run.c" -o "$work/run"
chmod 755 "$work"
"$work/run"
